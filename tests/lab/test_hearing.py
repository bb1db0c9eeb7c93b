"""What the user hears beside the far end, in front of a real PBX and through real (null) sinks.

spk.monitor ─ the earpiece          ring.monitor ─ the ring device          capture ─ what the far end was sent
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.lab import signals
from tests.lab.rtp_view import sound_sent_to
from tests.lab.sound import RATE
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine
    from tests.lab.signals import Samples
    from tests.lab.sound import SoundServer
    from tests.lab.wire import Capture

pytestmark = [pytest.mark.lab, pytest.mark.audio, pytest.mark.timeout(90)]

_SILENCE_DBFS = -60.0
_EXTERNAL_HZ, _INTERNAL_HZ = 700.0, 1100.0
_SAID_HZ = 300.0


@pytest.fixture
def phone(asterisk: Asterisk, make_engine: Callable[..., Engine], pulse: SoundServer, tmp_path: Path) -> Engine:
    """Registered as 1001, with earpiece, microphone and a ring device of its own, and two bells."""
    bells = {
        name: str(signals.write_wav(tmp_path / f"{name}.wav", _tone(hertz, rate), rate))
        for name, hertz, rate in (("ring_file", _EXTERNAL_HZ, 44100), ("ring_file_internal", _INTERNAL_HZ, 16000))
    }
    audio = {"input": "default", "output": "default", "ring": "ring", "country": "us", **bells}
    engine = make_engine(asterisk.ws_uri, audio=audio, environment=pulse.client_environment())
    engine.start()
    engine.wait_registered()
    return engine


def _tone(hertz: float, rate: int, seconds: int = 2) -> Samples:
    samples: Samples = 0.3 * np.sin(2 * np.pi * hertz * np.arange(seconds * rate) / rate)
    return samples


def _loud(samples: Samples) -> Samples:
    """The stretches that are not silent."""
    step = RATE // 50
    pieces = samples[: len(samples) // step * step].reshape(-1, step)
    loud: Samples = pieces[np.abs(pieces).max(axis=1) > 0.01].reshape(-1)
    return loud


def _hear(pulse: SoundServer, source: str, seconds: float) -> Samples:
    recording = pulse.record(f"{source}.monitor")
    recording.wait_seconds(seconds)
    return recording.stop()


@pytest.mark.parametrize(
    ("prefix", "internal", "hertz"),
    [("81", True, _INTERNAL_HZ), ("82", False, _EXTERNAL_HZ), ("", False, _EXTERNAL_HZ)],
)
def test_the_pbx_s_word_chooses_the_bell_and_only_the_ring_device_rings(
    asterisk: Asterisk, phone: Engine, pulse: SoundServer, prefix: str, internal: bool, hertz: float
) -> None:
    """Alert-Info as Asterisk adds it; without one a call is from outside."""
    ring, earpiece = pulse.record("ring.monitor"), pulse.record("spk.monitor")
    asterisk.cli(f"channel originate Local/{prefix}1001@default extension 600@default")
    assert phone.wait_event("incomingCall")["internal"] is internal
    ring.wait_seconds(ring.seconds + 3)
    phone.ctl("hangup")
    phone.wait_no_calls()
    heard = _loud(ring.stop())
    assert len(heard) > RATE
    assert signals.tone_share(heard, RATE, hertz) > 0.9
    assert signals.level_dbfs(earpiece.stop()) < _SILENCE_DBFS


def test_a_second_call_beeps_in_the_ear_and_nowhere_else(
    asterisk: Asterisk, phone: Engine, pulse: SoundServer, capture: Capture
) -> None:
    """The far end, which talks to us, is sent nothing of it; the ring device stays silent."""
    phone.dial("610")  # silent, and longer than this takes
    phone.wait_call("active")
    ring, earpiece = pulse.record("ring.monitor"), pulse.record("spk.monitor")
    asterisk.cli("channel originate Local/821001@default extension 600@default")
    phone.wait_call("ringing")
    earpiece.wait_seconds(earpiece.seconds + 1.2)
    phone.ctl("hangup", phone.wait_call("ringing")["id"])
    ring.wait_seconds(ring.seconds + 0.5)
    capture.stop()
    beep = _loud(earpiece.stop())
    print(f"beep: {len(beep) / RATE:.2f} s at {signals.level_dbfs(beep):.1f} dBFS")
    assert len(beep) / RATE == pytest.approx(0.3, abs=0.06)
    assert signals.tone_share(beep, RATE, 440) > 0.9
    assert -28 < signals.level_dbfs(beep) < -22
    assert signals.level_dbfs(ring.stop()) < _SILENCE_DBFS
    sent = sound_sent_to(asterisk.address, capture)
    assert len(sent) > 8000
    assert signals.level_dbfs(sent) < _SILENCE_DBFS


def test_keys_are_heard_here_and_reach_the_far_end_as_events_alone(
    asterisk: Asterisk, phone: Engine, pulse: SoundServer, capture: Capture, tmp_path: Path
) -> None:
    """The microphone says a tone meanwhile: the far end gets it and no key, the ear gets the keys and not it."""
    pulse.play(signals.write_wav(tmp_path / "said.wav", _tone(_SAID_HZ, 8000, seconds=60), 8000))
    phone.dial("602")
    phone.wait_call("active")
    earpiece = pulse.record("spk.monitor")
    phone.ctl("dtmf", "4821")
    wait_until(lambda: asterisk.digits_read() == "4821", what="the PBX read the digits")
    phone.ctl("hangup")
    phone.wait_no_calls()
    capture.stop()
    heard = earpiece.stop()
    tones = signals.resample(heard, RATE, 8000)
    for low, high in ((770, 1209), (852, 1336), (697, 1336), (697, 1209)):
        assert _sounds_together(tones, low, high), f"{low} and {high} Hz"
    sent = sound_sent_to(asterisk.address, capture)
    assert len(sent) > 4000
    assert signals.tone_share(sent, 8000, _SAID_HZ) > 0.9
    for hertz in (770, 852, 697, 1209, 1336):
        assert signals.tone_share(sent, 8000, hertz) < 0.005
    assert signals.tone_share(heard, RATE, _SAID_HZ) < 0.005


def _sounds_together(samples: Samples, low: float, high: float) -> bool:
    """Whether both frequencies hold most of the power of some 60 ms."""
    size = 480
    pieces = (samples[start : start + size] for start in range(0, len(samples) - size, 80))
    return any(
        signals.level_dbfs(piece) > -24
        and min(signals.tone_share(piece, 8000, hertz, width=30) for hertz in (low, high)) > 0.35
        for piece in pieces
    )


def test_ringback_busy_and_the_end_of_both(asterisk: Asterisk, phone: Engine, pulse: SoundServer) -> None:
    """604 rings without sound of its own; 603 is busy, and hanging up ends its tone."""
    phone.dial("604")
    phone.wait_call("ringing")
    ringback = _loud(_hear(pulse, "spk", 1.5))
    assert sum(signals.tone_share(ringback, RATE, hertz) for hertz in (440, 480)) > 0.9
    phone.ctl("hangup")
    phone.wait_no_calls()
    phone.dial("603")
    phone.wait_no_calls()
    busy = _loud(_hear(pulse, "spk", 1.2))
    assert sum(signals.tone_share(busy, RATE, hertz) for hertz in (480, 620)) > 0.9
    phone.ctl("hangup")
    assert signals.level_dbfs(_hear(pulse, "spk", 1.0)[RATE // 2 :]) < _SILENCE_DBFS


def test_early_media_takes_the_place_of_the_ringback(asterisk: Asterisk, phone: Engine, pulse: SoundServer) -> None:
    """605 speaks before it answers: an announcement, with no tone of ours over it."""
    phone.dial("605")
    phone.wait_call("early")
    heard = _hear(pulse, "spk", 2.5)
    assert signals.level_dbfs(heard) > -45
    assert sum(signals.tone_share(heard, RATE, hertz, width=5) for hertz in (440, 480)) < 0.4


def test_the_ring_device_is_pulled_and_the_earpiece_rings(
    asterisk: Asterisk, phone: Engine, pulse: SoundServer
) -> None:
    """One notice; and once it is plugged in again it rings as before."""
    pulse.unplug("ring")
    earpiece = pulse.record("spk.monitor")
    asterisk.cli("channel originate Local/821001@default extension 600@default")
    phone.wait_call("ringing")
    told = phone.wait_event("audioProblem", problem="ring")
    earpiece.wait_seconds(earpiece.seconds + 2.5)
    assert signals.tone_share(_loud(earpiece.stop()), RATE, _EXTERNAL_HZ) > 0.9
    assert "until then calls ring on the speaker" in told["detail"].lower()
    assert len(phone.find("audioProblem", problem="ring")) == 1
    pulse.plug("ring")
    phone.wait_event("audioRestored", since=phone.events.index(told))
    assert signals.tone_share(_loud(_hear(pulse, "ring", 3.5)), RATE, _EXTERNAL_HZ) > 0.9
    phone.ctl("hangup")
