"""Health memory of an account's servers: whom to try next (RFC 3263 §4.3, RFC 3261 §21.5.4).

The list is in order of preference. A server that failed comes last until its time is over; one that
registered us is forgiven everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.resilience import policy

if TYPE_CHECKING:
    from sipcore.config import ServerAddress


@dataclass(slots=True)
class _Health:
    failures: int = 0
    avoid_until: float = 0.0


class ServerList:
    """Chooses among servers by preference and recent health."""

    def __init__(self, servers: tuple[ServerAddress, ...]) -> None:
        if not servers:
            raise ValueError("an account needs at least one server")
        self._configured = servers
        self._servers = servers
        self._health = {server: _Health() for server in servers}
        self._last_probed = -1

    def best(self, now: float, *, taken: ServerAddress | None = None) -> ServerAddress:
        """The most preferred server that is not to be avoided, else the one whose time is over first.

        One that is ``taken`` comes into question only where there is no other.
        """
        candidates = [server for server in self._servers if server != taken] or self._servers
        for server in candidates:
            if self._health[server].avoid_until <= now:
                return server
        return min(candidates, key=lambda server: self._health[server].avoid_until)

    def other(self, server: ServerAddress, now: float, *, taken: ServerAddress | None = None) -> bool:
        """Whether a server other than this one, and than one that is ``taken``, may be tried at once."""
        return any(other not in (server, taken) and self._health[other].avoid_until <= now for other in self._servers)

    def free_at(self, taken: ServerAddress) -> float | None:
        """When a server other than the one ``taken`` may be tried, which may be long ago; None where there is none."""
        times = [self._health[other].avoid_until for other in self._servers if other != taken]
        return min(times, default=None)

    def failed(self, server: ServerAddress, now: float, *, avoid_s: float = 0.0) -> None:
        """Note a failure; ``avoid_s`` is what the server itself asked for by Retry-After."""
        health = self._health[server]
        health.failures += 1
        health.avoid_until = now + max(avoid_s, policy.avoid_server_s(health.failures))

    def succeeded(self, server: ServerAddress) -> None:
        """Forget everything against a server."""
        self._health[server] = _Health()

    def reachable(self, server: ServerAddress) -> None:
        """A probe came through: the server may be tried again, its failures still count."""
        if server in self._health:
            self._health[server].avoid_until = 0.0

    def forgive(self) -> None:
        """Start afresh: another network, or the user asked."""
        for server in self._servers:
            self._health[server].avoid_until = 0.0

    def prefer(self, server: ServerAddress) -> None:
        """Put a server the PBX itself named first; only the last one named is kept."""
        self._servers = (server, *(other for other in self._configured if other != server))
        self._health.setdefault(server, _Health()).avoid_until = 0.0

    def next_to_probe(self) -> ServerAddress | None:
        """The servers in turn; None where none of them can be probed (UDP has nothing to connect)."""
        candidates = [server for server in self._servers if server.reliable]
        if not candidates:
            return None
        self._last_probed = (self._last_probed + 1) % len(candidates)
        return candidates[self._last_probed]
