"""Files as microphone and recorder."""

from __future__ import annotations

import os
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.core import FRAME_SAMPLES
from audio.io.wave import MAX_RING_S, WaveMicrophone, WaveProblem, WaveSpeaker, load_ring, load_wave
from tests.audio.calling import read_wave, write_wave
from tests.audio.sound import likeness, speech

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _no_problem(sentence: str) -> None:
    raise AssertionError(sentence)


def test_a_file_is_played_once_and_then_there_is_silence() -> None:
    samples = np.arange(1, 401, dtype=np.int16)
    microphone = WaveMicrophone(samples)
    frames = [microphone.read(8000) for _ in range(4)]
    assert [frame is None for frame in frames] == [False, False, False, True]
    played = np.concatenate([frame for frame in frames if frame is not None])
    assert len(played) == 3 * FRAME_SAMPLES
    assert (played[:400] == samples).all()
    assert not played[400:].any()


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_any_usual_rate_is_heard_as_it_was_spoken(tmp_path: Path, rate: int) -> None:
    spoken = speech(1.0, rate=rate)
    write_wave(tmp_path / "in.wav", spoken, rate)
    heard = load_wave(str(tmp_path / "in.wav"))
    assert abs(len(heard) - 8000) <= 1
    alike, delay = likeness(load_wave(str(tmp_path / "in.wav")), heard)
    assert (round(alike, 6), delay) == (1.0, 0)
    if rate == 8000:
        assert (heard == spoken).all()


def test_a_file_that_is_missing_or_no_wave_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WaveProblem) as missing:
        load_wave(str(tmp_path / "absent.wav"))
    assert "absent.wav cannot be read" in str(missing.value)
    (tmp_path / "text.wav").write_text("not sound")
    with pytest.raises(WaveProblem) as wrong:
        load_wave(str(tmp_path / "text.wav"))
    assert "text.wav cannot be used" in str(wrong.value)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_usual_file_can_ring(tmp_path: Path, rate: int, channels: int) -> None:
    sound = (9000 * np.sin(2 * np.pi * 800 * np.arange(rate) / rate)).astype("<i2")
    with wave.open(str(tmp_path / "bell.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(sound, channels).tobytes())
    ring = load_ring(str(tmp_path / "bell.wav"))
    assert abs(len(ring) - 8000) <= 1
    spectrum = np.abs(np.fft.rfft(ring * np.hanning(len(ring))))
    assert abs(int(np.argmax(spectrum)) - 800) <= 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "there is no such file"),
        (lambda path: os.mkfifo(path), "there is no such file"),
        (lambda path: path.write_bytes(b""), "not a WAV file"),
        (lambda path: path.write_text("not sound"), "not a WAV file"),
        (lambda path: write_wave(path, np.ones((MAX_RING_S + 1) * 8000, np.int16)), "longer than 30 seconds"),
        (lambda path: write_wave(path, np.zeros(8000, np.int16)), "it is silent"),
        (lambda path: path.write_bytes(bytes(13_000_000)), "larger than 12 MB"),
    ],
    ids=["absent", "directory", "pipe", "empty", "text", "long", "silent", "large"],
)
def test_what_cannot_ring_is_one_sentence(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "bell.wav"
    make(path)
    with pytest.raises(WaveProblem) as refused:
        load_ring(str(path))
    assert str(refused.value).startswith(f"The ring file {path} cannot be used: ")
    assert words in str(refused.value)
    assert str(refused.value).endswith("; choose a plain WAV file of at most 30 seconds.")


def test_a_recording_is_whole_with_a_valid_header(tmp_path: Path) -> None:
    spoken = speech(1.0)
    speaker = WaveSpeaker(str(tmp_path / "out.wav"), _no_problem)
    for start in range(0, len(spoken), FRAME_SAMPLES):
        speaker.write(spoken[start : start + FRAME_SAMPLES])
    speaker.close()
    assert speaker.finished(5.0)
    assert (read_wave(tmp_path / "out.wav") == spoken).all()
    assert speaker.dropped == 0


def test_a_recording_of_nothing_is_a_valid_file(tmp_path: Path) -> None:
    speaker = WaveSpeaker(str(tmp_path / "out.wav"), _no_problem)
    speaker.close()
    assert speaker.finished(5.0)
    assert len(read_wave(tmp_path / "out.wav")) == 0


def test_a_file_that_cannot_be_written_is_told_and_the_call_goes_on(tmp_path: Path) -> None:
    told: list[str] = []
    speaker = WaveSpeaker(str(tmp_path / "no" / "such" / "folder.wav"), told.append)
    for _ in range(10_000):
        speaker.write(np.zeros(FRAME_SAMPLES, dtype=np.int16))
    speaker.close()
    assert speaker.finished(5.0)
    assert len(told) == 1
    assert "cannot be written" in told[0]
