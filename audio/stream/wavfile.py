"""Read a WAV file as 8 kHz mono 16-bit sound: the microphone of ``wav:FILE``, ring files, announcements."""

from __future__ import annotations

import struct
import wave
from typing import IO

import numpy as np
from numpy.typing import NDArray

from audio.stream.resample import convert
from sipcore.errors import ParseError, Phrase

Samples = NDArray[np.int16]

MAXIMUM_SECONDS = 3600
_RATES = range(4000, 192_001)


def read_wav(file: IO[bytes], rate: int = 8000, *, longest_s: int = MAXIMUM_SECONDS) -> Samples:
    """The whole file at ``rate`` Hz: 8, 16, 24 or 32 bit PCM, any channels (averaged), any usual rate.

    ParseError, with a sentence for the user, for anything else and for more than ``longest_s``.
    """
    try:
        with wave.open(file, "rb") as reader:
            channels, width, in_rate, count = reader.getparams()[:4]
            if in_rate not in _RATES or not 1 <= channels <= 32 or width not in (1, 2, 3, 4):
                raise ParseError(
                    Phrase(
                        "WAV format is not supported: {channels} channels, {bits} bit, {rate} Hz",
                        channels=channels,
                        bits=width * 8,
                        rate=in_rate,
                    )
                )
            if count > in_rate * longest_s:
                raise ParseError(Phrase("it is longer than {n} seconds", n=longest_s))
            # A second at a time: an hour as floats would be gigabytes.
            blocks = [_mono(reader.readframes(in_rate), channels, width) for _ in range(0, count, in_rate)]
    except (wave.Error, EOFError, RuntimeError, ValueError, struct.error) as error:
        # `wave` trusts the sizes a file states, and then fails in its own ways.
        why = str(error) or Phrase("it is cut off")
        raise ParseError(Phrase("not a WAV file this program can play: {why}", why=why)) from error
    return convert(np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int16), in_rate, rate)


def _mono(data: bytes, channels: int, width: int) -> Samples:
    """The mean of all channels; a frame that is cut off is left out."""
    whole = data[: len(data) // (channels * width) * (channels * width)]
    mono = _linear(whole, width).reshape(-1, channels).mean(axis=1)
    block: Samples = np.clip(np.rint(mono), -32768, 32767).astype(np.int16)
    return block


def _linear(data: bytes, width: int) -> NDArray[np.float32]:
    """Samples at 16-bit scale."""
    match width:
        case 1:  # 8-bit WAV is unsigned
            return (np.frombuffer(data, dtype=np.uint8).astype(np.float32) - 128.0) * 256.0
        case 2:
            return np.frombuffer(data, dtype="<i2").astype(np.float32)
        case 3:
            octets = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3).astype(np.int32)
            whole = (octets[:, 0] << 8) | (octets[:, 1] << 16) | (octets[:, 2] << 24)
            return (whole / 65536.0).astype(np.float32)
        case _:
            return (np.frombuffer(data, dtype="<i4") / 65536.0).astype(np.float32)
