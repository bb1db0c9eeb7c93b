"""Status line, quality line, levels, key hints: each a pure function of what it shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from phone.protocol.snapshots import AudioSlice, CallMedia, TransportSlice, VoicemailSlice
from phone.state import PhoneState
from tests.tui.scenes import IDLE, IN_CALL, RECONNECTING, REFUSED
from tui.i18n import set_language
from tui.widgets.key_hints import hints_row
from tui.widgets.levels import SILENCE_DBFS, bar, figure, levels_row
from tui.widgets.quality import grade, quality_row
from tui.widgets.status_line import status_row


def joined(row: list[tuple[str, str]]) -> str:
    return "".join(text for text, _ in row)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (IDLE, "● REGISTERED 1001@pbx.example.com │ VM 2 │ Missed 1 │ PBX 12 ms │ sound ok"),
        (REFUSED, "✗ FAILED 1001@pbx.example.com │ VM 2 │ Missed 1 │ PBX 12 ms │ sound ok"),
        (replace(RECONNECTING, voicemail=VoicemailSlice()), "◐ CONNECTING 1001@pbx.example.com │ Missed 1 │ sound ok"),
        (PhoneState(), "○ NOT REGISTERED │ Missed 1 │ sound ok"),
    ],
)
def test_the_status_line(state: PhoneState, text: str) -> None:
    assert joined(status_row(state, missed=1, attached=True)) == text


def test_the_status_line_tells_of_trouble_in_words() -> None:
    assert joined(status_row(IDLE, missed=0, attached=False)) == "✗ ENGINE GONE"
    offline = replace(IDLE, transport=TransportSlice(state="connected", network="offline"))
    assert "network offline" in joined(status_row(offline, missed=0, attached=True))
    silent = replace(IDLE, audio=AudioSlice(problem="input"))
    assert joined(status_row(silent, missed=0, attached=True)).endswith("no sound")
    registering = replace(RECONNECTING, transport=TransportSlice(state="connected"))
    assert "REGISTERING" in joined(status_row(registering, missed=0, attached=True))


LONG = replace(
    IDLE,
    registration=replace(IDLE.registration, account="1001@telephony.support.example.com"),
    voicemail=VoicemailSlice(waiting=True, new=12),
    audio=AudioSlice(problem="input"),
)


@pytest.mark.parametrize("language", ["en", "es", "pseudo"])
@pytest.mark.parametrize("state", [IDLE, LONG, RECONNECTING, REFUSED], ids=["idle", "long", "reconnecting", "refused"])
def test_the_status_line_is_shortened_by_whole_words(language: str, state: PhoneState) -> None:
    """What matters least goes first; nothing is cut in the midst of a word."""
    set_language(language)
    try:
        whole = joined(status_row(state, missed=13, attached=True, width=500)).split(" │ ")
        for width in range(36, 140):
            row = joined(status_row(state, missed=13, attached=True, width=width))
            assert cell_len(row) <= width
            parts = row.split(" │ ")
            assert all(part in whole for part in parts[1:])
            assert whole[0].startswith(parts[0])
    finally:
        set_language("en")


def test_what_matters_is_left_on_a_narrow_line() -> None:
    rows = {width: joined(status_row(LONG, missed=13, attached=True, width=width)) for width in (80, 60, 46, 34, 26)}
    assert rows == {
        80: "● REGISTERED 1001 │ VM 12 │ Missed 13 │ PBX 12 ms │ no sound",
        60: "● REGISTERED 1001 │ VM 12 │ Missed 13 │ PBX 12 ms │ no sound",
        46: "● REGISTERED 1001 │ Missed 13 │ no sound",
        34: "● REGISTERED 1001 │ no sound",
        26: "● REGISTERED │ no sound",
    }


def test_the_spanish_status_line_fits_80_columns() -> None:
    set_language("es")
    try:
        row = joined(status_row(IDLE, missed=3, attached=True, width=80))
    finally:
        set_language("en")
    assert row == "● REGISTRADO 1001@pbx.example.com │ Buzón 2 │ Perdidas 3 │ Centralita 12 ms"


@pytest.mark.parametrize("language", ["en", "es", "pseudo"])
def test_how_to_leave_is_always_among_the_keys(language: str) -> None:
    set_language(language)
    try:
        for width in range(20, 200):
            row = joined(hints_row(width))
            assert row.rstrip().startswith("F1 ") or width < 40
            assert "F10 " in row
            assert cell_len(row) <= width or row.count("F") == 1
    finally:
        set_language("en")


def test_the_quality_line() -> None:
    call = IN_CALL.calls[0]
    assert joined(quality_row(call)) == "PCMU  MOS 4.3 ●●●●○ excellent  loss 0.1 %  jitter 6 ms  rtt 38 ms"
    assert call.media is not None
    broken = replace(call, media=replace(call.media, underruns=2, overruns=1))
    assert joined(quality_row(broken)).endswith("rtt 38 ms  device breaks 3")
    assert joined(quality_row(replace(call, security="sdes", media=None))) == "PCMU SDES"
    assert quality_row(None) == []
    assert quality_row(replace(call, codec=None)) == []
    assert "MOS" not in joined(quality_row(replace(call, media=CallMedia())))


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_quality_line_fits_and_never_hides_that_a_device_breaks(language: str) -> None:
    """What does not fit is left out whole: a figure cut in half is another figure."""
    call = IN_CALL.calls[0]
    media = CallMedia(mos=4.4, loss=0.123, jitter_ms=120.0, rtt_ms=1500.0, underruns=1200, overruns=34)
    full = replace(call, codec="G722", security="dtls", media=media)
    set_language(language)
    try:
        whole = joined(quality_row(full))
        for width in range(60, 140):
            row = joined(quality_row(full, width=width))
            assert cell_len(row) <= width
            assert row.endswith(" 1234")
            assert all(part in whole for part in row.split("  "))
        assert joined(quality_row(full, width=cell_len(whole))) == whole
    finally:
        set_language("en")


@pytest.mark.parametrize(
    ("mos", "word"),
    [(4.5, "excellent"), (4.2, "excellent"), (4.0, "good"), (3.7, "fair"), (3.2, "poor"), (1.0, "bad"), (0.5, "bad")],
)
def test_grades(mos: float, word: str) -> None:
    assert grade(mos)[0] == word


@pytest.mark.parametrize(
    ("dbfs", "text", "role"),
    [
        (SILENCE_DBFS, "··········", "dim"),
        (-60, "··········", "dim"),
        (-30, "█████·····", "ok"),
        (-3, "██████████", "warn"),
        (0, "██████████", "warn"),
        (20, "██████████", "warn"),
    ],
)
def test_bars(dbfs: float, text: str, role: str) -> None:
    assert bar(dbfs) == (text, role)


def test_levels() -> None:
    assert joined(levels_row(-30, -96)) == "Mic █████·····  ·········· Speaker"
    assert joined(levels_row(-30, -30, muted=True)) == "Mic ··········  █████····· Speaker  MUTED"
    assert joined(levels_row(-96, -30, dead=True)) == "Mic ··········  █████····· Speaker  NO MIC"


def test_whether_a_call_is_recorded_stands_in_one_place() -> None:
    rows = [
        joined(levels_row(-30, -30, recorded=True, **words))
        for words in ({}, {"muted": True}, {"dead": True}, {"muted": True, "dead": True})
    ]
    assert rows[0] == "Mic █████·····  █████····· Speaker          ● REC"
    assert {row.index("● REC") for row in rows} == {rows[0].index("● REC")}
    assert "MUTED" in rows[3]
    assert figure({"input_dbfs": -20}, "input_dbfs") == -20
    assert figure({"input_dbfs": "x"}, "input_dbfs") == SILENCE_DBFS
    assert figure(None, "input_dbfs") == SILENCE_DBFS


@pytest.mark.parametrize("width", [0, 20, 40, 80, 120])
def test_hints_fit(width: int) -> None:
    assert len(joined(hints_row(width))) <= width


def test_hints_at_80_columns() -> None:
    assert joined(hints_row(80)).startswith("F1 Help F2 Answer F3 Hangup F4 Hold F5 Mute F6 Xfer")
