"""Names of hosts in an SDP, looked up off the media thread, which must not wait for a name server (RFC 8866 §5.7)."""

from __future__ import annotations

import asyncio
import socket

from sipcore.errors import Phrase


class UnknownHost(Exception):
    """A name server knows no address; the text is a sentence."""


async def numeric(name: str, *, beside: str) -> str:
    """An address of a host of that name, of the family of ``beside``. Raises :class:`UnknownHost`."""
    family = socket.AF_INET6 if ":" in beside else socket.AF_INET
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=family, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise UnknownHost(
            Phrase(
                "The far end's sound address {address} cannot be found ({why}).",
                address=name,
                why=error.strerror or str(error),
            )
        ) from error
    return str(found[0][4][0])
