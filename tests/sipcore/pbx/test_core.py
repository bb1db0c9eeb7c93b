"""The demo PBX against the phone's own stack, on virtual time and without a socket."""

from __future__ import annotations

import random

import pytest

from sipcore.auth.credentials import Credentials
from sipcore.config import Account, ServerAddress, StackConfig
from sipcore.events import (
    CallEnded,
    CallState,
    CallStateChanged,
    CloseFlow,
    EndedBy,
    Event,
    IncomingCall,
    MediaNegotiated,
    OpenFlow,
    RegistrationRefused,
    RegistrationState,
    Transmit,
)
from sipcore.ids import IdSource
from sipcore.media import LocalMedia
from sipcore.pbx.core import LegEvent, Pbx
from sipcore.stack import Stack

SERVER = ServerAddress("ws", "127.0.0.1", 8088, "/ws")
FLOW = 1
MEDIA = LocalMedia(address="127.0.0.1", rtp_port=20000, rtcp_port=20001)
ROBOT = LocalMedia(address="127.0.0.1", rtp_port=30000, rtcp_port=30001)


class Wire:
    """One phone and the PBX; what either sends arrives at once."""

    def __init__(self, *, password: str = "secret") -> None:
        ids = IdSource(random.Random(7))
        account = Account(servers=(SERVER,), username="1001", domain="demo.invalid", auth_username="1001")
        self.pbx = Pbx("demo.invalid", {"1001": "secret"}, ids)
        self.phone = Stack(StackConfig(account=account), Credentials("1001", password), ids)
        self.now = 0.0
        self.heard: list[Event] = []
        self.legs: list[LegEvent] = []

    def settle(self) -> None:
        """Carry everything to and fro until both are silent."""
        moved = True
        while moved:
            moved = False
            for effect in self.phone.effects():
                moved = True
                match effect:
                    case OpenFlow(flow=flow):
                        self.pbx.flow_opened(FLOW, SERVER, self.now)
                        self.flow = flow
                        self.phone.flow_opened(flow, ("127.0.0.1", 40000), self.now)
                    case Transmit(data=data):
                        self.pbx.receive(data, FLOW, self.now)
                    case CloseFlow():
                        self.pbx.flow_lost(FLOW, self.now)
                    case _:
                        pass
            for answer in self.pbx.effects():
                moved = True
                self.phone.receive(answer.data, self.flow, self.now)
            self.heard += self.phone.events()
            self.legs += self.pbx.events()

    def later(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline."""
        end = self.now + seconds
        while True:
            due = [at for at in (self.phone.next_timeout(), self.pbx.next_timeout()) if at is not None]
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            self.phone.handle_timeout(self.now)
            self.pbx.handle_timeout(self.now)
            self.settle()
        self.now = end


def registered() -> Wire:
    wire = Wire()
    wire.phone.start(wire.now)
    wire.settle()
    assert wire.phone.registration_state is RegistrationState.REGISTERED
    return wire


def test_a_phone_with_the_right_password_registers() -> None:
    wire = registered()
    assert wire.pbx.registrar.users(wire.now) == ("1001",)
    assert wire.pbx.user_of(FLOW) == "1001"


def test_a_wrong_password_is_refused_and_no_binding_made() -> None:
    wire = Wire(password="wrong")
    wire.phone.start(wire.now)
    wire.settle()
    wire.later(30)
    assert wire.phone.registration_state is RegistrationState.FAILED
    assert wire.pbx.registrar.users(wire.now) == ()


def test_the_binding_lives_as_long_as_it_is_refreshed_and_no_longer() -> None:
    wire = registered()
    wire.later(3600)
    assert wire.pbx.registrar.users(wire.now) == ("1001",)
    wire.pbx.flow_lost(FLOW, wire.now)
    assert wire.pbx.registrar.users(wire.now) == ()


def test_unregistering_removes_the_binding() -> None:
    wire = registered()
    wire.phone.unregister(wire.now)
    wire.settle()
    assert wire.pbx.registrar.users(wire.now) == ()


def incoming(wire: Wire, called: str) -> IncomingCall:
    wire.phone.dial(called, MEDIA, wire.now)
    wire.settle()
    (call,) = [leg.event for leg in wire.legs if isinstance(leg.event, IncomingCall)]
    return call


def test_the_owner_sees_the_number_that_was_dialled_and_answers() -> None:
    wire = registered()
    call = incoming(wire, "600")
    assert call.called == "600"
    wire.pbx.answer(FLOW, call.call, ROBOT, wire.now)
    wire.settle()
    (negotiated,) = [event for event in wire.heard if isinstance(event, MediaNegotiated)]
    assert (negotiated.parameters.remote_address, negotiated.parameters.remote_rtp_port) == ("127.0.0.1", 30000)
    assert CallState.ACTIVE in [event.state for event in wire.heard if isinstance(event, CallStateChanged)]
    wire.pbx.hang_up(FLOW, call.call, wire.now)
    wire.settle()
    (ended,) = [event for event in wire.heard if isinstance(event, CallEnded)]
    assert (ended.by, ended.answered) == (EndedBy.REMOTE, True)


def test_a_busy_number_is_busy() -> None:
    wire = registered()
    call = incoming(wire, "603")
    wire.pbx.reject(FLOW, call.call, 486, wire.now)
    wire.settle()
    (ended,) = [event for event in wire.heard if isinstance(event, CallEnded)]
    assert ended.status == 486


def test_the_pbx_calls_the_phone() -> None:
    wire = registered()
    wire.pbx.dial(FLOW, ROBOT, wire.now)
    wire.settle()
    (call,) = [event for event in wire.heard if isinstance(event, IncomingCall)]
    wire.phone.answer(call.call, MEDIA, wire.now)
    wire.settle()
    assert any(isinstance(leg.event, MediaNegotiated) for leg in wire.legs)
    wire.phone.hang_up(call.call, wire.now)
    wire.settle()
    assert [leg.event.by for leg in wire.legs if isinstance(leg.event, CallEnded)] == [EndedBy.REMOTE]


def test_a_call_without_credentials_is_challenged_and_reaches_nobody() -> None:
    wire = registered()
    before = len(wire.legs)
    wire.pbx.receive(
        b"INVITE sip:600@demo.invalid SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
        b"From: <sip:thief@demo.invalid>;tag=1\r\nTo: <sip:600@demo.invalid>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
        b"Contact: <sip:thief@x.invalid>\r\nContent-Length: 0\r\n\r\n",
        FLOW,
        wire.now,
    )
    answers = [effect.data for effect in wire.pbx.effects()]
    assert any(answer.startswith(b"SIP/2.0 401") for answer in answers)
    assert len(wire.legs) == before
    assert wire.pbx.events() == []


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"INVITE sip:x SIP/2.0\r\n\r\n", b"\xff\xfe REGISTER"])
def test_nothing_from_the_network_raises(data: bytes) -> None:
    wire = registered()
    wire.pbx.receive(data, FLOW, wire.now)
    wire.pbx.effects()


def test_a_busy_registrar_says_when_to_come_back() -> None:
    """RFC 3261 §20.33, as the demo's chaos key shows it: refused twice, obeyed to the second, then registered."""
    wire = Wire()
    wire.pbx.refuse_registrations(503, 2, retry_after_s=5)
    wire.phone.start(wire.now)
    wire.settle()
    states = []
    for wait_s in (4.9, 5.0, 0.5):
        wire.later(wait_s)
        states.append(wire.phone.registration_state.value)
    assert states == ["registering", "registering", "registered"]
    assert len([event for event in wire.heard if isinstance(event, RegistrationRefused) and event.status == 503]) == 2
