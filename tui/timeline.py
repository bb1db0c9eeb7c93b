"""What happened to the connection and the calls while this console was attached, as lines with a time."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from phone.protocol import events as ev
from tui.i18n import _
from tui.text import clean
from tui.toasts import toast_for
from tui.told import told

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = 300


def words(event: ev.Event) -> str:
    """What to write down; every toast is a line too. Empty for what happens all the time."""
    match event:
        case ev.TransportConnected():
            return _("Connected to {server}").format(server=clean(event.server, 80))
        case ev.TransportDisconnected():
            return _("Connection lost: {why}").format(why=told(event.reason, 120))
        case ev.Registered() if not event.refresh:
            return _("Registered as {account}").format(account=clean(event.account, 80))
        case ev.Unregistered():
            return _("Not registered any more")
        case ev.RetryScheduled():
            return _("Next attempt in {seconds} s ({n} of {max})").format(
                seconds=f"{event.wait_s:.1f}", n=event.attempt, max=event.max
            )
        case ev.KeepAlive() if event.result == "missed":
            return _("The PBX did not answer a keep-alive")
        case ev.IncomingCall():
            return _("Call from {who}").format(who=clean(event.display_name or event.peer, 80))
        case ev.OutgoingCall():
            return _("Call to {who}").format(who=clean(event.peer, 80))
        case ev.CallEnded() if event.outcome == "answered":
            return _("Call with {who} ended after {seconds} s").format(
                who=clean(event.peer, 80), seconds=round(event.duration_s)
            )
        case _:
            toast = toast_for(event)
            return "" if toast is None else f"{toast.title}: {toast.message}"


class Timeline:
    """The newest lines, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[tuple[float, str]] = deque(maxlen=KEPT)

    def __iter__(self) -> Iterator[str]:
        for at, text in self._lines:
            yield f"{time.strftime('%H:%M:%S', time.localtime(at))}  {text}"

    def note(self, event: ev.Event) -> None:
        """Write an event down, if it is worth a line."""
        if text := words(event):
            self._lines.append((event.at, text))

    def add(self, at: float, text: str) -> None:
        """Write down what the console itself has seen."""
        self._lines.append((at, text))
