"""The four machines of RFC 3261 §17 and RFC 6026, swept over every state and input."""

import enum
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sipcore.transaction import client, invite_client, invite_server, server


@dataclass(frozen=True)
class Machine:
    """One table and how to make a machine that runs it."""

    name: str
    make: Callable[[], Any]
    states: type[enum.Enum]
    inputs: type[enum.Enum]
    effects: type[enum.Enum]
    table: Mapping[tuple[Any, Any], tuple[Any, tuple[Any, ...]]]


MACHINES = [
    Machine(
        "invite client",
        invite_client.InviteClientTransaction,
        invite_client.State,
        invite_client.Input,
        invite_client.Effect,
        invite_client.TRANSITIONS,
    ),
    Machine("client", client.ClientTransaction, client.State, client.Input, client.Effect, client.TRANSITIONS),
    Machine(
        "invite server",
        invite_server.InviteServerTransaction,
        invite_server.State,
        invite_server.Input,
        invite_server.Effect,
        invite_server.TRANSITIONS,
    ),
    Machine("server", server.ServerTransaction, server.State, server.Input, server.Effect, server.TRANSITIONS),
]
every_machine = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)


@every_machine
def test_every_pair_is_either_in_the_table_or_changes_nothing(machine: Machine) -> None:
    """All (state, input) pairs, one by one."""
    for state, event in itertools.product(machine.states, machine.inputs):
        made = machine.make()
        made.state = state
        made.handle(event)
        expected = machine.table.get((state, event), (state, ()))
        assert (made.state, tuple(made.effects)) == expected


@every_machine
def test_terminated_is_the_end(machine: Machine) -> None:
    """Nothing leaves TERMINATED."""
    assert not [pair for pair in machine.table if pair[0].name == "TERMINATED"]


@every_machine
def test_every_state_is_reached_and_every_effect_used(machine: Machine) -> None:
    """There is no dead row and no dead word in a table."""
    reached, frontier = set(), {machine.make().state}
    while frontier:
        reached |= frontier
        frontier = {after for (before, _), (after, _) in machine.table.items() if before in reached} - reached
    assert reached == set(machine.states)
    assert {effect for _, effects in machine.table.values() for effect in effects} == set(machine.effects)
    assert {event for _, event in machine.table} == set(machine.inputs)


@every_machine
def test_every_state_but_the_last_can_still_end(machine: Machine) -> None:
    """No transaction lives for ever: TERMINATED is reachable from everywhere."""
    ends = {state for state in machine.states if state.name == "TERMINATED"}
    while more := {before for (before, _), (after, _) in machine.table.items() if after in ends} - ends:
        ends |= more
    assert ends == set(machine.states)


def _runs(machine: Machine, length: int) -> list[list[tuple[Any, list[Any]]]]:
    """Every run of ``length`` inputs, as (input, effects) pairs."""
    runs = []
    for events in itertools.product(machine.inputs, repeat=length):
        made, run = machine.make(), []
        for event in events:
            made.effects = []
            made.handle(event)
            run.append((event, made.effects))
        runs.append(run)
    return runs


@pytest.mark.parametrize("machine", MACHINES[:2], ids=lambda machine: machine.name)
def test_a_client_is_told_its_outcome_exactly_once(machine: Machine) -> None:
    """Over every run of five inputs: one final response or one failure, 2xx of INVITE excepted (RFC 6026 §7.2)."""
    finals = {"RESPONSE_300_PLUS", "RESPONSE_FINAL"}
    for run in _runs(machine, 5 if machine.name == "client" else 4):
        outcomes = 0
        accepted = False
        for event, effects in run:
            names = {effect.name for effect in effects}
            accepted |= event.name == "RESPONSE_2XX" and "DELIVER" in names
            outcomes += event.name in finals and "DELIVER" in names
            outcomes += bool(names & {"FAIL_TIMEOUT", "FAIL_TRANSPORT"})
        assert outcomes + accepted <= 1


def test_an_invite_server_sends_one_kind_of_final_response() -> None:
    """§17.2.1: after a 2xx no 300 to 699 leaves, nor the other way round."""
    for run in _runs(MACHINES[2], 4):
        sent = {
            event.name
            for event, effects in run
            if invite_server.Effect.SEND_RESPONSE in effects and event.name != "RESPONSE_1XX"
        }
        assert len(sent) <= 1
