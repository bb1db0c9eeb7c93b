"""How healthy the connection is: the figures with their targets, and below them what happened to it, newest first.

    engine ── stats ──▶ figures, incidents          the same numbers as ``offhook ctl stats``

Asked for when it opens and every few seconds while somebody looks.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import RichLog

from phone.client import EngineGone, Refused
from phone.protocol import commands as cmd
from phone.protocol.codec import ProtocolError, from_json
from phone.protocol.health import HealthReport, Incident, meets
from tui.actions import keys_of
from tui.i18n import _, _n
from tui.screens.following import FollowingScreen
from tui.text import fit
from tui.told import told
from tui.widgets.rows import Row, Rows
from tui.widgets.status_line import registration_word

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from phone.state import PhoneState
    from tui.screens.settings import Sender

POLL_S = 5.0
_NAME_CELLS, _VALUE_CELLS, _TARGET_CELLS = 54, 11, 16


def figure_rows(report: HealthReport, width: int = 80) -> list[Row]:
    """A row a figure in ``width`` cells: name, value, target, and whether it is met."""
    room = min(_NAME_CELLS, max(10, width - 3 - _VALUE_CELLS - _TARGET_CELLS))
    rate, mean_s, missed = report.reconnection_success_rate, report.mean_reconnection_s, report.keep_alive_failure_rate
    daily, trip_ms = report.disconnections_per_day, report.mean_keep_alive_rtt_ms
    tried, back = report.reconnections + report.reconnection_failures, report.reconnections
    return [
        _row(room, "", _("Disconnections per day"), "" if daily is None else f"{daily:.1f}", _("as few as can be")),
        _row(
            room,
            "reconnection_success_rate",
            _("Reconnections that worked ({n} of {all})").format(n=back, all=tried),
            "" if rate is None else _("{n} %").format(n=f"{rate * 100:.1f}"),
            _("over {n} %").format(n=95),
            rate,
        ),
        _row(
            room,
            "mean_reconnection_s",
            _("Mean time to reconnect"),
            "" if mean_s is None else _("{n} s").format(n=f"{mean_s:.1f}"),
            _("under {n} s").format(n=10),
            mean_s,
        ),
        _row(
            room,
            "keep_alive_failure_rate",
            _("Keep-alives without an answer"),
            "" if missed is None else _("{n} %").format(n=f"{missed * 100:.2f}"),
            _("under {n} %").format(n=0.1),
            missed,
        ),
        _row(room, "", _("Mean round trip"), "" if trip_ms is None else _("{n} ms").format(n=f"{trip_ms:.1f}"), ""),
    ]


def _row(room: int, figure: str, name: str, value: str, target: str, number: float | None = None) -> Row:
    good = meets(figure, number)
    mark, role = ("  ", "") if good is None else ("✓ ", "ok") if good else ("✗ ", "error")
    return [
        (" " + mark, role),
        (fit(name, room), ""),
        (fit(value or "–", _VALUE_CELLS), role or "strong"),
        (target, "dim"),
    ]


def incident_line(incident: Incident) -> str:
    """What happened, in one line with its time."""
    when = datetime.datetime.fromtimestamp(incident.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{when}  {_words(incident)}"


def _words(incident: Incident) -> str:
    why = told(incident.reason, 120)
    match incident.kind:
        case "lost":
            return _("Connection lost: {why}").format(why=why)
        case "reconnected":
            return _("Registered again after {seconds} s").format(seconds=f"{incident.seconds:.1f}")
        case "failed":
            return _("Given up after {n} attempts: {why}").format(n=incident.count, why=why)
        case "refused":
            return _("Registration refused: {status} {why}").format(status=incident.count, why=why)
        case "offline":
            return _("Network offline")
        case "online":
            return _("Network back")


class HealthScreen(FollowingScreen[None]):
    """Figures above, the timeline below; Escape leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, sender: Sender, state: PhoneState) -> None:
        super().__init__(classes="health")
        self._sender = sender
        self._state = state
        self._shown: HealthReport | None = None

    def compose(self) -> ComposeResult:
        """Title, figures, timeline, hints."""
        yield Rows(id="health-title")
        yield Rows(id="figures")
        yield RichLog(
            id="timeline", max_lines=300, wrap=True, min_width=20, markup=False, highlight=False, auto_scroll=False
        )
        yield Rows(id="log-hints")

    async def on_mount(self) -> None:
        """Titles, first look, then a look every few seconds."""
        self.query_one("#timeline", RichLog).border_title = _("What happened to the connection, newest first")
        keys = ((" Esc", _("Back")), (f" {keys_of('conn.retry')}", _("Retry now")), (" ↑ ↓", _("Scroll")))
        hints = [piece for key, word in keys for piece in ((key, "accent"), (f" {word} ", "dim"))]
        self.query_one("#log-hints", Rows).show([hints])
        self._title()
        await self.look()
        self.set_interval(POLL_S, self.look)

    def on_phone_state(self, state: PhoneState, *, attached: bool) -> None:
        """The title follows; what happened is asked for when the registration has changed."""
        changed = state.registration.state != self._state.registration.state
        self._state = state
        if self.is_mounted:
            self._title()
            if changed and attached:
                self.call_later(self.look)

    def _title(self) -> None:
        glyph, word, role = registration_word(self._state)
        days = "" if self._shown is None else "  " + _n("over {n} day", "over {n} days", self._shown.days)
        title: Row = [(" " + _("Health of the connection"), "strong"), (f"  {glyph} {word}", role), (days, "dim")]
        self.query_one("#health-title", Rows).show([title])

    async def look(self) -> None:
        """Ask and show."""
        try:
            reply = await self._sender.send(cmd.Stats())
            report = from_json(HealthReport, reply.get("health") if isinstance(reply, dict) else None)
        except (Refused, EngineGone, ProtocolError) as error:
            self.query_one("#figures", Rows).show([[(" " + told(str(error), 120), "error")]])
            return
        if report == self._shown or not self.is_attached:
            return
        self._shown = report
        self._title()
        self.query_one("#figures", Rows).show(figure_rows(report, self.app.size.width))
        log = self.query_one("#timeline", RichLog)
        log.clear()
        for incident in report.incidents:
            log.write(incident_line(incident))
        if not report.incidents:
            log.write(_("Nothing has happened yet"))
