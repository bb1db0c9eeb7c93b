"""What the engine says is shown in the user's language: errors of verbs, toasts, banners, reasons of ended calls."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from typing import TYPE_CHECKING

import pytest

from phone.lines import Lines
from phone.protocol import commands as cmd
from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase
from phone.protocol.snapshots import AudioSlice, RegistrationSlice, TransportSlice
from phone.state import PhoneState
from phone.waiting import refusal
from sipcore.config import ServerAddress
from sipcore.ids import IdSource
from tests.tui.engine import console, registered, shown, talking, until
from tui.i18n import PSEUDO, set_language
from tui.timeline import words
from tui.toasts import toast_for
from tui.told import told
from tui.widgets.alert import alert_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUTE = Phrase("No route to {where}: check the network connection.", where="pbx:5060")


@pytest.fixture
def pseudo() -> Iterator[None]:
    set_language(PSEUDO)
    yield
    set_language("en")


@pytest.fixture
def spanish() -> Iterator[None]:
    set_language("es")
    yield
    set_language("en")


def test_a_phrase_is_said_in_spanish(spanish: None) -> None:
    assert told(ROUTE) == "No hay camino hasta pbx:5060: revise la conexión de red."


def test_a_phrase_within_a_phrase_is_too(spanish: None) -> None:
    whole = Phrase("{what}: {why}", what=Phrase("The transfer failed"), why=Phrase("no answer"))
    assert told(whole) == "La transferencia falló: sin respuesta"


def test_words_of_the_network_stay_as_they_are_but_clean(spanish: None) -> None:
    assert told("Forbid\x1b]0;pwn\x07den") == "Forbid]0;pwnden"


def test_what_this_console_does_not_know_is_said_in_english(spanish: None) -> None:
    assert told(Phrase("The {thing} of a newer engine.", thing="word")) == "The word of a newer engine."


def test_parameters_are_cleaned_where_they_are_shown(spanish: None) -> None:
    assert "\x1b" not in told(Phrase("No route to {where}: check the network connection.", where="\x1b[31m"))


def marked(text: str) -> bool:
    """Whether all of a text went through the catalogue."""
    return text.startswith("⟦") and text.endswith("⟧")


EVENTS = (
    ev.ReconnectionFailed(at=1.0, attempts=10, reason=ROUTE),
    ev.RegistrationFailed(at=1.0, attempt=1, max=3, status=500, reason=Phrase("no answer")),
    ev.AudioProblem(
        at=1.0,
        problem="input",
        detail=Phrase("No sound device was found; plug one in or start PulseAudio or PipeWire."),
    ),
    ev.AudioProblem(at=1.0, problem="security", detail=Phrase("The far end agreed on no way to encrypt the media.")),
    ev.CallEnded(
        at=1.0, call="a", by="error", outcome="failed", peer="9", status=408, reason=Phrase("no answer from the server")
    ),
    ev.VerbFailed(at=1.0, call="a", verb="hold", status=408, reason=Phrase("no answer")),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event.event}-{getattr(event, 'status', '')}")
def test_toasts(pseudo: None, event: ev.Event) -> None:
    toast = toast_for(event)
    assert toast is not None
    assert marked(toast.title)
    reason = getattr(event, "reason", "") or getattr(event, "detail", "")
    assert told(reason) in toast.message
    assert str(reason) not in toast.message


def test_the_timeline(pseudo: None) -> None:
    line = words(ev.TransportDisconnected(at=1.0, server="ws://pbx", reason=ROUTE))
    assert marked(line)
    assert line.count("⟦") == 2


@pytest.mark.parametrize(
    "state",
    [
        PhoneState(registration=RegistrationSlice(state="failed", reason=ROUTE)),
        PhoneState(audio=AudioSlice(problem="input", detail=ROUTE)),
        PhoneState(registration=RegistrationSlice(state="failed"), transport=TransportSlice(reason=ROUTE)),
    ],
    ids=["registration", "sound", "transport"],
)
def test_banners(pseudo: None, state: PhoneState) -> None:
    row = "".join(text for text, _ in alert_rows(state, now=1.0, attached=True, quiet=True)[0])
    assert marked(row.strip())
    assert "⟦Nó róúté tó" in row


def test_refusals_of_a_decision_by_the_far_end(pseudo: None) -> None:
    events: tuple[ev.Event | None, ...] = (
        None,
        ev.VerbFailed(at=1.0, call="a", verb="hold", status=488, reason="Not Here"),
        ev.CallEnded(at=1.0, call="a", by="remote", outcome="answered"),
    )
    for event in events:
        sentence = refusal(event, "hold")
        assert sentence is not None
        assert marked(told(sentence))
    transfer = refusal(ev.TransferProgress(at=1.0, call="a", status=603, reason="Decline", done=True), "transfer")
    assert transfer == "The transfer failed: 603 Decline"
    assert told(transfer).endswith(": 603 Decline·····⟧") or "603 Decline" in told(transfer)


def test_every_refusal_about_lines_has_an_id(pseudo: None) -> None:
    lines = Lines(IdSource(random.Random(1)))
    calls = (talking("a"), talking("b", held=True))
    for state in (PhoneState(), PhoneState(calls=calls)):
        for verb in ("answer", "hangup", "hold", "resume", "mute", "unmute", "dtmf", "transfer", "meters"):
            for name in (None, "a", "zz"):
                with pytest.raises(CommandRefused) as caught:
                    lines.choose(state, verb, name)
                assert marked(told(str(caught.value)))


def test_failures_to_connect_have_an_id(pseudo: None) -> None:
    from phone.translate import worded
    from sipcore.aio.failures import describe

    server = ServerAddress.parse("wss://pbx:8089/ws")
    for error in (
        TimeoutError(),
        ConnectionRefusedError(),
        ConnectionResetError(),
        OSError(101, "Network is unreachable"),
        OSError(5, "I/O error"),
    ):
        assert marked(told(worded(describe(error, server))))


def test_a_refused_verb_is_told_in_the_language_of_the_console(tmp_path: Path, spanish: None) -> None:
    """The whole way: the engine's socket, the client, the toast."""

    async def scenario() -> None:
        async with console(tmp_path, registered(), size=(100, 30)) as (app, pilot, engine):
            sentence = Phrase("All {n} lines are taken; end a call first.", n=4)
            engine.refusals[cmd.Dial.method] = CommandRefused("lines_taken", sentence)
            await pilot.press(*"1004", "enter")
            await until(pilot, lambda: "ocupadas" in shown(app))
            assert "Las 4 líneas están ocupadas;" in shown(app)
            engine.change(
                dataclasses.replace(engine.state, registration=RegistrationSlice(state="failed", reason=ROUTE))
            )
            await until(pilot, lambda: "No hay camino hasta pbx:5060" in shown(app))

    asyncio.run(scenario())
