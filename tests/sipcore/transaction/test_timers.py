"""The queue of deadlines."""

from hypothesis import given
from hypothesis import strategies as st

from sipcore.transaction.timers import TimerQueue


def test_keys_come_out_in_the_order_of_their_deadlines() -> None:
    """Ties go to the one that was set first."""
    queue: TimerQueue[str] = TimerQueue()
    queue.set("late", 5.0)
    queue.set("first", 1.0)
    queue.set("second", 1.0)
    assert queue.next() == 1.0
    assert list(queue.due(2.0)) == ["first", "second"]
    assert list(queue.due(2.0)) == []
    assert len(queue) == 1


def test_a_key_set_again_has_only_its_new_deadline() -> None:
    """The old one is swept past."""
    queue: TimerQueue[str] = TimerQueue()
    queue.set("a", 1.0)
    queue.set("a", 3.0)
    assert list(queue.due(2.0)) == []
    assert queue.next() == 3.0
    assert queue.is_set("a")


def test_a_cancelled_key_never_comes() -> None:
    """Cancelling what is not there is fine."""
    queue: TimerQueue[str] = TimerQueue()
    queue.set("a", 1.0)
    queue.cancel("a")
    queue.cancel("b")
    assert queue.next() is None
    assert list(queue.due(9.0)) == []


def test_a_key_may_be_set_again_while_due_ones_are_taken() -> None:
    """A retransmission that is due at once comes in the same sweep."""
    queue: TimerQueue[str] = TimerQueue()
    queue.set("a", 1.0)
    taken = []
    for key in queue.due(2.0):
        taken.append(key)
        if len(taken) == 1:
            queue.set("b", 1.5)
            queue.set("c", 2.5)
    assert taken == ["a", "b"]


def test_a_sleep_puts_off_all_but_the_kept_keys() -> None:
    """The peer's clock went on for those."""
    queue: TimerQueue[str] = TimerQueue()
    queue.set("ours", 1.0)
    queue.set("theirs", 2.0)
    queue.shift(100.0, keep=lambda key: key == "theirs")
    assert list(queue.due(50.0)) == ["theirs"]
    assert queue.next() == 101.0


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100), st.booleans())))
def test_it_behaves_like_a_dictionary_of_deadlines(steps: list[tuple[int, float, bool]]) -> None:
    """Against the plainest model there is."""
    queue: TimerQueue[int] = TimerQueue()
    model: dict[int, float] = {}
    for key, at, cancel in steps:
        if cancel:
            queue.cancel(key)
            model.pop(key, None)
        else:
            queue.set(key, at)
            model[key] = at
        assert queue.next() == min(model.values(), default=None)
    assert sorted(queue.due(50.0)) == sorted(key for key, at in model.items() if at <= 50.0)
