"""How loud it is, through a sound server: volumes measured at the earpiece, and a microphone that gives nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phone.client import Connection
from tests.lab import signals
from tests.lab.sound import RATE
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine
    from tests.lab.sound import SoundServer

pytestmark = [pytest.mark.lab, pytest.mark.audio]

TONE_HZ = 437.5
PATIENCE_S = 5.0


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Half a minute of one tone, -9 dBFS."""
    places = np.arange(30 * 8000) / 8000
    return signals.write_wav(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * TONE_HZ * places), 8000)


def level(pulse: SoundServer) -> float:
    """Of what the earpiece plays now, over one second, in dBFS."""
    earpiece = pulse.record("spk.monitor")
    earpiece.wait_seconds(earpiece.seconds + 1.2)
    return signals.level_dbfs(earpiece.stop()[-RATE:])


def test_a_volume_halved_is_six_decibels_less_at_once_and_after_a_restart(
    asterisk: Asterisk, make_engine: Callable[..., Engine], pulse: SoundServer, tone: Path
) -> None:
    engine = make_engine(
        asterisk.ws_uri, audio={"input": f"wav:{tone}", "output": "spk"}, environment=pulse.client_environment()
    )
    engine.config_file.write_text(f"# mine\n{engine.config_file.read_text()}")
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    engine.wait_seconds(3)
    full = level(pulse)
    assert json.loads(engine.ctl("volume", "50", "--json").stdout) == {"volume": 50, "ring_volume": 100}
    half = level(pulse)
    assert engine.ctl("volume", "-25").stdout.strip() == "volume 25 %  ring 100 %"
    quarter = level(pulse)
    engine.ctl("volume", "0")
    nothing = level(pulse)
    engine.ctl("volume", "+50")
    print(f"100 %: {full:.2f} dBFS, 50 %: {half:.2f}, 25 %: {quarter:.2f}, 0 %: {nothing:.1f}")
    assert half - full == pytest.approx(-6.02, abs=0.1)
    assert quarter - full == pytest.approx(-12.04, abs=0.1)
    assert nothing < -90.0
    engine.ctl("volume", "30", "--ring")
    assert [event["volume"] for event in engine.find("volumeChanged")][:4] == [50, 25, 0, 50]
    engine.ctl("hangup")
    engine.wait_no_calls()
    wait_until(lambda: "ring_volume = 30" in engine.config_file.read_text(), what="the volumes are written")
    assert engine.config_file.read_text().startswith("# mine\n")
    engine.stop()
    engine.start()
    assert engine.ctl("volume").stdout.strip() == "volume 50 %  ring 30 %"
    assert engine.status()["audio"]["volume"] == 50


@pytest.mark.parallel
def test_sound_outlives_settings_that_waited_for_the_end_of_the_call(
    asterisk: Asterisk, make_engine: Callable[..., Engine]
) -> None:
    """The phone is built anew then, from settings that were saved before the volume was turned and a device chosen."""
    engine = make_engine(asterisk.ws_uri, audio={"input": "none", "output": "none"})
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    engine.wait_call("active")
    with Connection(engine.socket) as client:
        saved = client.call("change_settings", values=[{"key": "account.display_name", "text": "Desk"}])
        assert saved["after_calls"] == ["account.display_name"]
        saved = client.call("change_settings", values=[{"key": "audio.input", "text": "synthetic"}])
        assert saved["applied"] == ["audio.input"]
    engine.ctl("volume", "40")
    since = engine.mark()
    engine.ctl("hangup")
    engine.wait_event("registered", since=since, refresh=False)
    assert engine.ctl("volume").stdout.strip() == "volume 40 %  ring 100 %"
    assert engine.status()["audio"]["volume"] == 40
    assert engine.status()["audio"]["input"] == "synthetic"


def test_a_dead_microphone_is_told_and_taken_back_when_it_lives(
    asterisk: Asterisk, make_engine: Callable[..., Engine], pulse: SoundServer, speech: Path
) -> None:
    """A null sink nobody plays to gives digital silence, as a headset does whose mute switch is on."""
    engine = make_engine(asterisk.ws_uri, audio={"input": "mic.monitor"}, environment=pulse.client_environment())
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    engine.wait_call("active")
    answered = engine.wait_event("callStateChanged", state="active")
    told = engine.wait_event("microphoneSilent", PATIENCE_S + 10.0)
    print(f"told {told['at'] - answered['at']:.1f} s after the answer")
    assert told["at"] - answered["at"] < PATIENCE_S + 3.0
    assert told["again"] is False
    assert told["device"] == "Monitor of Null Output"
    assert engine.calls()[0]["microphone_silent"] is True
    assert "microphone silent" in engine.ctl("status").stdout

    engine.ctl("mute")
    engine.wait_event("microphoneHeard")
    assert engine.calls()[0]["microphone_silent"] is False
    since = engine.mark()
    engine.ctl("unmute")
    assert engine.wait_event("microphoneSilent", since=since)["again"] is True

    since = engine.mark()
    pulse.play(speech)
    engine.wait_event("microphoneHeard", since=since)
    assert engine.calls()[0]["microphone_silent"] is False
    engine.ctl("hangup")


def test_who_has_no_microphone_is_not_warned_of_it(
    asterisk: Asterisk, make_engine: Callable[..., Engine], pulse: SoundServer, tone: Path
) -> None:
    """Neither ``none`` nor a file that has come to its end, nor a call on hold."""
    short = signals.write_wav(tone.with_name("short.wav"), np.zeros(8000), 8000)
    engines = [
        make_engine(asterisk.ws_uri, "1001", audio={"input": "none"}, environment=pulse.client_environment()),
        make_engine(asterisk.ws_uri, "1004", audio={"input": f"wav:{short}"}, environment=pulse.client_environment()),
        make_engine(asterisk.ws_uri, "1007", audio={"input": "mic.monitor"}, environment=pulse.client_environment()),
    ]
    for engine in engines:
        engine.start()
        engine.wait_registered()
        engine.dial("600")
        engine.wait_call("active")
    engines[2].ctl("hold")
    for engine in engines:
        engine.wait_seconds(PATIENCE_S + 3.0)
        assert engine.find("microphoneSilent") == []
