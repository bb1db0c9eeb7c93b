"""Answers the questions of :mod:`sipcore.locate`: addresses by the system's resolver, SRV records by dnspython.

The system's resolver blocks and cannot be interrupted, so each question gets a daemon thread: a name server that
does not answer may delay a connection attempt, but never the end of the process.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import TYPE_CHECKING

from sipcore.errors import Phrase, TransportError
from sipcore.locate import AddressQuestion, Answer, SrvQuestion, SrvRecord, Target, locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipcore.config import ServerAddress
    from sipcore.ids import IdSource

_log = logging.getLogger(__name__)

_SRV_TIMEOUT_S = 5.0


async def targets_of(server: ServerAddress, ids: IdSource) -> list[Target]:
    """Where to connect for ``server``, best first; raises TransportError with a sentence where there is nothing."""
    questions = locate(server, ids)
    try:
        question = next(questions)
        while True:
            answer: Answer
            match question:
                case SrvQuestion(name=name):
                    answer = await _srv_records(name)
                case AddressQuestion(host=host):
                    answer = await _addresses(host)
            question = questions.send(answer)
    except StopIteration as end:
        targets: list[Target] = end.value
    if not targets:
        raise TransportError(
            Phrase("Unknown host {host}: check the server's name, and the DNS of this network.", host=server.host)
        )
    return targets


async def _addresses(host: str) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str]) -> None:
        if not future.done():
            future.set_result(addresses)

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as error:
            _log.info("looking up %s failed: %s", host, error)
            addresses = []
        try:
            loop.call_soon_threadsafe(settle, addresses)
        except RuntimeError:
            pass  # the loop has closed meanwhile; nobody waits for the answer

    threading.Thread(target=look_up, name="sip-resolver", daemon=True).start()
    return await future


async def _srv_records(name: str) -> Sequence[SrvRecord]:
    # Imported late: most accounts name a port or a WebSocket URL, and never need it.
    import dns.asyncresolver
    import dns.exception

    try:
        answer = await dns.asyncresolver.resolve(name, "SRV", lifetime=_SRV_TIMEOUT_S)
    except dns.exception.DNSException as error:
        _log.info("no SRV records for %s: %s", name, type(error).__name__)
        return []
    return [SrvRecord(record.priority, record.weight, record.port, str(record.target)) for record in answer]
