"""Calls to Asterisk's echo recorded on request: what each channel holds, who is told, and what a crash leaves."""

from __future__ import annotations

import stat
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.lab import signals
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine

pytestmark = pytest.mark.lab

RATE = 8000


def both_sides(path: Path) -> tuple[signals.Samples, signals.Samples]:
    """Left and right of a recording, as any program reads it: by its header."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        samples = signals.from_pcm16(file.readframes(file.getnframes()))
    return samples[::2], samples[1::2]


def recorded_call(asterisk: Asterisk, make_engine: Callable[..., Engine], speech: Path, **audio: object) -> Engine:
    """An engine in an echo call whose microphone is the speech file."""
    engine = make_engine(asterisk.ws_uri, audio={"input": f"wav:{speech}", **audio})
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    engine.wait_call("active")
    return engine


def test_left_is_what_we_said_and_right_its_echo(
    asterisk: Asterisk, make_engine: Callable[..., Engine], speech: Path
) -> None:
    engine = recorded_call(asterisk, make_engine, speech)
    file = Path(engine.ctl("record").stdout.strip())
    assert engine.wait_event("recordingStarted")["file"] == str(file)
    assert engine.calls()[0]["recording"] == str(file)
    assert "recorded" in engine.ctl("status").stdout
    assert engine.ctl("record", check=False).stderr.strip().endswith("is recorded already.")
    engine.wait_seconds(6.5)
    assert Path(engine.ctl("record", "stop").stdout.strip()) == file
    assert engine.wait_event("recordingEnded")["problem"] == ""
    assert engine.calls()[0]["recording"] == ""
    engine.ctl("hangup")
    engine.wait_no_calls()

    assert file.parent == engine.directory / "state/offhook/recordings"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.name.endswith("_600.wav")
    left, right = both_sides(file)
    said, rate = signals.read_wav(speech)
    # The speech began with the call, somewhat before the recording: what follows its first second is whole.
    said = said[rate:]
    mine = signals.correlate(said, left, rate=rate, recording_rate=RATE)
    theirs = signals.correlate(said, right, rate=rate, recording_rate=RATE)
    print(f"left {mine.coefficient:.4f}, right {theirs.coefficient:.4f}, echo after "
          f"{1000 * (theirs.delay_s - mine.delay_s):.0f} ms")  # fmt: skip
    assert mine.coefficient >= 0.95  # half a sample of delay between two rates counts
    assert theirs.coefficient >= 0.9
    assert 0.0 < theirs.delay_s - mine.delay_s < 0.3


@pytest.mark.parallel
def test_the_far_end_hears_a_beep(asterisk: Asterisk, make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """Also while we are muted: the echo brings it back."""
    quiet = signals.write_wav(tmp_path / "quiet.wav", np.zeros(8000), 8000)
    engine = recorded_call(asterisk, make_engine, quiet)
    engine.ctl("mute")
    file = Path(engine.ctl("record", "start").stdout.strip())
    engine.wait_seconds(3)
    engine.ctl("hangup")
    engine.wait_event("callEnded")
    left, right = both_sides(file)
    for side in (left, right):
        loudest = int(np.argmax(np.abs(side)))
        beep = side[max(0, loudest - 800) : loudest + 800]
        assert signals.tone_share(beep, RATE, 1400.0, width=40.0) > 0.9
        assert -25.0 < 20 * np.log10(np.abs(side).max()) < -17.0


@pytest.mark.parallel
def test_a_killed_engine_leaves_a_file_that_plays_and_the_next_goes_on_in_another(
    asterisk: Asterisk, make_engine: Callable[..., Engine], speech: Path
) -> None:
    engine = recorded_call(asterisk, make_engine, speech)
    first = Path(engine.ctl("record").stdout.strip())
    engine.wait_seconds(4)
    engine.kill()
    left, right = both_sides(first)
    assert len(left) == len(right) >= 2 * RATE
    assert signals.level_dbfs(left) > -40.0
    engine.start()
    again = wait_until(lambda: engine.find("recordingStarted")[1:], what="recorded again")[0]["file"]
    engine.ctl("hangup")
    engine.wait_no_calls()
    assert again != str(first)
    both_sides(Path(again))


@pytest.mark.parallel
def test_a_directory_that_cannot_be_is_a_sentence_and_the_call_goes_on(
    asterisk: Asterisk, make_engine: Callable[..., Engine], speech: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    engine = recorded_call(asterisk, make_engine, speech, recordings=str(tmp_path / "file/in"))
    refused = engine.ctl("record", check=False)
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        f"No recording can be made in {tmp_path / 'file/in'}: Not a directory;"
        " choose another directory in the settings."
    )
    assert engine.calls()[0]["state"] == "active"


@pytest.mark.parallel
def test_a_full_disk_ends_the_recording_and_not_the_call(
    asterisk: Asterisk, make_engine: Callable[..., Engine], speech: Path
) -> None:
    """The engine may write files of 64 kB: two seconds of recording."""
    engine = make_engine(
        asterisk.ws_uri, audio={"input": f"wav:{speech}"}, command_prefix=("prlimit", "--fsize=65536", "--")
    )
    engine.settings["log"] = {"verbose": False}
    engine.write_settings()
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    engine.wait_call("active")
    engine.ctl("record")
    ended = engine.wait_event("recordingEnded")
    assert ended["problem"].endswith("the call goes on without it.")
    assert engine.calls()[0]["state"] == "active"
    assert engine.calls()[0]["recording"] == ""
    assert len(both_sides(Path(ended["file"]))[0]) >= RATE


@pytest.mark.parallel
def test_a_wideband_call_is_recorded_in_wideband(
    asterisk: Asterisk, make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    """A tone no telephone line carries is in both channels."""
    pytest.importorskip("G722")
    places = np.arange(6 * 16000) / 16000
    whistle = signals.write_wav(tmp_path / "whistle.wav", 0.3 * np.sin(2 * np.pi * 5000.0 * places), 16000)
    engine = make_engine(asterisk.ws_uri, "1009", account={"media": "rtp"}, audio={"input": f"wav:{whistle}"})
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    engine.wait_call("active")
    file = Path(engine.ctl("record").stdout.strip())
    engine.wait_seconds(4)
    engine.ctl("hangup")
    engine.wait_event("callEnded")
    with wave.open(str(file), "rb") as recorded:
        assert (recorded.getnchannels(), recorded.getframerate()) == (2, 16000)
        samples = signals.from_pcm16(recorded.readframes(recorded.getnframes()))
    for side in (samples[::2], samples[1::2]):
        assert signals.tone_share(side[16000:32000], 16000, 5000.0) > 0.9
