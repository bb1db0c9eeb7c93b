"""Signs of life (promise R4; resilience.md 3.4 and 3.9; RFC 5626 §3.5)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sipcore.config import Resilience
from sipcore.resilience.keepalive import AdaptiveInterval, Heartbeat, KeepAlive, Ping

if TYPE_CHECKING:
    import pytest

SETTINGS = Resilience()


def test_a_websocket_is_pinged_every_15_s_and_dead_after_10_s_of_silence() -> None:
    """A half-open flow is noticed within 25 s."""
    heart = Heartbeat(SETTINGS)
    heart.flow_up(Ping.WEBSOCKET, 0.0)
    assert heart.next_timeout() == 15.0
    assert heart.due_to_ping(15.0)
    assert not heart.found_dead(24.9)
    assert heart.found_dead(25.0)


def test_any_inbound_byte_is_life_and_puts_the_next_ping_off() -> None:
    heart = Heartbeat(SETTINGS)
    heart.flow_up(Ping.WEBSOCKET, 0.0)
    heart.due_to_ping(15.0)
    heart.life(20.0)
    assert not heart.found_dead(26.0)
    assert heart.next_timeout() == 35.0


def test_crlf_proves_nothing_until_it_was_answered_once() -> None:
    """Asterisk never answers one; RFC 5626 §4.4.1 would call such a flow dead."""
    heart = Heartbeat(SETTINGS)
    heart.flow_up(Ping.CRLF, 0.0)
    assert heart.due_to_ping(15.0)
    assert not heart.found_dead(100.0)
    heart.life(16.0, pong=True)
    assert heart.due_to_ping(31.0)
    assert heart.found_dead(41.0)


def test_zero_turns_pings_off() -> None:
    heart = Heartbeat(Resilience(ping_interval=0))
    heart.flow_up(Ping.WEBSOCKET, 0.0)
    assert heart.next_timeout() is None
    heart.life(5.0)
    assert heart.next_timeout() is None


def test_verify_asks_with_a_short_deadline() -> None:
    heart = Heartbeat(SETTINGS)
    heart.flow_up(Ping.WEBSOCKET, 0.0)
    assert heart.verify(5.0)
    assert heart.found_dead(8.0)
    heart.flow_up(Ping.CRLF, 0.0)
    assert not heart.verify(5.0)


def test_nothing_is_due_without_a_flow() -> None:
    heart = Heartbeat(SETTINGS)
    heart.flow_up(Ping.WEBSOCKET, 0.0)
    heart.due_to_ping(15.0)
    heart.flow_down(20.0, remote=True)
    assert heart.next_timeout() is None
    assert not heart.found_dead(100.0)


def test_the_interval_halves_after_idle_losses_down_to_a_sixth_and_grows_again() -> None:
    interval = AdaptiveInterval(90.0)
    seen = []
    for _ in range(5):
        interval.begin(0.0)
        interval.lost(90.0)
        seen.append(interval.seconds)
    assert seen == [45.0, 22.5, 15.0, 15.0, 15.0]
    interval.begin(1000.0)
    interval.alive(1500.0)
    assert interval.seconds == 15.0
    for hour in range(1, 10):
        interval.alive(1000.0 + 3600.0 * hour)
    assert interval.seconds == 90.0


def test_a_loss_in_traffic_does_not_shorten_the_interval() -> None:
    interval = AdaptiveInterval(15.0)
    interval.begin(0.0)
    interval.lost(2.0)
    assert interval.seconds == 15.0


def test_sleep_is_no_silence() -> None:
    heart = Heartbeat(SETTINGS)
    heart.flow_up(Ping.WEBSOCKET, 0.0)
    heart.resumed(1000.0)
    assert heart.next_timeout() == 1015.0
    heart.flow_down(1001.0, remote=True)
    assert heart.interval_s == 15.0


def test_options_every_90_s_only_while_running() -> None:
    keeper = KeepAlive(SETTINGS)
    assert keeper.next_timeout() is None
    assert keeper.start(0.0)
    assert not keeper.start(1.0)
    assert not keeper.due_to_send(89.9)
    assert keeper.due_to_send(90.0)
    assert keeper.asked
    assert keeper.next_timeout() is None
    assert keeper.answered(90.25) == 250.0
    assert keeper.next_timeout() == 180.25
    assert keeper.stop()
    assert not keeper.stop()
    assert keeper.next_timeout() is None


def test_a_missed_answer_means_dead_unless_other_sip_came() -> None:
    keeper = KeepAlive(SETTINGS)
    keeper.start(0.0)
    keeper.due_to_send(90.0)
    assert keeper.missed(100.0)
    keeper.stop()
    keeper.start(200.0)
    keeper.ask_now(210.0)
    assert keeper.due_to_send(210.0)
    keeper.sip_life()
    assert not keeper.missed(220.0)
    assert keeper.next_timeout() is not None


def test_zero_turns_the_keep_alive_off() -> None:
    assert not KeepAlive(Resilience(keep_alive_interval=0)).start(0.0)


def test_state_is_under_a_kilobyte() -> None:
    """R7."""
    parts: list[object] = []
    for thing in (Heartbeat(SETTINGS), KeepAlive(SETTINGS)):
        parts.append(thing)
        parts += [getattr(thing, name) for name in type(thing).__slots__]
        parts += [
            getattr(part, name) for part in list(parts) if isinstance(part, AdaptiveInterval) for name in part.__slots__
        ]
    assert sum(sys.getsizeof(part) for part in {id(part): part for part in parts}.values()) < 1024


def test_log_lines_as_promised(caplog: pytest.LogCaptureFixture) -> None:
    """R6."""
    caplog.set_level("INFO", "sipcore")
    keeper = KeepAlive(SETTINGS)
    keeper.start(0.0)
    keeper.due_to_send(90.0)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["Starting keep-alive mechanism (interval: 90s)", "Sending keep-alive OPTIONS request"]


def test_a_flow_timer_bounds_the_interval_and_makes_silence_a_verdict() -> None:
    """RFC 5626 §4.4.1: without the pong within 10 s "the client MUST treat the flow as failed"."""
    heart = Heartbeat(Resilience(ping_interval=60.0))
    heart.flow_up(Ping.CRLF, 0.0)
    heart.promised(20.0, 1.0)
    assert heart.expects_answer
    assert heart.next_timeout() == 17.0
    assert heart.due_to_ping(17.0)
    assert heart.found_dead(27.0)
    heart.life(18.0)
    assert heart.next_timeout() == 34.0


def test_a_longer_flow_timer_changes_no_interval_and_ends_with_its_flow() -> None:
    heart = Heartbeat(SETTINGS)
    heart.flow_up(Ping.CRLF, 0.0)
    heart.promised(120.0, 0.0)
    assert heart.next_timeout() == 15.0
    heart.flow_up(Ping.CRLF, 100.0)
    assert not heart.expects_answer


def test_over_udp_a_flow_timer_promises_no_answer_to_a_crlf() -> None:
    """RFC 5626 §4.4.2 has STUN answered there; an unanswered CRLF would be a dead flow every 25 s."""
    heart = Heartbeat(Resilience(ping_interval=60.0))
    heart.flow_up(Ping.DATAGRAM, 0.0)
    heart.promised(20.0, 1.0)
    assert not heart.expects_answer
    assert heart.due_to_ping(17.0)
    assert not heart.found_dead(60.0)


def test_pings_that_are_turned_off_stay_so() -> None:
    heart = Heartbeat(Resilience(ping_interval=0.0))
    heart.flow_up(Ping.WEBSOCKET, 0.0)
    heart.promised(20.0, 0.0)
    assert heart.next_timeout() is None
