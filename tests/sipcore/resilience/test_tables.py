"""Both transition tables, pair by pair: what must hold of every row, and that every state can be reached and left."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeVar

import pytest

from sipcore.resilience import flow_table as flow
from sipcore.resilience import registration_table as registration

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=enum.Enum)
E = TypeVar("E", bound=enum.Enum)
FLOW = [(state, event) for state in flow.State for event in flow.Input]
REGISTRATION = [(state, event) for state in registration.State for event in registration.Input]
IN_FLIGHT = {
    registration.State.SENDING,
    registration.State.STOPPING,
    registration.State.UNREGISTERING,
    registration.State.RESTARTING,
}


def reachable(transitions: Mapping[tuple[S, E], tuple[S, object]], start: S) -> set[S]:
    found, pending = {start}, [start]
    while pending:
        state = pending.pop()
        for (origin, _), (target, _) in transitions.items():
            if origin is state and target not in found:
                found.add(target)
                pending.append(target)
    return found


def test_every_state_is_reachable() -> None:
    assert reachable(flow.TRANSITIONS, flow.State.IDLE) == set(flow.State)
    assert reachable(registration.TRANSITIONS, registration.State.IDLE) == set(registration.State)


@pytest.mark.parametrize("state", [state for state in flow.State if state is not flow.State.IDLE])
def test_a_flow_can_be_stopped_in_every_state(state: flow.State) -> None:
    assert flow.TRANSITIONS[state, flow.Input.STOP][0] is flow.State.IDLE


@pytest.mark.parametrize(("state", "event"), FLOW)
def test_flow_transition(state: flow.State, event: flow.Input) -> None:
    transition = flow.TRANSITIONS.get((state, event))
    if transition is None:
        return
    target, effects = transition
    fx = flow.Effect
    assert (fx.OPEN in effects) is (target is flow.State.CONNECTING), "an attempt is what connecting means"
    assert (fx.SAY_UP in effects) is (target is flow.State.OPEN)
    assert (fx.SAY_DOWN in effects) is (state is flow.State.OPEN), "whatever ends an open flow says so"
    if state is flow.State.CONNECTING and event not in _ANSWERS:
        assert fx.CLOSE in effects, "an attempt nobody answered is called off"
    if target in (flow.State.WAITING, flow.State.GAVE_UP):
        assert len({fx.ARM_GAP, fx.ARM_SLOW, fx.ARM_SPREAD} & set(effects)) == 1
    if state in (flow.State.WAITING, flow.State.GAVE_UP) and target is not state:
        assert fx.DISARM in effects, "no timer outlives its state"


_ANSWERS = {flow.Input.OPENED, flow.Input.FAILED, flow.Input.FAILED_ELSEWHERE, flow.Input.FAILED_LAST}


@pytest.mark.parametrize(("state", "event"), REGISTRATION)
def test_registration_transition(state: registration.State, event: registration.Input) -> None:
    """RFC 3261 §10.2: one REGISTER at a time."""
    transition = registration.TRANSITIONS.get((state, event))
    if transition is None:
        return
    target, effects = transition
    fx, inputs = registration.Effect, registration.Input
    sends = {fx.SEND, fx.SEND_REMOVAL} & set(effects)
    assert len(sends) <= 1
    if sends:
        assert target in IN_FLIGHT
        assert state not in IN_FLIGHT or event in (inputs.REMOVED, inputs.ACCEPTED, inputs.FAILED_BOUND), (
            "only an answered REGISTER is followed by another"
        )
    if target in IN_FLIGHT and state not in IN_FLIGHT:
        assert sends, "in flight means sent"
    armed = {fx.ARM_RETRY, fx.ARM_SLOW, fx.ARM_REFRESH} & set(effects)
    waits = {registration.State.RETRY_WAIT, registration.State.LAST_WAIT, registration.State.REGISTERED}
    if target in waits and state is not target:
        assert len(armed) == 1
    if state in waits and target is not state and event not in (inputs.DUE, inputs.DUE_NO_FLOW):
        assert fx.DISARM in effects, "no timer outlives its state"
    if event is inputs.FLOW_DOWN:
        assert target not in IN_FLIGHT, "nothing is in flight without a flow"


@pytest.mark.parametrize("state", [state for state in registration.State if state is not registration.State.IDLE])
def test_a_registration_can_be_stopped_in_every_state(state: registration.State) -> None:
    inputs = registration.Input
    stopped = {registration.State.IDLE, registration.State.UNREGISTERING, registration.State.STOPPING}
    if state in stopped:
        return
    targets = [
        registration.TRANSITIONS[state, event][0]
        for event in (inputs.STOP, inputs.STOP_BOUND)
        if (state, event) in registration.TRANSITIONS
    ]
    assert targets
    assert set(targets) <= stopped
