"""What the phone itself lets the user hear: progress tones, the call-waiting beep, keys, and the bell.

    play, press ──▶ Ringing ── PlayTone ──▶ MediaThread ══▶ earpiece, ring device
    ring files ── load, off the loop ──▶ ─┘

None of it is ever sent: a tone joins what the far end said on its way to the device, and what the microphone says on
its way to the network is nowhere near.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from audio.io.commands import PlayTone
from audio.io.events import AudioEvent, AudioProblem
from audio.io.settings import AudioSettings, Role
from audio.io.tone import Channel, KeySource, LoopSource, bell_source, tone_source
from audio.io.wave import WaveProblem, load_ring
from audio.stream.tones import Country, ToneKind
from sipcore.errors import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.core import Samples
    from audio.io.thread import MediaThread


class Ringing:
    """For the loop; nothing waits but :meth:`load`. What is wrong with a ring file is told to ``report``, once."""

    def __init__(
        self,
        settings: AudioSettings,
        thread: MediaThread,
        report: Callable[[AudioEvent], None],
        *,
        want: Callable[[], None],
    ) -> None:
        """``want`` is called when other devices may be wanted than before."""
        self._settings = settings
        self._thread = thread
        self._report = report
        self._want = want
        self._playing: dict[Channel, ToneKind] = {}
        self._keys = KeySource()
        self._rings: dict[str, Samples | None] = {"": None}
        """Each ring file's sound; ``None`` where there is none and the built-in bell rings."""

    @property
    def roles(self) -> frozenset[Role]:
        """The devices that something plays on."""
        return frozenset(channel.role for channel in self._playing)

    async def use(self, settings: AudioSettings) -> None:
        """Take over country, key tones and ring files; what plays goes on in the new way."""
        before, self._settings = self._settings, settings
        if settings.ring_files != before.ring_files:
            self._rings = {"": None}  # a file may have been corrected under its name
            await self.load()
        for channel, kind in list(self._playing.items()):
            self.play(channel, kind)

    async def load(self) -> None:
        """Read the ring files that are not read yet; what rings meanwhile goes on with its own bell."""
        for path in self._settings.ring_files:
            if path in self._rings:
                continue
            self._rings[path] = None
            try:
                self._rings[path] = await asyncio.to_thread(load_ring, path)
            except WaveProblem as problem:
                sentence = Phrase("{why} Until then the built-in bell rings.", why=str(problem))
                self._report(AudioProblem(sentence, Role.RINGER))
                continue
            for channel, kind in list(self._playing.items()):
                if self._ring(kind) is self._rings[path]:
                    self.play(channel, kind)

    def play(self, channel: Channel, kind: ToneKind | None) -> None:
        """Play a tone from its beginning until the next one on its channel; ``None`` stops it."""
        if kind is None:
            self._playing.pop(channel, None)
            self._thread.send(PlayTone(channel, None))
        else:
            self._playing[channel] = kind
            self._thread.send(PlayTone(channel, self._source(kind)))
        self._want()

    def press(self, digits: str) -> None:
        """Let keys be heard as they are sent, unless that is switched off."""
        if self._settings.key_tones:
            self._keys.press(digits)
            self._thread.send(PlayTone(Channel.KEYS, self._keys))

    def release_keys(self) -> None:
        """Drop the keys that are still to be heard: nobody is sent them any more."""
        if self._keys.waiting:
            self._keys = KeySource()
            self._thread.send(PlayTone(Channel.KEYS, None))

    def _source(self, kind: ToneKind) -> LoopSource:
        country = country_named(self._settings.country)
        ring = self._ring(kind)
        return tone_source(kind, country) if ring is None else bell_source(ring, country)

    def _ring(self, kind: ToneKind) -> Samples | None:
        """The user's own ring for this kind of call, colleagues' falling back to everybody's."""
        usual = self._rings.get(self._settings.ring_file)
        match kind:
            case ToneKind.RING_INTERNAL:
                own = self._rings.get(self._settings.ring_file_internal)
                return usual if own is None else own
            case ToneKind.RING:
                return usual
            case _:
                return None


def country_named(name: str) -> Country:
    """The country of a setting, Europe's common plan for any other word."""
    try:
        return Country(name.lower())
    except ValueError:
        return Country.EU
