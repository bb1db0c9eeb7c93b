"""Session descriptions as values (RFC 8866); writing is ``bytes(description)``, reading is :mod:`sipcore.sdp.parse`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Attribute:
    """One ``a=`` line; ``value`` is None for a property attribute such as ``a=sendrecv``."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


class _HasAttributes(Protocol):
    @property
    def attributes(self) -> tuple[Attribute, ...]: ...


class _AttributeAccess:
    """Look-ups shared by the session and the media level; names are compared as RFC 8866 §5.13 does, byte for byte."""

    __slots__ = ()

    def values(self: _HasAttributes, name: str) -> Iterator[str]:
        """The values of every attribute called ``name``, in order; a property attribute counts as an empty string."""
        for attribute in self.attributes:
            if attribute.name == name:
                yield attribute.value or ""

    def value(self: _HasAttributes, name: str) -> str | None:
        """The value of the first attribute called ``name``, or None."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute.value or ""
        return None

    def has(self: _HasAttributes, name: str) -> bool:
        """Whether an attribute called ``name`` is there."""
        return any(attribute.name == name for attribute in self.attributes)


@dataclass(frozen=True, slots=True)
class Connection:
    """A ``c=`` line. ``address`` keeps the TTL and count of a multicast address as written."""

    address: str
    address_type: str = "IP4"
    network_type: str = "IN"

    @classmethod
    def of(cls, address: str) -> Connection:
        """The line for a numeric unicast address."""
        return cls(address, "IP6" if ":" in address else "IP4")

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.address}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The ``o=`` line: with the version left out it names the session (RFC 8866 §5.2)."""

    username: str
    session_id: int
    session_version: int
    connection: Connection

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.session_version} {self.connection}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDescription(_AttributeAccess):
    """An ``m=`` line with what follows it."""

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int = 1
    title: str | None = None
    connection: Connection | None = None
    bandwidths: tuple[str, ...] = ()
    """Values of ``b=`` lines, such as ``AS:64``."""

    attributes: tuple[Attribute, ...] = ()

    def lines(self) -> Iterator[str]:
        """The lines of this description, in the order RFC 8866 §9 demands."""
        ports = str(self.port) if self.port_count == 1 else f"{self.port}/{self.port_count}"
        yield f"m={self.media} {ports} {self.protocol} {' '.join(self.formats)}"
        if self.title is not None:
            yield f"i={self.title}"
        if self.connection is not None:
            yield f"c={self.connection}"
        for bandwidth in self.bandwidths:
            yield f"b={bandwidth}"
        for attribute in self.attributes:
            yield f"a={attribute}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription(_AttributeAccess):
    """A whole description. ``time`` holds the values of the ``t=`` lines."""

    origin: Origin
    session_name: str = "-"
    connection: Connection | None = None
    bandwidths: tuple[str, ...] = ()
    time: tuple[str, ...] = ("0 0",)
    attributes: tuple[Attribute, ...] = ()
    media: tuple[MediaDescription, ...] = ()

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """The ``c=`` line that holds for ``media``: its own, or the session's."""
        return media.connection or self.connection

    def lines(self) -> Iterator[str]:
        """The lines, in the order RFC 8866 §9 demands."""
        yield "v=0"
        yield f"o={self.origin}"
        yield f"s={self.session_name}"
        if self.connection is not None:
            yield f"c={self.connection}"
        for bandwidth in self.bandwidths:
            yield f"b={bandwidth}"
        for time in self.time:
            yield f"t={time}"
        for attribute in self.attributes:
            yield f"a={attribute}"
        for media in self.media:
            yield from media.lines()

    def __bytes__(self) -> bytes:
        return "".join(f"{line}\r\n" for line in self.lines()).encode()
