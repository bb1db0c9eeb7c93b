"""A full ICE agent with one host candidate for each component (RFC 8445), with consent (RFC 7675). Sans-I/O.

    pair of a component:   WAITING ─ paced check ─▶ IN_PROGRESS ─ success ─▶ VALID ─ nominated ─▶ selected
                              ▲                         └─ no answer, refused ─▶ FAILED │
                              └────── triggered by the peer's own check ◀──────────────┘

One local address means that a pair is a remote address. Whatever NAT is in between shows as peer-reflexive: the peer
checks back to where our checks come from, so an agent behind a NAT reaches a peer that is not, without any server.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audio.core.ports import Address, Transmit, TransmitKind
from audio.ice.stun import (
    ERROR,
    REQUEST,
    ROLE_CONFLICT,
    SUCCESS,
    StunMessage,
    kind_untrusted,
    parse_untrusted,
    transaction_id_untrusted,
)
from sipcore.errors import ParseError

if TYPE_CHECKING:
    from sipcore.ids import IdSource
    from sipcore.media import IceCredentials, IceRemote

PACE_S = 0.05
"""Ta: the least distance of two new checks (RFC 8445 §14.2)."""

RTO_S = 0.5
"""A check without an answer is sent again after this, doubling (RFC 8445 §14.3)."""

MAX_SENT = 7
NOMINATE_AFTER_S = 0.1
"""How long the controlling agent lets better pairs become valid before it nominates one with a detour."""

CONSENT_S = 5.0
CONSENT_EXPIRY_S = 30.0
_MAX_PAIRS = 40
_MAX_HELD = 8
_DTLS = range(20, 64)
_KINDS = {1: TransmitKind.RTP, 2: TransmitKind.RTCP}
_COMPONENTS = {kind: component for component, kind in _KINDS.items()}
# RFC 8445 §5.1.2.1: our host candidate, and as what our check would become peer-reflexive.
_HOST_PREFERENCE, _REFLEXIVE_PREFERENCE = 126, 110


def _priority(preference: int, component: int) -> int:
    return (preference << 24) | (65_535 << 8) | (256 - component)


class PairState(enum.Enum):
    """RFC 8445 §6.1.2.6, without Frozen: there is one foundation."""

    WAITING = "waiting"
    IN_PROGRESS = "in progress"
    VALID = "valid"
    FAILED = "failed"


@dataclass(slots=True)
class _Pair:
    """Our address and one of the peer's."""

    component: int
    remote: Address
    priority: int
    """Of the peer's candidate."""

    state: PairState = PairState.WAITING
    nominated: bool = False
    """By the peer, or by a check of ours that succeeded."""

    nominating: bool = False
    """The check under way carries USE-CANDIDATE."""

    transaction_id: bytes = b""
    sent: int = 0
    again_at: float | None = None
    valid_since: float = 0.0


@dataclass(slots=True)
class _Selected:
    """The path in use, and until when the peer has agreed to receive there (RFC 7675)."""

    pair: _Pair
    consent_until: float
    ask_at: float
    transaction_ids: deque[bytes]


