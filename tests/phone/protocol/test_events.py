"""Events: the names scripts rely on, and their JSON form."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phone.protocol import events as ev
from phone.protocol.codec import ProtocolError

EVENTS = st.sampled_from(sorted(ev.EVENTS)).flatmap(lambda name: st.from_type(ev.EVENTS[name]))

CONTRACT = {
    "reconnectionAttempting": {"attempt"},
    "reconnectionSuccess": set(),
    "reconnectionFailed": {"attempts", "reason"},
    "registered": set(),
    "unregistered": set(),
    "registrationFailed": {"attempt", "status", "reason"},
    "transportConnected": set(),
    "transportDisconnected": set(),
    "networkOnline": set(),
    "networkOffline": set(),
    "incomingCall": set(),
    "callStateChanged": set(),
    "keepAlive": {"result", "rtt_ms"},
}
"""architecture.md "Command line"."""


@pytest.mark.parametrize("name", CONTRACT)
def test_names_and_members_of_the_contract(name: str) -> None:
    members = {item.name for item in dataclasses.fields(ev.EVENTS[name])}
    assert members >= CONTRACT[name] | {"at"}
    assert name not in ev.UNPUBLISHED


@given(EVENTS)
def test_what_is_written_is_read_back(event: ev.Event) -> None:
    data = json.loads(json.dumps(ev.event_to_json(event)))
    assert data["event"] == event.event
    # NaN is no number to anybody; an integer is as good as a float
    if "nan" not in repr(event):
        assert ev.event_from_json(data) == event


def test_names_are_not_used_twice() -> None:
    assert len(ev.EVENTS) == len({cls.event for cls in ev.EVENTS.values()})


def test_a_member_from_the_future_is_ignored() -> None:
    data = {"event": "registered", "at": 1, "account": "a@b", "expires_s": 60, "colour": "red"}
    assert ev.event_from_json(data) == ev.Registered(at=1.0, account="a@b", expires_s=60)


@pytest.mark.parametrize("data", [None, [], {}, {"event": "explode"}, {"event": "registered"}])
def test_what_is_no_event_is_refused(data: object) -> None:
    with pytest.raises(ProtocolError):
        ev.event_from_json(data)
