"""One toast a topic, the newest; those of other topics stay for the rest of their time."""

from __future__ import annotations

from tui.toast_board import ToastBoard
from tui.toasts import Toast


class Screen:
    """What stands on it, with a clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.standing: list[tuple[str, float]] = []
        self.cleared = 0
        self.board = ToastBoard(show=self._show, clear=self._clear, clock=lambda: self.now)

    def _show(self, toast: Toast, seconds: float) -> None:
        self.standing.append((toast.title, seconds))

    def _clear(self) -> None:
        self.cleared += 1
        self.standing = []


def toast(title: str, topic: str, seconds: float = 8.0) -> Toast:
    return Toast(title=title, message="m", severity="information", seconds=seconds, topic=topic)


def test_the_newest_fact_of_a_topic_takes_the_place_of_the_older() -> None:
    screen = Screen()
    screen.board.put(toast("Reconnecting...", "connection", 10))
    screen.now += 3
    screen.board.put(toast("Reconnected", "connection", 5))
    assert screen.standing == [("Reconnected", 5)]


def test_a_toast_of_another_topic_stays_for_the_rest_of_its_time() -> None:
    screen = Screen()
    screen.board.put(toast("Missed call", "call", 5))
    screen.board.put(toast("Reconnecting...", "connection", 10))
    screen.now += 2
    screen.board.put(toast("Reconnected", "connection", 5))
    assert screen.standing == [("Missed call", 3), ("Reconnected", 5)]


def test_what_is_gone_by_itself_is_not_shown_again() -> None:
    screen = Screen()
    screen.board.put(toast("Missed call", "call", 5))
    screen.board.put(toast("Reconnecting...", "connection", 10))
    screen.now += 6
    screen.board.put(toast("Reconnected", "connection", 5))
    assert screen.standing == [("Reconnected", 5)]


def test_the_same_fact_twice_is_told_once() -> None:
    screen = Screen()
    screen.board.put(toast("Network Offline", "network"))
    screen.board.put(toast("Network Offline", "network"))
    assert screen.standing == [("Network Offline", 8)]
    assert screen.cleared == 0
    screen.now += 9
    screen.board.put(toast("Network Offline", "network"))
    assert len(screen.standing) == 2
