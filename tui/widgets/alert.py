"""The alert slot, two rows that are always there: the ringing call, else what is wrong and what to press.

It never takes the focus, so nobody answers a call by typing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.actions import keys_of
from tui.i18n import _
from tui.text import clean, duration
from tui.told import told
from tui.widgets.rows import Row, Rows

if TYPE_CHECKING:
    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState

BLANK: list[Row] = [[], []]


def ringing(state: PhoneState) -> CallSlice | None:
    """The incoming call that waits for an answer, the oldest first."""
    return next((call for call in state.calls if call.direction == "in" and call.state == "ringing"), None)


def alert_rows(state: PhoneState, *, now: float, attached: bool, quiet: bool) -> list[Row]:
    """Two rows; ``quiet`` hides what is normal while starting."""
    if not attached:
        return [
            [(" " + _("The phone engine has stopped; calls and registration are down"), "error")],
            [("   " + _("{key} Start it again").format(key=keys_of("conn.retry")), "strong")],
        ]
    if (call := ringing(state)) is not None:
        return _ringing_rows(call, state, now)
    if (rows := _reconnect_rows(state, now, quiet)) is not None:
        return rows
    if state.audio.problem is not None:
        return [[(" " + _("No sound: {why}").format(why=told(state.audio.detail)), "warn")], []]
    return BLANK


def _ringing_rows(call: CallSlice, state: PhoneState, now: float) -> list[Row]:
    first: Row = [("▌", "alert"), (_("RING") + " ", "alert"), (clean(call.peer, 40), "strong")]
    if name := clean(call.display_name, 60):
        first += [("  " + name, "")]
    first += [("  " + duration(now - call.started_at), "dim")]
    busy = any(other.state == "active" and not other.held for other in state.calls)
    answer = _("Hold and answer") if busy else _("Answer")
    second = [
        ("▌    ", "alert"),
        (keys_of("call.answer"), "strong"),
        (f" {answer}   ", ""),
        (keys_of("call.hangup"), "strong"),
        (" " + _("Reject"), ""),
    ]
    return [first, second]


def _reconnect_rows(state: PhoneState, now: float, quiet: bool) -> list[Row] | None:
    registration, reconnect = state.registration, state.registration.reconnect
    retry: Row = [("   ", ""), (keys_of("conn.retry"), "strong"), (" " + _("Retry now"), "")]
    why = told(registration.reason or state.transport.reason, 120)
    if state.transport.network == "offline":
        return [[(" " + _("Network offline: will reconnect when it is back"), "warn")], retry]
    if reconnect is not None:
        wait = reconnect.next_at - now
        text = _("Reconnecting, attempt {n} of {max}").format(n=reconnect.attempt, max=reconnect.max)
        if wait >= 1:
            text += " " + _("in {seconds} s").format(seconds=int(wait))
        return [[(" " + text, "warn"), (f"  {why}" if why else "", "dim")], retry]
    if registration.credentials_refused:
        settings: Row = [("   ", ""), (keys_of("app.settings"), "strong"), (" " + _("Change the password"), "")]
        return [[(" " + _("The PBX refuses the password: {why}").format(why=why), "error")], settings]
    if registration.state == "failed":
        return [[(" " + _("Not registered: {why}").format(why=why), "error")], retry]
    if registration.state == "unregistered" and not quiet:
        return [[(" " + _("Not registered: calls do not arrive here"), "dim")], retry]
    return None


class AlertSlot(Rows):
    """Two rows, see :func:`alert_rows`."""

    def update_from(self, state: PhoneState, *, now: float, attached: bool, quiet: bool) -> None:
        """Show what matters most now."""
        self.show(alert_rows(state, now=now, attached=attached, quiet=quiet))
