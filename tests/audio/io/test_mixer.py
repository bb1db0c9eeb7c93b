"""What the shared devices are given and give: volumes, the bell beside a call, a microphone that is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.io.echo import CleanMicrophone, EchoPath
from audio.io.events import AudioProblem
from audio.io.fake import SyntheticSpeaker
from audio.io.matching import CallbackCapture, CaptureEnd
from audio.io.mixer import Mixer
from audio.io.ring import FrameRing
from audio.io.settings import Role
from audio.io.tone import Channel
from audio.stream.stillness import PATIENCE_S

if TYPE_CHECKING:
    from audio.core import Samples
    from audio.io.events import AudioEvent

RATE = 8000
LOUD = np.full(160, 8000, dtype=np.int16)
TICKS = round(PATIENCE_S / 0.02)


class Source:
    """The same 20 ms for ever."""

    def __init__(self, frame: Samples) -> None:
        self.frame = frame
        self.broken = False

    def read(self, rate: int) -> Samples | None:
        """The next 20 ms."""
        if self.broken:
            raise RuntimeError("the device is gone")
        return self.frame.copy()

    def pause(self) -> None:
        """Nothing is stored."""


class Tone:
    """The same 20 ms for ever, beside a call."""

    def __init__(self, level: int) -> None:
        self.frame = np.full(160, level, dtype=np.int16)

    def read(self) -> Samples | None:
        """The next 20 ms."""
        return self.frame


def mixer() -> tuple[Mixer, SyntheticSpeaker, SyntheticSpeaker]:
    """With a device for calls and one for rings."""
    made, speaker, ringer = Mixer(lambda _: None), SyntheticSpeaker(), SyntheticSpeaker()
    made.attach_speaker(Role.SPEAKER, speaker)
    made.attach_speaker(Role.RINGER, ringer)
    return made, speaker, ringer


def test_each_volume_is_its_own() -> None:
    made, speaker, ringer = mixer()
    made.set_gain(Role.SPEAKER, 0.5)
    made.set_gain(Role.RINGER, 0.25)
    made.play(Channel.BELL, Tone(8000))
    for _ in range(2):
        made.play_out(LOUD, None, RATE)
    assert set(speaker.heard()[160:]) == {4000}
    assert set(ringer.heard()[160:]) == {2000}
    steps = np.diff(np.concatenate([[8000], speaker.heard()[:160]]))
    assert (steps.min(), steps.max()) == (-25, -25)  # a ramp of 20 ms from one to the other


def test_the_bell_on_the_device_of_a_call_has_the_volume_of_the_bell() -> None:
    made, speaker, _ = mixer()
    made.attach_speaker(Role.RINGER, speaker)
    made.set_gain(Role.SPEAKER, 0.5)
    made.set_gain(Role.RINGER, 0.25)
    made.play(Channel.BELL, Tone(8000))
    for _ in range(2):
        made.play_out(LOUD, None, RATE)
    assert set(speaker.heard()[160:]) == {6000}


def test_a_tone_over_a_call_is_never_cut_off() -> None:
    made, speaker, _ = mixer()
    made.play(Channel.PROGRESS, Tone(20000))
    made.play_out(np.full(160, 20000, dtype=np.int16), made.tone(Role.SPEAKER, RATE), RATE)
    assert 32000 < speaker.heard()[0] < 32767


def test_a_call_alone_at_full_volume_is_not_touched() -> None:
    made, speaker, _ = mixer()
    extremes = np.array([-32768, 32767] * 80, dtype=np.int16)
    made.play_out(extremes, None, RATE)
    assert (speaker.heard() == extremes).all()


def test_gain_makes_the_microphone_louder_and_never_cuts_it_off() -> None:
    made = Mixer(lambda _: None)
    made.attach_microphone(Source(LOUD))
    made.set_gain(Role.MICROPHONE, 2.0)
    assert levels(made) == {16000}
    made.set_gain(Role.MICROPHONE, 10.0)
    assert levels(made) == {32767}


def levels(made: Mixer) -> set[int]:
    """What the microphone gives once a change of gain is over."""
    made.hear(RATE)
    frame = made.hear(RATE)
    assert frame is not None
    return set(frame.tolist())


@pytest.mark.parametrize("gain", [1.0, 10.0])
def test_a_dead_microphone_is_noticed_and_so_is_sound(gain: float) -> None:
    """Before the gain: digital silence stays that, and a converter's last step stays one."""
    source = Source(np.zeros(160, dtype=np.int16))
    source.frame[::2] = 1
    made = Mixer(lambda _: None)
    made.attach_microphone(source)
    made.set_gain(Role.MICROPHONE, gain)
    told = []
    for tick in range(TICKS + 1):
        if tick == TICKS:
            source.frame[::3] = 100
        made.hear(RATE)
        told.append(made.microphone_dead)
    assert told == [False] * (TICKS - 1) + [True, False]


class Hush:
    """A canceller that takes everything for noise, as the real one does with the last steps of a converter."""

    failed = False

    def cleaned(self, frame: Samples, delay_s: float) -> Samples:
        """Nothing is left."""
        return np.zeros_like(frame)


def test_a_microphone_in_a_quiet_room_is_alive_whatever_noise_suppression_leaves_of_it() -> None:
    ring, path = FrameRing(RATE), EchoPath()
    path.canceller = Hush()  # type: ignore[assignment]
    made = Mixer(lambda _: None)
    made.attach_microphone(CleanMicrophone(CaptureEnd(CallbackCapture(ring, RATE, lambda: 0.0)), path))
    room = np.tile(np.array([-3, 2, 0, 1], dtype=np.int16), 40).tobytes()
    for _ in range(2):
        ring.write(room)
    for _ in range(TICKS + 5):
        ring.write(room)
        heard = made.hear(RATE)
        assert heard is None or not heard.any()
    assert not made.microphone_dead


def test_another_device_is_given_its_own_time() -> None:
    made = Mixer(lambda _: None)
    made.attach_microphone(Source(np.zeros(160, dtype=np.int16)))
    for _ in range(TICKS):
        made.hear(RATE)
    made.attach_microphone(Source(np.zeros(160, dtype=np.int16)))
    assert not made.microphone_dead


def test_no_microphone_is_not_a_dead_one() -> None:
    made = Mixer(lambda _: None)
    for _ in range(2 * TICKS):
        assert made.hear(RATE) is None
    assert not made.microphone_dead


def test_a_device_that_fails_is_let_go_and_told_once() -> None:
    told: list[AudioEvent] = []
    made = Mixer(told.append)
    source = Source(LOUD)
    made.attach_microphone(source)
    source.broken = True
    assert [made.hear(RATE), made.hear(RATE)] == [None, None]
    assert len(told) == 1
    assert isinstance(told[0], AudioProblem)
    assert not made.attached
