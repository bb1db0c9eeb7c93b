"""Recording and reading WAV."""

from __future__ import annotations

import io
import struct
import tracemalloc
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.stream.recorder import WavRecorder, numbered_path
from audio.stream.wavfile import read_wav
from sipcore.errors import ParseError
from tests.audio.sound import likeness, speech

if TYPE_CHECKING:
    from pathlib import Path


def test_a_closed_recording_is_a_wav_file() -> None:
    """The standard library reads it back: 16 bit, mono, 8 kHz, every sample."""
    file = io.BytesIO()
    recorder = WavRecorder(file)
    sound = speech(0.5)
    for start in range(0, len(sound), 160):
        recorder.write(sound[start : start + 160])
    assert recorder.seconds == 0.5
    recorder.close()
    recorder.close()
    recorder.write(sound)
    file.seek(0)
    with wave.open(file) as reader:
        assert reader.getparams()[:4] == (1, 2, 8000, 4000)
        assert reader.readframes(5000) == sound.astype("<i2").tobytes()
    assert len(file.getvalue()) == 44 + 8000


def test_a_recording_cut_off_by_the_end_of_its_process_can_be_played(tmp_path: Path) -> None:
    """Without close() all but the last second is there, under a header that says so."""
    sound = speech(3.5)
    with (tmp_path / "call.wav").open("wb") as file:
        recorder = WavRecorder(file)
        for start in range(0, len(sound), 160):
            recorder.write(sound[start : start + 160])
        with wave.open(str(tmp_path / "call.wav")) as reader:  # as another process finds it now
            assert reader.getnframes() == 3 * 8000
            assert reader.readframes(24000) == sound[:24000].astype("<i2").tobytes()
        recorder.close()
    with wave.open(str(tmp_path / "call.wav")) as reader:
        assert reader.readframes(28000) == sound.astype("<i2").tobytes()


def test_stereo_interleaves_both_directions() -> None:
    file = io.BytesIO()
    recorder = WavRecorder(file, channels=2)
    recorder.write(np.array([1, 2], np.int16), np.array([-1, -2], np.int16))
    recorder.close()
    assert file.getvalue()[44:] == struct.pack("<4h", 1, -1, 2, -2)
    with pytest.raises(ValueError):
        recorder.write(np.zeros(1, np.int16))


def test_later_calls_get_a_number() -> None:
    assert [numbered_path("FILE", number) for number in (1, 2, 3)] == ["FILE", "FILE-2", "FILE-3"]


def wav(samples: np.ndarray, *, rate: int, width: int, channels: int) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        wide = samples.astype(np.int64) << 16
        match width:
            case 1:
                data = ((wide >> 24) + 128).astype(np.uint8).tobytes()
            case 2:
                data = (wide >> 16).astype("<i2").tobytes()
            case 3:
                data = b"".join(int(v >> 8).to_bytes(3, "little", signed=True) for v in wide)
            case _:
                data = wide.astype("<i4").tobytes()
        frame = width
        frames = [data[i : i + frame] * channels for i in range(0, len(data), frame)]
        writer.writeframes(b"".join(frames))
    file.seek(0)
    return file


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_any_usual_file_becomes_8_khz_mono(width: int, channels: int, rate: int) -> None:
    sound = speech(1.0, rate=rate)
    out = read_wav(wav(sound, rate=rate, width=width, channels=channels))
    assert len(out) == pytest.approx(8000, abs=2)
    if rate == 8000:
        assert np.abs(out.astype(np.int32) - sound).max() <= (256 if width == 1 else 0)
    else:
        again = read_wav(wav(out, rate=8000, width=2, channels=1), rate)
        assert likeness(sound, again)[0] > 0.9


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WAVE", b"not a wav file at all", b"\xff" * 100])
def test_what_is_no_wav_file_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(ParseError, match="WAV"):
        read_wav(io.BytesIO(data))


def test_unusual_formats_are_refused() -> None:
    with pytest.raises(ParseError, match="1000 Hz"):
        read_wav(wav(np.zeros(10, np.int16), rate=1000, width=2, channels=1))


@given(st.binary(max_size=60), st.integers(0, 44))
def test_damaged_headers_never_raise_anything_else(noise: bytes, place: int) -> None:
    good = wav(np.zeros(100, np.int16), rate=8000, width=2, channels=1).getvalue()
    try:
        read_wav(io.BytesIO(good[:place] + noise + good[place + len(noise) :]))
    except ParseError:
        pass


def test_a_longer_file_takes_little_more_memory_than_its_length() -> None:
    """An hour of stereo at 44.1 kHz and 24 bit is 950 MB; as numbers, all at once, it would be several times that."""
    spent = []
    for seconds in (5, 25):
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setparams((2, 3, 44_100, 0, "NONE", "not compressed"))
            writer.writeframes(bytes(6 * 44_100 * seconds))
        file.seek(0)
        tracemalloc.start()
        assert len(read_wav(file)) == seconds * 8000
        spent.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert spent[1] - spent[0] < 1.2 * 6 * 44_100 * 20
