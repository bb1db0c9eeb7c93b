"""The sound of an engine that died goes on first, before the rest of the phone is loaded.

    journal ──▶ calls in plain RTP ──▶ SoundAhead ══ RTP
       └──────── the same reading, later ────────▶ Journal ──▶ phone.resume

Of the journal only what the sound takes is looked at, and nothing is judged: what is damaged, old or encrypted is left
to those who come later.
"""

import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audio.io.ahead import SoundAhead
from audio.io.settings import AudioSettings
from audio.io.sockets import NoMediaPort
from phone.protocol.codec import from_json
from phone.store.journal import JournalFile, Row, boot_id
from sipcore.aio.clock import SystemClock
from sipcore.errors import SipError
from sipcore.ids import IdSource
from sipcore.media import LocalMedia, MediaParameters
from sipcore.sdp.agreement import recalled
from sipcore.sdp.snapshot import NegotiationSnapshot, recall_untrusted

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What was read, and what of it sounds."""

    file: JournalFile
    row: Row
    sound: SoundAhead | None
    """None where no call is in plain RTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sip:
    negotiation: NegotiationSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    id: str
    muted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    sip: _Sip
    shown: _Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """The part of :class:`phone.journal.Record` that sounds."""

    calls: tuple[_Call, ...] = ()
    current: str = ""


def begin(
    file: Path,
    account: str,
    audio: AudioSettings,
    *,
    boot: str | None = None,
    clock: Callable[[], float] | None = None,
) -> Ahead | None:
    """Read what an engine of ``account`` left behind in ``file`` and let its calls sound; None where it left nothing.

    ``boot`` and ``clock`` are the machine's. Never raises for what is in the file.
    """
    journal = JournalFile(file, account)
    row = journal.read()
    if row is None:
        journal.close()
        return None
    fresh = row.fresh(boot_id() if boot is None else boot, (clock or SystemClock().boot_time)())
    return Ahead(file=journal, row=row, sound=_sound_of(row, audio) if fresh else None)


def _sound_of(row: Row, audio: AudioSettings) -> SoundAhead | None:
    try:
        record = from_json(_Record, json.loads(row.record))
    except (ValueError, RecursionError):
        return None  # the journal says so
    sound = SoundAhead(audio, IdSource(random.SystemRandom()))
    begun = {call.shown.id for call in record.calls if _goes_on(sound, call)}
    if record.current in begun:
        sound.activate(record.current)
    return sound if begun else None


def _goes_on(sound: SoundAhead, call: _Call) -> bool:
    negotiation, name = call.sip.negotiation, call.shown.id
    if negotiation.keying != "none" or name in sound.calls:
        return False

    def agreed(media: LocalMedia) -> MediaParameters:
        ours, theirs = recall_untrusted(negotiation, media)
        return recalled(ours, theirs, negotiation=0)

    try:
        began = sound.begin(name, negotiation.address, negotiation.rtp_port, agreed, muted=call.shown.muted)
    except (NoMediaPort, SipError, OSError, ValueError, OverflowError) as error:
        _log.info("= call %s is not heard yet: %s", name, error)
        return False
    if began:
        _log.info("= call %s sounds at port %d, ahead of the rest", name, negotiation.rtp_port)
    return began
