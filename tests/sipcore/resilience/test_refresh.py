"""What a registration costs while nothing happens, and whose nonce it is refreshed with (promise R7; RFC 7616 §3.3)."""

from __future__ import annotations

import itertools
import random

import pytest

from sipcore import events as ev
from sipcore.auth.authenticator import Authenticator
from sipcore.auth.credentials import Authorization, Credentials
from sipcore.ids import IdSource
from sipcore.message.message import Request, Response
from sipcore.message.parse import parse_message
from sipcore.resilience.refresh import NonceKeeper, RefreshPlan
from tests.sim.pbx import SimPbx
from tests.sim.phone import SimPhone
from tests.sim.world import Connection, End, World

_ASTERISK_SAYS_MORE = 140
"""Bytes of Server, received, rport and opaque, and its longer nonce, that the simulated PBX leaves out."""

_UPGRADED_FRAME = 8
"""A masked WebSocket header; the answer's is shorter."""


class Line:
    """A phone registered at a PBX whose nonces live as long as Asterisk's; every message that passed."""

    def __init__(self, seed: int, *, challenges_options: bool = True, nonce_lifetime_s: float = 32.0) -> None:
        self.world = World(seed)
        self.pbx = SimPbx(self.world, {"1001": "right"}, nonce_lifetime_s=nonce_lifetime_s)
        self.pbx.challenges_options = challenges_options
        self.messages: list[tuple[float, Request | Response]] = []
        self.bytes = 0
        self.phone = SimPhone(self.world, self.pbx, watch=self._see, watch_message=self._message)
        self.phone.run(self.phone.stack.start)
        self.wait(3.0)
        self.messages.clear()
        self.bytes = 0

    def _see(self, thing: object) -> None:
        if isinstance(thing, ev.PingFlow):
            self.bytes += 6 + 2

    def _message(self, connection: Connection, end: End, data: bytes) -> None:
        message = parse_message(data)
        self.messages.append((self.world.now, message))
        self.bytes += len(data) + _UPGRADED_FRAME + (_ASTERISK_SAYS_MORE if isinstance(message, Response) else 0)

    def wait(self, seconds: float) -> None:
        self.world.run_until(self.world.now + seconds)

    def of(self, method: str) -> list[Request | Response]:
        return [message for _, message in self.messages if message.cseq.method == method]

    def digests(self) -> list[str]:
        return [
            value
            for message in self.of("REGISTER")
            if isinstance(message, Request)
            for value in message.headers.get_all("Authorization")
        ]


@pytest.mark.parametrize("seed", range(1, 13))
def test_ten_idle_minutes_behind_asterisk_cost_less_than_7_kilobytes(seed: int) -> None:
    """R7, byte by byte: OPTIONS challenged every 90 s, and one REGISTER on the nonce of the last."""
    line = Line(seed)
    line.wait(600.0)
    requests = [m.method for _, m in line.messages if isinstance(m, Request)]
    assert requests.count("OPTIONS") == 6
    assert requests.count("REGISTER") == 1
    assert [m.status for m in line.of("REGISTER") if isinstance(m, Response)] == [200]
    assert all("User-Agent" not in m.headers for m in line.of("OPTIONS"))
    assert line.bytes <= 7000


@pytest.mark.parametrize("seed", range(1, 13))
def test_the_refresh_keeps_to_its_window_all_the_same(seed: int) -> None:
    """resilience.md 3.5: at 50 to 85 % of 600 s, whatever the keep-alive does."""
    line = Line(seed)
    line.wait(2400.0)
    times = [at for at, m in line.messages if isinstance(m, Request) and m.method == "REGISTER"]
    waits = [after - before for before, after in itertools.pairwise(times)]
    assert waits
    assert all(300.0 <= wait <= 511.0 for wait in waits)


