"""Call progress tones as something the media thread can read 20 ms at a time."""

from __future__ import annotations

from audio.core import FRAME_SAMPLES, SAMPLE_RATE, Samples
from audio.stream.resample import RateConverter
from audio.stream.tones import Country, ToneGenerator, ToneKind


class ToneSource:
    """A country's tone, for ever: a :class:`~audio.session.Microphone`."""

    def __init__(self, kind: ToneKind, country: Country) -> None:
        self._generator = ToneGenerator(kind, country, SAMPLE_RATE)
        self._converter = RateConverter()

    def read(self, rate: int) -> Samples | None:
        """The next 20 ms."""
        return self._converter.convert(self._generator.read(FRAME_SAMPLES), SAMPLE_RATE, rate)

    def pause(self) -> None:
        """A tone waits."""
