"""What authentication needs of a message; `sipcore.message` has it without knowing (siblings stay strangers)."""

from typing import Protocol, Self


class HeaderFields(Protocol):
    """The header fields of a message, names compared without regard to case."""

    def get_all(self, name: str) -> list[str]:
        """The raw values of every line of that name."""
        ...

    def add(self, name: str, value: str) -> None:
        """Append a line."""
        ...

    def remove(self, name: str) -> None:
        """Drop every line of that name."""
        ...


class SignableRequest(Protocol):
    """A request that can carry credentials."""

    @property
    def method(self) -> str:
        """The method, which the digest covers."""
        ...

    @property
    def uri(self) -> object:
        """The Request-URI; its `str` is the digest-uri."""
        ...

    @property
    def headers(self) -> HeaderFields:
        """Its own header fields."""
        ...

    @property
    def body(self) -> bytes:
        """The body, which the digest covers with qop=auth-int."""
        ...

    def copy(self) -> Self:
        """The same request with headers of its own."""
        ...


class ChallengingResponse(Protocol):
    """A response that may carry challenges."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def headers(self) -> HeaderFields:
        """Its header fields."""
        ...
