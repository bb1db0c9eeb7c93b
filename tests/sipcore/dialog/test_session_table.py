"""The table of a call's states, swept (RFC 3261 §13, §15, §9)."""

import itertools

import pytest

from sipcore.dialog.session import TRANSITIONS, Effect, Input, SessionMachine, State

STARTS = {True: State.CALLING, False: State.INCOMING}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Input)
def test_every_pair_is_either_in_the_table_or_changes_nothing(state: State, event: Input) -> None:
    """All (state, input) pairs."""
    machine = SessionMachine(state)
    known = machine.handle(event)
    assert known is ((state, event) in TRANSITIONS)
    assert (machine.state, tuple(machine.effects)) == TRANSITIONS.get((state, event), (state, ()))


def test_ended_is_the_end_and_every_state_is_reached_and_can_end() -> None:
    """No dead rows, no call that lives for ever."""
    assert not [pair for pair in TRANSITIONS if pair[0] is State.ENDED]
    reached: set[State] = set()
    frontier = set(STARTS.values())
    while frontier:
        reached |= frontier
        frontier = {after for (before, _), (after, _) in TRANSITIONS.items() if before in reached} - reached
    assert reached == set(State)
    ends = {State.ENDED}
    while more := {before for (before, _), (after, _) in TRANSITIONS.items() if after in ends} - ends:
        ends |= more
    assert ends == set(State)
    assert {effect for _, effects in TRANSITIONS.values() for effect in effects} == set(Effect)
    assert {event for _, event in TRANSITIONS} == set(Input)


def test_finish_comes_with_ended_and_only_with_it() -> None:
    """The last event is reported exactly when the call is over."""
    for after, effects in TRANSITIONS.values():
        assert (after is State.ENDED) == (Effect.FINISH in effects)
        assert effects.count(Effect.FINISH) <= 1
        assert Effect.FINISH not in effects[:-1]


@pytest.mark.parametrize("start", STARTS.values())
def test_no_run_sends_more_than_one_bye_or_ends_without_blame(start: State) -> None:
    """Every run of four inputs: one BYE at most, no CANCEL after a 2xx, somebody to blame before the end."""
    for events in itertools.product(_relevant(start), repeat=4):
        machine = SessionMachine(start)
        done: list[Effect] = []
        for event in events:
            before = len(done)
            machine.handle(event)
            done += machine.effects
            machine.effects = []
            if Effect.SEND_CANCEL in done[before:]:
                assert Effect.SHOW_ACTIVE not in done
        assert done.count(Effect.SEND_BYE) <= 1
        assert done.count(Effect.SHOW_ACTIVE) <= 1
        if Effect.FINISH in done:
            assert {Effect.BLAME_US, Effect.BLAME_PEER, Effect.BLAME_ERROR} & set(done)


def _relevant(start: State) -> list[Input]:
    """The inputs of one direction, so that runs are short enough to try all."""
    ours = {Input.PROVISIONAL, Input.SUCCESS, Input.REFUSED, Input.FAILED}
    theirs = {Input.ANSWER, Input.REJECT, Input.CANCELLED, Input.ACKED, Input.ACK_TIMEOUT}
    never = theirs if start is State.CALLING else ours
    return [event for event in Input if event not in never]
