"""The beep that tells of a recording: its pitch, its length, when it comes again."""

from __future__ import annotations

import numpy as np

from audio.stream.beep import FREQUENCY_HZ, LENGTH_S, REPEAT_S, RecordingBeep

RATE = 8000


def heard(beep: RecordingBeep, seconds: float) -> np.ndarray:
    """What is given in some seconds, with silence in the pauses."""
    blocks = (beep.read() for _ in range(round(seconds * RATE / 160)))
    return np.concatenate([np.zeros(160, dtype=np.int16) if block is None else block for block in blocks])


def test_one_beep_at_the_start() -> None:
    sound = heard(RecordingBeep(), 60.0)
    length = round(LENGTH_S * RATE)
    assert not sound[length:].any()
    spectrum = np.abs(np.fft.rfft(sound[:length].astype(float), 8 * RATE))
    assert abs(int(spectrum.argmax()) / 8 - FREQUENCY_HZ) < 0.015 * FREQUENCY_HZ
    assert abs(20 * np.log10(np.abs(sound).max() / 32767) - -20.0) < 0.2
    assert np.abs(np.diff(np.concatenate([[0], sound[:20].astype(int)]))).max() < 1500  # it fades in


def test_and_one_every_fifteen_seconds_where_that_is_asked_for() -> None:
    sound = heard(RecordingBeep(REPEAT_S), 60.0)
    starts = [start for start in range(0, len(sound), RATE) if sound[start : start + 1600].any()]
    assert starts == [0, 15 * RATE, 30 * RATE, 45 * RATE]


def test_it_sounds_the_same_at_any_rate() -> None:
    narrow, wide = RecordingBeep(), RecordingBeep()
    for _ in range(round(LENGTH_S / 0.02)):
        one, other = narrow.read(8000), wide.read(16000)
        assert one is not None
        assert other is not None
        assert np.abs(other[::2].astype(int) - one).max() <= 1
