"""Finding a server's addresses: RFC 3263 §4.2 as a generator of questions.

    locate(server) ──Question──▶ resolver (elsewhere) ──Answer──▶ locate ... ──▶ targets, in the order to try

Scheme and therefore transport are always given, so NAPTR has nothing to choose. A WebSocket URL names its host
outright: only addresses are asked for (RFC 7118 §5.3, RFC 6455 §3).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore.config import ServerAddress
    from sipcore.ids import IdSource

_SRV_PREFIX = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_MAX_TARGETS = 16


@dataclass(frozen=True, slots=True)
class SrvQuestion:
    """SRV records of ``name``; answered by a list of :class:`SrvRecord`, empty where there are none."""

    name: str


@dataclass(frozen=True, slots=True)
class AddressQuestion:
    """A and AAAA records of ``host``; answered by a list of address texts in the order to try, empty for none."""

    host: str


Question = SrvQuestion | AddressQuestion


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


Answer = Sequence[SrvRecord] | Sequence[str]


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: an IP address without brackets, a port, and the name a TLS certificate must hold."""

    address: str
    port: int
    name: str


def locate(server: ServerAddress, ids: IdSource) -> Generator[Question, Answer, list[Target]]:
    """Ask what has to be asked; returns the targets, best first, empty where the name leads nowhere.

    RFC 5922 §4: the certificate is that of the domain asked for, not of the SRV target.
    """
    host = server.host.strip("[]")
    if is_address(host):
        # §4.2: "If TARGET is a numeric IP address, the UA uses that address".
        return [Target(host, server.port, host)]
    records: list[SrvRecord] = []
    if not server.port_given and server.scheme in _SRV_PREFIX:
        answer = yield SrvQuestion(f"{_SRV_PREFIX[server.scheme]}.{host}")
        records = order([record for record in answer if isinstance(record, SrvRecord)], ids)
        if len(records) == 1 and records[0].target in (".", ""):
            return []  # RFC 2782: "the service is decidedly not available at this domain"
    if not records:
        # §4.2: "If no SRV records were found, the client performs an A or AAAA record lookup of the domain name."
        records = [SrvRecord(0, 0, server.port, host)]
    targets: list[Target] = []
    for record in records:
        name = record.target.rstrip(".")
        addresses = [name] if is_address(name) else (yield AddressQuestion(name))
        targets += [Target(address, record.port, host) for address in addresses if isinstance(address, str)]
        if len(targets) >= _MAX_TARGETS:
            break
    return targets[:_MAX_TARGETS]


def order(records: Sequence[SrvRecord], ids: IdSource) -> list[SrvRecord]:
    """RFC 2782: by priority, and within one by a weighted draw without replacement."""
    ordered: list[SrvRecord] = []
    for priority in sorted({record.priority for record in records}):
        # "arrange all SRV RRs ... in any order, except that all those with weight 0 are placed at the beginning".
        pool = sorted((record for record in records if record.priority == priority), key=lambda record: record.weight)
        while pool:
            ordered.append(pool.pop(_draw(pool, ids)))
    return ordered


def _draw(pool: Sequence[SrvRecord], ids: IdSource) -> int:
    mark = ids.uniform(0, sum(record.weight for record in pool))
    running = 0
    for index, record in enumerate(pool):
        running += record.weight
        if running >= mark:
            return index
    return len(pool) - 1


def is_address(text: str) -> bool:
    """Whether the text is an IP address rather than a name."""
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
