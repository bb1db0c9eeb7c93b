"""G.722 with Asterisk: a tone of 5 kHz comes back, which no telephone sound can carry; and G.711 where it must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.audio.wideband import needs_g722
from tests.lab import signals
from tests.lab.sound import RATE
from tests.lab.test_outgoing_calls import heard_in
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine
    from tests.lab.sound import SoundServer

pytestmark = [pytest.mark.lab, needs_g722]

HIGH_HZ = 5000.0
WIDE = 16000


@pytest.fixture
def whistle(tmp_path: Path) -> Path:
    """Eight seconds of 5 kHz."""
    time = np.arange(8 * WIDE) / WIDE
    return signals.write_wav(tmp_path / "whistle.wav", 0.3 * np.sin(2 * np.pi * HIGH_HZ * time), WIDE)


@pytest.fixture
def make_phone(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> Callable[..., Engine]:
    """Makes a running, registered phone."""

    def make(username: str, **audio: str) -> Engine:
        engine = make_engine(asterisk.ws_uri, username, account={"media": "rtp"}, audio=audio)
        engine.start()
        engine.wait_registered()
        return engine

    return make


def middle(earpiece: Path, seconds: float = 2.0) -> tuple[signals.Samples, int]:
    """The middle of what was recorded, and its rate."""
    samples, rate = signals.read_wav(earpiece)
    start = (len(samples) - round(seconds * rate)) // 2
    return samples[start : start + round(seconds * rate)], rate


def test_only_wideband_brings_a_high_tone_back(
    asterisk: Asterisk, make_phone: Callable[..., Engine], whistle: Path, tmp_path: Path
) -> None:
    earpiece = tmp_path / "earpiece.wav"
    engine = make_phone("1009", input=f"wav:{whistle}", output=f"wav:{earpiece}")
    engine.dial("600")
    call = engine.wait_seconds(5)
    assert call["codec"] == "G722"
    assert "g722" in asterisk.cli("pjsip show channelstats")
    engine.ctl("hangup")
    engine.wait_no_calls()
    asterisk.wait_no_channels()
    heard, rate = middle(earpiece)
    print(f"5 kHz over an echo: {signals.tone_share(heard, rate, HIGH_HZ):.3f} of what came back, {call['media']}")
    assert rate == WIDE
    assert signals.tone_share(heard, rate, HIGH_HZ) > 0.9
    assert signals.level_dbfs(heard) > -16
    assert call["media"]["loss"] == 0


@pytest.mark.parallel
def test_speech_comes_back_in_wideband(asterisk: Asterisk, make_phone: Callable[..., Engine], tmp_path: Path) -> None:
    said = signals.speech_wav(tmp_path / "said.wav", rate=WIDE)
    earpiece = tmp_path / "earpiece.wav"
    engine = make_phone("1009", input=f"wav:{said}", output=f"wav:{earpiece}")
    engine.dial("600")
    engine.wait_seconds(6.5)
    engine.ctl("hangup")
    engine.wait_no_calls()
    match = heard_in(said, earpiece)
    print(f"speech over an echo, G.722: {match.coefficient:.4f}, {match.delay_s * 1000:.0f} ms")
    assert match.coefficient >= 0.9


@pytest.mark.parallel
def test_the_pbx_order_decides(asterisk: Asterisk, make_phone: Callable[..., Engine]) -> None:
    """RFC 3264 §7: the offerer "SHOULD use the first media format listed in the answer"; 1001 likes ulaw best."""
    engine = make_phone("1001")
    engine.dial("600")
    assert engine.wait_call("active")["codec"] == "PCMU"


@pytest.mark.parallel
def test_a_pbx_without_it_gets_telephone_sound(
    asterisk: Asterisk, make_phone: Callable[..., Engine], speech: Path, tmp_path: Path
) -> None:
    earpiece = tmp_path / "earpiece.wav"
    engine = make_phone("1008", input=f"wav:{speech}", output=f"wav:{earpiece}")
    engine.dial("600")
    call = engine.wait_seconds(6.5)
    engine.ctl("hangup")
    engine.wait_no_calls()
    assert call["codec"] == "PCMU"
    assert signals.read_wav(earpiece)[1] == 8000
    assert heard_in(speech, earpiece).coefficient >= 0.9


@pytest.mark.parallel
def test_a_call_that_comes_in_wideband(
    asterisk: Asterisk, make_phone: Callable[..., Engine], whistle: Path, tmp_path: Path
) -> None:
    """The offer's order decides: 1009 likes G.722 best."""
    earpiece = tmp_path / "earpiece.wav"
    engine = make_phone("1009", input=f"wav:{whistle}", output=f"wav:{earpiece}")
    asterisk.call("1009", "600")
    engine.wait_call("ringing")
    engine.ctl("answer")
    call = engine.wait_seconds(5)
    engine.ctl("hangup")
    engine.wait_no_calls()
    assert call["codec"] == "G722"
    heard, rate = middle(earpiece)
    assert signals.tone_share(heard, rate, HIGH_HZ) > 0.9