def test_without_challenged_options_an_old_nonce_is_sent_once_and_not_again() -> None:
    """It is too old after half a binding's life; what the PBX thinks of that is remembered."""
    line = Line(3, challenges_options=False)
    line.wait(3000.0)
    registers = [m for m in line.of("REGISTER") if isinstance(m, Request)]
    signed = ["Authorization" in request.headers for request in registers]
    assert signed[:2] == [True, True]
    assert signed[2:] == [False, True] * ((len(signed) - 2) // 2)
    assert len(signed) >= 8


def test_a_nonce_that_lives_long_is_used_as_long_as_it_lives() -> None:
    line = Line(3, challenges_options=False, nonce_lifetime_s=1e6)
    line.wait(3000.0)
    answers = [m.status for m in line.of("REGISTER") if isinstance(m, Response)]
    assert set(answers) == {200}


def test_two_stale_401_cost_less_than_a_second() -> None:
    line = Line(1)
    line.pbx.script.stale = 2
    line.phone.wire.connections[-1].reset()
    lost = line.world.now
    line.wait(60.0)
    accepted = [
        at for at, m in line.messages if m.cseq.method == "REGISTER" and isinstance(m, Response) and m.is_success
    ]
    assert accepted[0] - lost <= 1.0


@pytest.mark.parametrize("challenges_options", [True, False])
def test_no_digest_is_sent_twice(challenges_options: bool) -> None:
    """RFC 3261 §22.1: rejected credentials are not tried again; nor is any other digest, in an hour of trouble."""
    line = Line(5, challenges_options=challenges_options)
    for stale in (0, 2, 0, 2):
        line.wait(700.0)
        line.pbx.script.stale = stale
        line.phone.wire.connections[-1].reset()
    line.pbx.passwords["1001"] = "new"
    line.wait(2000.0)
    digests = line.digests()
    assert len(digests) > 10
    assert len(set(digests)) == len(digests)
    uses = [(found.nonce, found.nc) for value in digests if (found := Authorization.parse(value)) is not None]
    assert len(set(uses)) == len(uses)


# --- the parts ---------------------------------------------------------------------------------------------


def plan() -> RefreshPlan:
    return RefreshPlan(IdSource(random.Random(2)))


def test_a_nonce_early_in_life_changes_nothing() -> None:
    made = plan()
    due_at = made.made(600.0, 0.0)
    assert made.nonce(due_at, 90.0, 270.0) == due_at


def test_the_last_nonce_before_the_random_point_is_taken() -> None:
    made = plan()
    made.made(600.0, 0.0)
    assert 300.0 <= made.nonce(380.0, 90.0, 300.0) <= 310.0
    assert made.nonce(505.0, 90.0, 360.0) == 505.0


def test_a_refresh_waits_for_a_nonce_that_comes_in_time_and_only_once() -> None:
    made = plan()
    made.made(600.0, 0.0)
    made.nonce(310.0, 90.0, 270.0)
    assert made.put_off(310.0) == 371.0
    assert made.put_off(371.0) is None


def test_a_nonce_that_would_come_too_late_is_not_waited_for() -> None:
    made = plan()
    made.made(120.0, 0.0)
    made.nonce(61.0, 90.0, 0.0)
    assert made.put_off(61.0) is None


def challenged(nonce: str, status: int = 401) -> Response:
    raw = (
        f"SIP/2.0 {status} No\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n"
        f'Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nWWW-Authenticate: Digest realm="pbx", nonce="{nonce}", qop="auth"\r\n'
        "Content-Length: 0\r\n\r\n"
    )
    message = parse_message(raw.encode())
    assert isinstance(message, Response)
    return message


def test_a_strangers_challenge_is_no_nonce() -> None:
    """Only a realm that was answered before: nobody else gets a digest."""
    authenticator = Authenticator(Credentials("1001", "x"), IdSource(random.Random(1)))
    keeper = NonceKeeper(authenticator)
    assert not keeper.offered(challenged("n1"), 5.0)
    assert not authenticator.take_over(challenged("n1", 200))


def test_trust_shrinks_with_a_refusal_and_grows_with_success() -> None:
    keeper = NonceKeeper(Authenticator(Credentials("1001", "x"), IdSource(random.Random(1))))
    keeper.judged(challenged("n1"), 0.0)
    assert keeper.worth_sending(400.0)
    keeper.judged(challenged("n2"), 400.0)
    assert not keeper.worth_sending(601.0)
    keeper.judged(challenged("n3"), 601.0)
    assert keeper.worth_sending(701.0)
