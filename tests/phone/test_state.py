"""Reducing events into the state, and the state crossing the socket."""

from __future__ import annotations

import json
from functools import reduce as fold

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phone.protocol import events as ev
from phone.protocol.codec import ProtocolError
from phone.protocol.snapshots import CallMedia, HistoryEntry, Reconnect
from phone.state import (
    RECENT_CALLS,
    PhoneState,
    apply,
    calls_json,
    changes,
    reduce,
    state_from_json,
    state_to_json,
    status_json,
)


def after(*events: ev.Event, state: PhoneState | None = None) -> PhoneState:
    """The state after events."""
    return fold(reduce, events, state or PhoneState())


REGISTERED = ev.Registered(at=100, account="1001@pbx", expires_s=600)


class TestRegistration:
    def test_registered(self) -> None:
        slice_ = after(REGISTERED).registration
        assert (slice_.state, slice_.account, slice_.expires_at) == ("registered", "1001@pbx", 700)

    def test_a_first_attempt_is_no_reconnection(self) -> None:
        assert after(ev.RegistrationAttempt(at=1, attempt=1, max=3)).registration.reconnect is None

    def test_a_wait_counts_down_to_its_attempt(self) -> None:
        state = after(ev.RetryScheduled(at=10, what="registration", attempt=2, max=3, wait_s=4))
        assert state.registration.reconnect == Reconnect(what="registration", attempt=2, max=3, next_at=14)
        assert status_json(state, 11.5)["reconnect"] == {
            "what": "registration",
            "attempt": 2,
            "max": 3,
            "next_in_s": 2.5,
        }
        assert status_json(state, 99)["reconnect"]["next_in_s"] == 0

    def test_success_clears_every_trouble(self) -> None:
        state = after(
            ev.RegistrationFailed(at=1, attempt=1, max=3, status=403, reason="Forbidden", credentials_refused=True),
            ev.RetryScheduled(at=1, what="registration", attempt=2, max=3, wait_s=2),
        )
        assert state.registration.credentials_refused
        assert state.registration.status == 403
        state = reduce(state, REGISTERED)
        assert not state.registration.credentials_refused
        assert state.registration.reconnect is None
        assert status_json(state, 100)["status"] == 0

    def test_given_up(self) -> None:
        state = after(
            ev.ReconnectionAttempting(at=1, attempt=10, max=10),
            ev.ReconnectionFailed(at=2, attempts=10, reason="No answer"),
            ev.RegistrationChanged(at=2, state="failed"),
        )
        assert status_json(state, 3)["registration"] == "failed"
        assert status_json(state, 3)["reconnect"] is None
        assert status_json(state, 3)["reason"] == "No answer"

    def test_a_quiet_retry_may_follow(self) -> None:
        state = after(
            ev.RegistrationChanged(at=2, state="failed"),
            ev.RetryScheduled(at=2, what="registration", attempt=1, max=1, wait_s=60),
        )
        assert state.registration.state == "failed"
        assert state.registration.reconnect is not None


class TestTransport:
    def test_loss(self) -> None:
        state = after(
            ev.TransportConnected(at=1, server="ws:x"),
            ev.KeepAlive(at=2, result="answered", rtt_ms=12.5),
            ev.TransportDisconnected(at=3, server="ws:x", reason="closed"),
        )
        assert (state.transport.state, state.transport.reason, state.transport.rtt_ms) == (
            "disconnected",
            "closed",
            None,
        )

    def test_network_and_keep_alive(self) -> None:
        state = after(ev.NetworkOffline(at=1), ev.KeepAliveStarted(at=1, interval_s=90))
        assert (state.transport.network, state.transport.keep_alive_s) == ("offline", 90)
        state = after(ev.NetworkOnline(at=2), ev.KeepAliveStopped(at=2), state=state)
        assert (state.transport.network, state.transport.keep_alive_s) == ("online", None)


INCOMING = ev.IncomingCall(at=50, call="aaaa", peer="2002", peer_uri="sip:2002@pbx", display_name="Ann")
OUTGOING = ev.OutgoingCall(at=60, call="bbbb", peer="600")


def entry(number: int) -> HistoryEntry:
    return HistoryEntry(id=number, direction="in", outcome="missed", peer="x", started_at=float(number))