@pytest.mark.parallel
def test_a_wideband_and_a_telephone_understand_each_other(
    asterisk: Asterisk, make_phone: Callable[..., Engine], speech: Path, tmp_path: Path
) -> None:
    """Asterisk transcodes between G.722 and G.711; digits and hold as ever."""
    wide_ear, narrow_ear = tmp_path / "wide.wav", tmp_path / "narrow.wav"
    wide = make_phone("1009", input=f"wav:{speech}", output=f"wav:{wide_ear}")
    narrow = make_phone("1008", input=f"wav:{speech}", output=f"wav:{narrow_ear}")
    wide.dial("1008")
    narrow.wait_call("ringing")
    narrow.ctl("answer")
    calls = [phone.wait_seconds(6.5) for phone in (wide, narrow)]
    wide.ctl("hangup")
    wide.wait_no_calls()
    narrow.wait_no_calls()
    assert [call["codec"] for call in calls] == ["G722", "PCMU"]
    for ear in (wide_ear, narrow_ear):
        match = heard_in(speech, ear)
        print(f"{ear.stem}: {match.coefficient:.4f}")
        assert match.coefficient >= 0.9


@pytest.mark.parallel
def test_digits_arrive_beside_wideband(asterisk: Asterisk, make_phone: Callable[..., Engine]) -> None:
    asterisk.cli("database del lab digits")
    engine = make_phone("1009")
    engine.dial("602")
    assert engine.wait_call("active")["codec"] == "G722"
    engine.ctl("dtmf", "159*00")
    wait_until(asterisk.digits_read, what="602 has read", timeout_s=20)
    assert asterisk.digits_read() == "159*00"


@pytest.mark.audio
def test_a_high_tone_through_the_sound_card(
    asterisk: Asterisk, make_engine: Callable[..., Engine], pulse: SoundServer, whistle: Path
) -> None:
    """The device is served at 16 kHz too: from the microphone over the echo to the earpiece."""
    engine = make_engine(
        asterisk.ws_uri,
        "1009",
        account={"media": "rtp"},
        audio={"input": "default", "output": "default"},
        environment=pulse.client_environment(),
    )
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    assert engine.wait_seconds(1)["codec"] == "G722"
    earpiece = pulse.record("spk.monitor")
    playing = pulse.play(whistle)
    earpiece.wait_seconds(earpiece.seconds + 5)
    heard = earpiece.stop()[-2 * RATE :]
    playing.wait(20)
    engine.ctl("hangup")
    engine.wait_no_calls()
    print(
        f"5 kHz through devices: {signals.tone_share(heard, RATE, HIGH_HZ):.3f}, {signals.level_dbfs(heard):.1f} dBFS"
    )
    assert signals.tone_share(heard, RATE, HIGH_HZ) > 0.9