class IceAgent:
    """Satisfies :class:`audio.core.MediaTransport` for the components ``1..components``.

    Made when both descriptions are known. A later round with other credentials needs another agent (an ICE restart);
    the paths of ``before`` are used until that has found its own (RFC 8445 §9).
    """

    def __init__(
        self,
        ids: IdSource,
        *,
        local: IceCredentials,
        remote: IceRemote,
        controlling: bool,
        components: int,
        now: float,
        before: IceAgent | None = None,
    ) -> None:
        self._ids = ids
        self._local = local
        self._remote = remote.credentials
        # RFC 8445 §6.1.1: a full agent facing a lite one is controlling, whoever offered.
        self._controlling = controlling or remote.lite
        self._tie_breaker = ids.integer(64)
        self._components = range(1, components + 1)
        self._pairs: dict[tuple[int, Address], _Pair] = {}
        self._triggered: deque[_Pair] = deque()
        self._selected: dict[int, _Selected] = {}
        self._transmits: list[Transmit] = []
        self._held: deque[Transmit] = deque(maxlen=_MAX_HELD)
        self._next_check = now
        self._fallback: dict[int, Address] = {}
        if before is not None:
            known = {component: before.selected(component) for component in self._components}
            self._fallback = {component: remote for component, remote in known.items() if remote is not None}
        for candidate in remote.candidates:
            if candidate.component in self._components:
                self._add_pair(candidate.component, (candidate.address, candidate.port), candidate.priority)
        self._due = self._earliest()

    @property
    def controlling(self) -> bool:
        """Whether we choose the path; a conflict may have turned it round."""
        return self._controlling

    @property
    def settled(self) -> bool:
        """Whether every component's path is found."""
        return len(self._selected) == len(self._components)

    def selected(self, component: int = 1) -> Address | None:
        """Where a component's datagrams go, or None while there is no path."""
        selected = self._selected.get(component)
        return selected.pair.remote if selected is not None else self._fallback.get(component)

    # -- datagrams ------------------------------------------------------------------------------------------------

    def route(self, transmit: Transmit) -> Transmit | None:
        """The datagram to its path, or before one is selected to the best that works (RFC 8445 §12.1).

        A handshake is sent again once the path is selected: some peers pass over it before.
        """
        component = _COMPONENTS[transmit.kind]
        remote = self.selected(component)
        if remote is None:
            if transmit.data and transmit.data[0] in _DTLS:
                self._held.append(transmit)
            else:
                self._held.clear()  # media: the handshake is over
            valid = self._best(component, nominated=False)
            remote = valid.remote if valid is not None else None
        return Transmit(transmit.data, remote, transmit.kind) if remote is not None else None

    def transmits(self) -> list[Transmit]:
        """Drain checks, answers, and what had been kept."""
        drained, self._transmits = self._transmits, []
        return drained

    def receive_untrusted(
        self, data: bytes, source: Address, kind: TransmitKind, now: float
    ) -> list[tuple[bytes, Address]]:
        """A STUN datagram; never raises, never unwraps anything. What does not authenticate is passed over."""
        component = _COMPONENTS[kind]
        if component not in self._components:
            return []
        try:
            if kind_untrusted(data) == REQUEST:
                self._receive_request(parse_untrusted(data, self._local.password), component, source, now)
            elif (pair := self._asked(component, transaction_id_untrusted(data), source)) is not None:
                self._receive_response(pair, parse_untrusted(data, self._remote.password), now)
        except ParseError:
            pass
        self._due = self._earliest()
        return []

    def _receive_request(self, request: StunMessage, component: int, source: Address, now: float) -> None:
        if request.username != f"{self._local.ufrag}:{self._remote.ufrag}":
            return
        if not self._settle_roles(request):
            self._answer(
                component, source, StunMessage(kind=ERROR, transaction_id=request.transaction_id, error=ROLE_CONFLICT)
            )
            return
        self._answer(component, source, StunMessage(kind=SUCCESS, transaction_id=request.transaction_id, mapped=source))
        pair = self._pairs.get((component, source)) or self._add_pair(component, source, request.priority or 1)
        if pair is None:
            return
        if request.use_candidate and not self._controlling:
            pair.nominated = True
        if pair.state is PairState.VALID:
            self._choose(component, now)
        elif pair.state is PairState.IN_PROGRESS:
            # RFC 8445 §7.3.1.4: the peer's check has just opened the way, so ours is sent again at once.
            pair.again_at = now
        elif pair not in self._triggered:
            pair.state = PairState.WAITING
            self._triggered.append(pair)
            self._next_check = min(self._next_check, now)

    def _settle_roles(self, request: StunMessage) -> bool:
        """RFC 8445 §7.3.1.1: where both have one role, tie-breakers decide. False: it is for the peer to change."""
        theirs = request.controlling if self._controlling else request.controlled
        if theirs is None:
            return True
        if (self._tie_breaker >= theirs) == self._controlling:
            return False
        self._controlling = not self._controlling
        return True

    def _asked(self, component: int, transaction_id: bytes, source: Address) -> _Pair | None:
        """The pair a response belongs to: it must come from where the request went (§7.2.5.2.1)."""
        pair = self._pairs.get((component, source))
        selected = self._selected.get(component)
        if pair is None:
            return None
        asked = selected is not None and selected.pair is pair and transaction_id in selected.transaction_ids
        return (
            pair if asked or (pair.state is PairState.IN_PROGRESS and pair.transaction_id == transaction_id) else None
        )

    def _receive_response(self, pair: _Pair, response: StunMessage, now: float) -> None:
        selected = self._selected.get(pair.component)
        if selected is not None and response.transaction_id in selected.transaction_ids:
            if response.kind == SUCCESS:
                selected.consent_until = now + CONSENT_EXPIRY_S
                selected.transaction_ids.clear()
            return
        if response.kind == SUCCESS:
            pair.state, pair.again_at, pair.valid_since = PairState.VALID, None, now
            pair.nominated = pair.nominated or pair.nominating
            self._choose(pair.component, now)
            self._send_held(pair)
        elif response.error == ROLE_CONFLICT:
            self._controlling = not self._controlling
            self._fail(pair)
            pair.state = PairState.WAITING
            self._triggered.append(pair)
        else:
            self._fail(pair)

    # -- time -----------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called, or None."""
        return self._due  # asked for with every packet, and changed by few

    def _earliest(self) -> float | None:
        deadlines = [pair.again_at for pair in self._pairs.values() if pair.again_at is not None]
        deadlines += [min(s.ask_at, s.consent_until) for s in self._selected.values()]
        if self._next_pair() is not None:
            deadlines.append(self._next_check)
        deadlines += [at for component in self._components if (at := self._nominate_at(component)) is not None]
        return min(deadlines, default=None)

    def handle_timeout(self, now: float) -> None:
        """Checks, nominations and consent that are due."""
        for pair in self._pairs.values():
            if pair.again_at is not None and pair.again_at <= now:
                if pair.sent >= MAX_SENT:
                    self._fail(pair)
                else:
                    self._send_check(pair, now)
        if now >= self._next_check and (next_pair := self._next_pair()) is not None:
            if next_pair in self._triggered:
                self._triggered.remove(next_pair)
            self._begin_check(next_pair, now)
            self._next_check = now + PACE_S
        for component in self._components:
            at = self._nominate_at(component)
            best = self._best(component, nominated=False)
            if at is not None and at <= now and best is not None:
                best.nominating = True
                self._begin_check(best, now)
        for component, selected in list(self._selected.items()):
            self._keep_consent(component, selected, now)
        self._due = self._earliest()

    def _keep_consent(self, component: int, selected: _Selected, now: float) -> None:
        if now >= selected.consent_until:
            # RFC 7675 §5.1: "an endpoint MUST ... cease transmission"; a peer that returns is looked for anew.
            del self._selected[component]
            self._fallback.pop(component, None)
            for pair in self._pairs.values():
                if pair.component == component:
                    self._fail(pair)
                    pair.state, pair.nominated = PairState.WAITING, False
        elif now >= selected.ask_at:
            transaction_id = self._new_transaction_id()
            selected.transaction_ids.append(transaction_id)
            selected.ask_at = now + CONSENT_S * self._ids.uniform(0.8, 1.2)
            self._request(selected.pair, transaction_id, use_candidate=False)

    # -- checks and nomination ------------------------------------------------------------------------------------

    def _add_pair(self, component: int, remote: Address, priority: int) -> _Pair | None:
        if len(self._pairs) >= _MAX_PAIRS:
            return None
        pair = self._pairs.setdefault((component, remote), _Pair(component, remote, priority))
        return pair

    def _next_pair(self) -> _Pair | None:
        """What is to be checked next: first what the peer triggered, then by priority; nothing once there is a path."""
        if self._triggered:
            return self._triggered[0]
        waiting = [
            pair
            for pair in self._pairs.values()
            if pair.state is PairState.WAITING and pair.component not in self._selected
        ]
        return max(waiting, key=self._rank, default=None)

    def _rank(self, pair: _Pair) -> int:
        """RFC 8445 §6.1.2.3."""
        ours = _priority(_HOST_PREFERENCE, pair.component)
        controlling, controlled = (ours, pair.priority) if self._controlling else (pair.priority, ours)
        return (min(controlling, controlled) << 32) + 2 * max(controlling, controlled) + (controlling > controlled)

    @staticmethod
    def _fail(pair: _Pair) -> None:
        pair.state, pair.again_at, pair.nominating = PairState.FAILED, None, False

    def _begin_check(self, pair: _Pair, now: float) -> None:
        pair.state, pair.sent, pair.transaction_id = PairState.IN_PROGRESS, 0, self._new_transaction_id()
        self._send_check(pair, now)

    def _send_check(self, pair: _Pair, now: float) -> None:
        pair.again_at = now + RTO_S * 2.0**pair.sent
        pair.sent += 1
        self._request(pair, pair.transaction_id, use_candidate=pair.nominating and self._controlling)

    def _request(self, pair: _Pair, transaction_id: bytes, *, use_candidate: bool) -> None:
        request = StunMessage(
            kind=REQUEST,
            transaction_id=transaction_id,
            username=f"{self._remote.ufrag}:{self._local.ufrag}",
            priority=_priority(_REFLEXIVE_PREFERENCE, pair.component),
            use_candidate=use_candidate,
            controlling=self._tie_breaker if self._controlling else None,
            controlled=None if self._controlling else self._tie_breaker,
        )
        self._send(pair.component, pair.remote, request.serialise(self._remote.password))

    def _answer(self, component: int, destination: Address, response: StunMessage) -> None:
        self._send(component, destination, response.serialise(self._local.password))

    def _send(self, component: int, destination: Address, data: bytes) -> None:
        self._transmits.append(Transmit(data, destination, _KINDS[component]))

    def _best(self, component: int, *, nominated: bool) -> _Pair | None:
        valid = [
            pair
            for pair in self._pairs.values()
            if pair.component == component and pair.state is PairState.VALID and (pair.nominated or not nominated)
        ]
        return max(valid, key=self._rank, default=None)

    def _nominate_at(self, component: int) -> float | None:
        """When the controlling agent is to nominate (RFC 8445 §8.1.1: how long to wait is its own choice)."""
        if not self._controlling or component in self._selected:
            return None
        if any(pair.nominating for pair in self._pairs.values() if pair.component == component):
            return None
        best = self._best(component, nominated=False)
        if best is None:
            return None
        hopeful = [p for p in self._pairs.values() if p.component == component and p.state is not PairState.FAILED]
        # From host to host there is no detour that another pair could save; the far end's DTLS waits for this.
        settled = best.priority >> 24 >= _HOST_PREFERENCE or max(hopeful, key=self._rank) is best
        return best.valid_since + (0.0 if settled else NOMINATE_AFTER_S)

    def _choose(self, component: int, now: float) -> None:
        """Select the best nominated pair; with a peer that nominates several the highest wins."""
        best = self._best(component, nominated=True)
        selected = self._selected.get(component)
        if best is None or (selected is not None and selected.pair is best):
            return
        self._selected[component] = _Selected(
            best, now + CONSENT_EXPIRY_S, now + CONSENT_S * self._ids.uniform(0.8, 1.2), deque(maxlen=_MAX_HELD)
        )
        held, self._held = self._held, deque(maxlen=_MAX_HELD)
        for transmit in held:
            if (routed := self.route(transmit)) is not None:
                self._transmits.append(routed)

    def _send_held(self, pair: _Pair) -> None:
        """The handshake need not wait for the nomination: a peer may begin it on the first path that works."""
        if self.selected(pair.component) is None and pair is self._best(pair.component, nominated=False):
            for transmit in self._held:
                if _COMPONENTS[transmit.kind] == pair.component:
                    self._transmits.append(Transmit(transmit.data, pair.remote, transmit.kind))

    def _new_transaction_id(self) -> bytes:
        return self._ids.integer(96).to_bytes(12, "big")
