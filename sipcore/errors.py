"""Every exception sipcore raises, and the sentences they and the events say to users.

SipError
├── LocalProtocolError      our own caller asked for something the protocol forbids now
├── ParseError              bytes from the network are not what the grammar allows
├── TransportError          a flow could not be opened, or broke
├── TransactionTimeout      nobody answered in 64*T1
├── AuthenticationFailed    our response to a fresh challenge was refused
├── CallRejected            a final response of 300 or more ended a call attempt
└── RegistrationFailed      every registration attempt was used up
"""

from __future__ import annotations

from typing import Any


class Phrase(str):
    """A sentence of ours that can still be said in another language: English, with what it was made from.

    ``Phrase("No route to {where}.", where="pbx:8089")`` is the text; ``template`` is its id in every catalogue, and
    ``parameters`` are numbers, data, or phrases again. Words of the network or the system are plain strings.
    """

    __slots__ = ("parameters", "template")
    template: str
    parameters: dict[str, str | int | float]

    def __new__(cls, template: str, /, **parameters: str | int | float) -> Phrase:
        """Raises KeyError or ValueError where the parameters do not fit the template."""
        phrase = super().__new__(cls, template.format(**parameters))
        phrase.template, phrase.parameters = template, parameters
        return phrase

    def __str__(self) -> str:
        return self  # so that the text of an exception is the phrase it was raised with

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.template,), self.parameters


class SipError(Exception):
    """Base of all errors of this package."""


class LocalProtocolError(SipError):
    """The application called a verb that does not fit the present state; nothing was changed."""


class ParseError(SipError):
    """Malformed input from the network.

    ``status_hint`` is the response a server would give to such a request (RFC 3261 §8.2, §21.4).
    """

    def __init__(self, message: str, *, status_hint: int = 400) -> None:
        super().__init__(message)
        self.status_hint = status_hint


class TransportError(SipError):
    """A flow failed; treated as a 503 by transaction users (RFC 3261 §8.1.3.1)."""


class TransactionTimeout(SipError):
    """No final response in 64*T1; treated as a 408 by transaction users (RFC 3261 §8.1.3.1)."""


class AuthenticationFailed(SipError):
    """The peer refused our response to a fresh challenge."""


class CallRejected(SipError):
    """A call attempt ended with a final response of 300 or more."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class RegistrationFailed(SipError):
    """All registration attempts failed; ``reason`` is a sentence fit for a user."""

    def __init__(self, attempts: int, reason: str) -> None:
        super().__init__(f"registration failed after {attempts} attempts: {reason}")
        self.attempts = attempts
        self.reason = reason
