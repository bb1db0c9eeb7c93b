"""What the wizard's pages say; everything here is a pure function of the state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from tui.actions import ACTIONS, keys_of
from tui.i18n import _
from tui.text import clean
from tui.theme import over_ssh
from tui.told import told
from tui.widgets.quality import grade

if TYPE_CHECKING:
    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState
    from tui.widgets.rows import Row

Page = Literal["terminal", "account", "registration", "sound", "echo", "done"]
PAGES: tuple[Page, ...] = ("terminal", "account", "registration", "sound", "echo", "done")

ACCOUNT_KEYS = (
    "account.server",
    "account.username",
    "account.auth_username",
    "account.domain",
    "account.display_name",
    "account.media",
    "account.tls_ca",
)
SOUND_KEYS = ("audio.input", "audio.output", "audio.ring")

LEAST = (80, 24)
"""Columns and rows from which on nothing is left out."""


def page_rows(page: Page, *, width: int, height: int, theme: str) -> tuple[str, list[Row]]:
    """Title and text of a page, for a terminal of that size."""
    match page:
        case "terminal":
            return _("Welcome"), terminal_rows(width, height, theme)
        case "account":
            text = _("Who are you, and where is the PBX? Whoever runs it can tell you.")
            return _("Your account"), [_plain(text), []]
        case "registration":
            return _("Registering"), [_plain(_("The phone registers with the PBX, so that calls reach you.")), []]
        case "sound":
            text = _("Choose what you speak into and listen to, then test it.")
            return _("Sound"), [_plain(text), []]
        case "echo":
            text = _("A call to the PBX's echo shows how a real call sounds.")
            return _("Echo call"), [_plain(text), []]
        case "done":
            return _("Ready"), key_card()


def terminal_rows(width: int, height: int, theme: str) -> list[Row]:
    """What was found out about the terminal."""
    rows: list[Row] = [_plain(_("Offhook is a telephone in this terminal. Six short pages set it up.")), []]
    if width >= LEAST[0] and height >= LEAST[1]:
        rows.append(_good(_("Size: {width} columns, {height} rows").format(width=width, height=height)))
    else:
        text = _("Size: {width} columns, {height} rows; 80 by 24 shows everything").format(width=width, height=height)
        rows.append(_doubtful(text))
    if os.environ.get("NO_COLOR"):
        rows.append(_good(_("Colours: none, as NO_COLOR asks; words tell what colours would")))
    else:
        rows.append(_good(_("Colours: theme {theme}").format(theme=theme)))
    if over_ssh():
        rows.append(_doubtful(_("SSH: few bytes are sent; the sound plays where the engine runs, not where you sit")))
    rows += [[], _plain(_("Function keys work while you type; if F2 does nothing, letters do the same."))]
    return rows


def registration_rows(state: PhoneState, *, attached: bool) -> list[Row]:
    """How the registration goes, and what to do where it fails."""
    registration, transport = state.registration, state.transport
    if not attached:
        return [_doubtful(_("The phone engine is starting…"))]
    rows: list[Row] = []
    match transport.state:
        case "connected":
            rows.append(_good(_("Connected to {server}").format(server=clean(transport.server, 80))))
        case "connecting":
            rows.append(_doubtful(_("Connecting to {server}…").format(server=clean(transport.server, 80))))
            rows += _lost(transport.reason or registration.reason)
        case "disconnected":
            rows += _lost(transport.reason or registration.reason or _("no connection yet"))
    if registration.state == "registered":
        return [*rows, _good(_("Registered as {account}").format(account=clean(registration.account, 80)))]
    if registration.credentials_refused:
        rows.append(_bad(_("The PBX refuses the user name or the password: {why}").format(why=_why(state))))
        rows.append(_plain("  " + _("Ctrl+E goes back to correct them.")))
    elif registration.state == "failed" or registration.status:
        rows.append(_bad(_("The PBX refuses: {why}").format(why=_why(state))))
    elif transport.state == "connected":
        rows.append(_doubtful(_("Registering…")))
    return rows


def _lost(reason: str) -> list[Row]:
    """Why there is no connection, and what to look at; nothing where nothing is known."""
    if not reason:
        return []
    advice = _plain("  " + _("Check the server's address, and that this computer reaches it."))
    return [_bad(_("No connection: {why}").format(why=told(reason, 200))), advice]


def echo_rows(call: CallSlice | None, *, number: str, tried: bool) -> list[Row]:
    """How the echo call goes."""
    if call is None:
        if tried:
            return [_plain(_("The call is over. Ctrl+N goes on."))]
        return [_plain(_("Ctrl+N calls {number}: speak, and hear yourself come back.").format(number=number))]
    if call.answered_at is None:
        return [_doubtful(_("Calling {number}…").format(number=clean(call.peer, 40)))]
    rows: list[Row] = [_good(_("Connected: speak now. Ctrl+N hangs up and goes on."))]
    if call.media is not None and call.media.mos is not None:
        word, role = grade(call.media.mos)
        text = _("Quality: MOS {mos}, {word}").format(mos=f"{call.media.mos:.1f}", word=word)
        rows.append([("  " + text, role)])
        loss = _("Lost packets: {percent} %, jitter {ms} ms")
        rows.append(_plain("  " + loss.format(percent=f"{100 * call.media.loss:.1f}", ms=round(call.media.jitter_ms))))
    else:
        rows.append(_plain("  " + _("Measuring…")))
    return rows


def key_card() -> list[Row]:
    """The keys to remember."""
    rows: list[Row] = [_good(_("The phone is ready. These keys are enough for a day:")), []]
    hinted = [action for action in ACTIONS if action.hint]
    rows += [[(f"  {keys_of(action.id):<8}", "accent"), (_(action.title), "")] for action in hinted]
    rows += [
        [("  0-9     ", "accent"), (_("Dial while idle, tones in a call"), "")],
        [],
        _plain(_("Leaving the console leaves the phone: calls still arrive, and offhook shows it again.")),
    ]
    return rows


def _why(state: PhoneState) -> str:
    status = f"{state.registration.status} " if state.registration.status else ""
    return f"{status}{told(state.registration.reason, 120)}".strip()


def _plain(text: str) -> Row:
    return [(" " + text, "")]


def _good(text: str) -> Row:
    return [(" ✓ ", "ok"), (text, "")]


def _doubtful(text: str) -> Row:
    return [(" … ", "warn"), (text, "")]


def _bad(text: str) -> Row:
    return [(" ✗ ", "error"), (text, "")]
