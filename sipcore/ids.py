"""Identifiers and random draws: the only door to randomness in sipcore and the audio core.

The source is injected, so a seeded ``random.Random`` replays a run bit for bit and
``random.SystemRandom`` serves production (RFC 3261 §19.3 asks for tags of at least 32 random bits).
"""

from __future__ import annotations

from typing import Protocol

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_BITS_PER_CHARACTER = 5


class RandomSource(Protocol):
    """What is needed of a generator; ``random.Random`` and ``random.SystemRandom`` both fit."""

    def getrandbits(self, k: int, /) -> int:
        """A non-negative integer of ``k`` random bits."""
        ...

    def uniform(self, a: float, b: float) -> float:
        """A number drawn evenly from ``a`` to ``b``."""
        ...


class IdSource:
    """Makes every identifier this package puts on the wire."""

    def __init__(self, source: RandomSource) -> None:
        self._source = source

    def integer(self, bits: int) -> int:
        """A non-negative integer of ``bits`` random bits."""
        return self._source.getrandbits(bits)

    def uniform(self, low: float, high: float) -> float:
        """A number drawn evenly from ``low`` to ``high``."""
        return self._source.uniform(low, high)

    def token(self, bits: int = 80) -> str:
        """A lower-case alphanumeric token holding at least ``bits`` random bits."""
        length = -(-bits // _BITS_PER_CHARACTER)
        number = self._source.getrandbits(length * _BITS_PER_CHARACTER)
        return "".join(_ALPHABET[(number >> (_BITS_PER_CHARACTER * i)) & 31] for i in range(length))

    def branch(self) -> str:
        """A Via branch with the magic cookie (RFC 3261 §8.1.1.7)."""
        return "z9hG4bK" + self.token(80)

    def tag(self) -> str:
        """A From or To tag (RFC 3261 §19.3)."""
        return self.token(60)

    def call_id(self) -> str:
        """A Call-ID without a host part, so that it tells nothing about the machine (RFC 3261 §8.1.1.4)."""
        return self.token(120)

    def cnonce(self) -> str:
        """A client nonce for digest authentication (RFC 7616 §3.4)."""
        return self.token(100)

    def invalid_host(self) -> str:
        """The ``.invalid`` host of a WebSocket client's Via and Contact (RFC 7118 §5.2)."""
        return self.token(60) + ".invalid"


def is_invalid_host(text: str) -> bool:
    """Whether ``text`` could come from :meth:`IdSource.invalid_host`."""
    token, dot, rest = text.partition(".")
    return dot + rest == ".invalid" and 0 < len(token) <= 64 and set(token) <= set(_ALPHABET)