class TestCalls:
    def test_a_call_from_ring_to_end(self) -> None:
        state = after(INCOMING)
        assert (state.calls[0].direction, state.calls[0].state) == ("in", "ringing")
        state = reduce(state, ev.CallStateChanged(at=55, call="aaaa", state="active", status=200, reason="OK"))
        state = reduce(state, ev.MediaNegotiated(at=55, call="aaaa", codec="PCMA", direction="sendrecv"))
        state = reduce(state, ev.HoldChanged(at=56, call="aaaa", local=True, remote=False))
        state = reduce(state, ev.CallStateChanged(at=58, call="aaaa", state="active"))
        call = state.calls[0]
        assert (call.answered_at, call.codec, call.held, call.held_by_peer) == (55, "PCMA", True, False)
        state = reduce(state, ev.CallEnded(at=60, call="aaaa", by="remote", outcome="answered"))
        assert state.calls == ()

    def test_calls_keep_the_order_they_began_in(self) -> None:
        state = after(INCOMING, OUTGOING, ev.MuteChanged(at=61, call="aaaa", muted=True))
        assert [call.id for call in state.calls] == ["aaaa", "bbbb"]
        assert state.calls[0].muted

    def test_an_event_after_the_end_changes_nothing(self) -> None:
        state = after(INCOMING)
        assert reduce(state, ev.MediaMeasured(at=61, call="gone", media=CallMedia())) is state

    def test_duration_counts_from_the_answer(self) -> None:
        state = after(OUTGOING)
        assert calls_json(state, 1000)[0]["duration_s"] == 0
        state = reduce(state, ev.CallStateChanged(at=70, call="bbbb", state="active"))
        assert calls_json(state, 75.25)[0]["duration_s"] == 5.2
        assert calls_json(state, 1)[0]["duration_s"] == 0  # somebody set the clock back

    def test_what_scripts_read(self) -> None:
        """architecture.md "Command line": at least these members."""
        state = after(REGISTERED, ev.TransportConnected(at=1, server="ws:x"), OUTGOING)
        status = status_json(state, 100)
        assert status["registration"] == "registered"
        assert status["transport"] == "connected"
        assert status["reconnect"] is None
        assert status["audio"].items() >= {"input": "default", "output": "default"}.items()
        (call,) = status["calls"]
        expected = {
            "id": "bbbb", "direction": "out", "state": "calling", "peer": "600", "duration_s": 0, "codec": None,
            "held": False, "muted": False, "media": None,
        }  # fmt: skip
        assert call.items() >= expected.items()
        state = reduce(state, ev.MediaMeasured(at=61, call="bbbb", media=CallMedia(mos=4.4, loss=0.01, jitter_ms=3)))
        assert status_json(state, 100)["calls"][0]["media"] == {
            "mos": 4.4,
            "loss": 0.01,
            "underruns": 0,
            "overruns": 0,
            "jitter_ms": 3,
            "rtt_ms": None,
        }

    def test_recent_is_bounded_and_newest_first(self) -> None:
        state = after(*(ev.HistoryAdded(at=1, entry=entry(number)) for number in range(RECENT_CALLS + 5)))
        assert [item.id for item in state.recent[:2]] == [RECENT_CALLS + 4, RECENT_CALLS + 3]
        assert len(state.recent) == RECENT_CALLS


def test_sound_trouble_comes_and_goes() -> None:
    state = after(
        ev.AudioChanged(at=1, input="a", output="b", ring="c"), ev.AudioProblem(at=2, problem="input", detail="gone")
    )
    assert (state.audio.input, state.audio.problem, state.audio.detail) == ("a", "input", "gone")
    assert after(ev.AudioRestored(at=3), state=state).audio.problem is None


def test_a_call_that_could_not_be_encrypted_is_no_trouble_of_the_devices() -> None:
    state = after(ev.AudioProblem(at=2, problem="security", detail="Somebody may be listening."))
    assert state.audio.problem is None


def test_voicemail() -> None:
    assert after(ev.MessageWaiting(at=1, waiting=True, new=2, old=1)).voicemail.new == 2


_CALLS = st.sampled_from(["aaaa", "bbbb", "cccc"])
_EVENTS = st.one_of(
    st.builds(ev.IncomingCall, at=st.floats(0, 1e9), call=_CALLS, peer=st.text(max_size=5)),
    st.builds(ev.CallStateChanged, at=st.floats(0, 1e9), call=_CALLS, state=st.sampled_from(["early", "active"])),
    st.builds(ev.HoldChanged, at=st.floats(0, 1e9), call=_CALLS, local=st.booleans(), remote=st.booleans()),
    st.builds(
        ev.CallEnded, at=st.floats(0, 1e9), call=_CALLS, by=st.just("remote"), outcome=st.sampled_from(["missed"])
    ),
    st.builds(ev.Registered, at=st.floats(0, 1e9), account=st.text(max_size=5), expires_s=st.integers(1, 999)),
    st.builds(ev.NetworkOffline, at=st.floats(0, 1e9)),
    st.builds(ev.AudioProblem, at=st.floats(0, 1e9), problem=st.text(max_size=5)),
    st.builds(ev.HistoryAdded, at=st.floats(0, 1e9), entry=st.builds(entry, st.integers(0, 9))),
)


def _distinct(events: list[ev.Event]) -> list[ev.Event]:
    """A call begins once."""
    seen: set[str] = set()
    kept = []
    for event in events:
        if isinstance(event, ev.IncomingCall):
            if event.call in seen:
                continue
            seen.add(event.call)
        kept.append(event)
    return kept


class TestCrossing:
    @given(st.lists(_EVENTS, max_size=20).map(_distinct), st.integers(0, 20))
    def test_slices_make_the_copy_equal(self, events: list[ev.Event], split: int) -> None:
        """However the notifications are coalesced, the copy ends up as the original."""
        before = after(*events[:split])
        original = after(*events)
        slices = json.loads(json.dumps(changes(before, original)))
        assert apply(before, slices) == original

    @given(st.lists(_EVENTS, max_size=20).map(_distinct))
    def test_the_whole_state(self, events: list[ev.Event]) -> None:
        state = after(*events)
        assert state_from_json(json.loads(json.dumps(state_to_json(state)))) == state

    def test_nothing_changed_is_nothing_sent(self) -> None:
        assert changes(after(INCOMING), after(INCOMING)) == {}

    def test_whole_slices_are_replaced(self) -> None:
        slices = changes(PhoneState(), after(REGISTERED, INCOMING))
        assert set(slices) == {"registration", "calls"}
        assert slices["calls"]["aaaa"]["display_name"] == "Ann"
        assert changes(after(INCOMING), PhoneState()) == {"calls": {"aaaa": None}}

    def test_a_slice_from_the_future_is_skipped(self) -> None:
        assert apply(PhoneState(), {"weather": {"rain": True}}) == PhoneState()

    @pytest.mark.parametrize("slices", [None, {"calls": []}, {"calls": {"x": 1}}, {"audio": {"input": 5}}])
    def test_nonsense_is_refused(self, slices: object) -> None:
        with pytest.raises(ProtocolError):
            apply(PhoneState(), slices)
