"""Far ends without people, for the demo PBX and the tests: echo, announcement, tone, recorder, digits said back.

    datagrams ─▶ receive ─▶ robot ─▶ transmits          tick every 20 ms, like a MediaCore

Sans-I/O like everything beside them: the owner has the sockets and the clock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import numpy as np

from audio.core.events import DtmfReceived, MediaEvent
from audio.core.ports import FRAME_SAMPLES, SAMPLE_RATE, Address, Samples, Transmit, TransmitKind
from audio.rtp.demux import DatagramKind, classify_untrusted
from audio.rtp.packet import RtpPacket
from audio.rtp.reception import ReceiverStatistics
from audio.rtp.rtcp import Report, SourceDescription, parse_compound_untrusted, serialise_compound
from audio.rtp.sending import SenderState
from audio.stream.tones import say_digits
from sipcore.errors import ParseError

if TYPE_CHECKING:
    from audio.core.media import MediaCore
    from audio.stream.recorder import WavRecorder
    from sipcore.ids import IdSource


class SoundSource(Protocol):
    """What a robot says; a :class:`audio.stream.tones.ToneGenerator` is one."""

    def read(self, count: int) -> Samples:
        """The next ``count`` samples of 8 kHz sound, silence when there is no more."""
        ...


class Announcement:
    """Plays sound after sound, then silence."""

    def __init__(self, samples: Samples | None = None, *, repeat: bool = False) -> None:
        self._samples = np.zeros(0, dtype=np.int16) if samples is None else samples
        self._repeat = repeat
        self._place = 0

    @property
    def finished(self) -> bool:
        """Whether all has been said."""
        return self._place >= len(self._samples)

    def say(self, samples: Samples) -> None:
        """Append to what is still to be said."""
        self._samples = np.concatenate([self._samples[self._place :], samples])
        self._place = 0

    def read(self, count: int) -> Samples:
        """The next ``count`` samples."""
        if self._repeat and self.finished:
            self._place = 0
        block = self._samples[self._place : self._place + count]
        self._place += len(block)
        return np.concatenate([block, np.zeros(count - len(block), dtype=np.int16)])


class EchoRobot:
    """Sends every RTP packet back where it came from, with an SSRC and sequence of its own, and answers RTCP reports.

    Timestamp, marker, payload type and payload are the sender's: what is heard is exactly what was said.
    """

    def __init__(self, ids: IdSource, *, wall_offset_s: float = 0.0) -> None:
        self._sender = SenderState(ids)
        self._cname = ids.token(96)
        self._wall_offset_s = wall_offset_s
        self._reception: ReceiverStatistics | None = None
        self._transmits: deque[Transmit] = deque(maxlen=512)

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTP socket; never raises for what is in it."""
        match classify_untrusted(data):
            case DatagramKind.RTP:
                self._echo(data, source, now)
            case DatagramKind.RTCP:
                self._answer(data, source, now, TransmitKind.RTP)
            case _:
                pass

    def receive_rtcp(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTCP socket; never raises for what is in it."""
        self._answer(data, source, now, TransmitKind.RTCP)

    def tick(self, now: float) -> None:
        """Nothing happens by time alone."""

    def transmits(self) -> list[Transmit]:
        """Drain what is to be sent."""
        drained = list(self._transmits)
        self._transmits.clear()
        return drained

    def _echo(self, data: bytes, source: Address, now: float) -> None:
        try:
            packet = RtpPacket.parse_untrusted(data)
        except ParseError:
            return
        if self._reception is None or self._reception.ssrc != packet.ssrc:
            self._reception = ReceiverStatistics(packet.ssrc, packet.sequence)
        self._reception.update(packet.sequence, packet.timestamp, now)
        echo = self._sender.event(packet.payload_type, packet.payload, packet.timestamp, marker=packet.marker)
        self._transmits.append(Transmit(echo.serialise(), source, TransmitKind.RTP))

    def _answer(self, data: bytes, source: Address, now: float, kind: TransmitKind) -> None:
        try:
            packets = parse_compound_untrusted(data)
        except ParseError:
            return
        report = packets[0] if packets else None
        if not isinstance(report, Report) or self._reception is None or self._reception.ssrc != report.ssrc:
            return
        if report.sender:
            self._reception.sender_report(report.sender, now)
        info = self._sender.sender_info(unix_s=now + self._wall_offset_s, since_clock_s=0.0)
        answer = Report(ssrc=self._sender.ssrc, sender=info, blocks=(self._reception.report_block(now),))
        description = SourceDescription(chunks=((self._sender.ssrc, self._cname),))
        self._transmits.append(Transmit(serialise_compound((answer, description)), source, kind))


class VoiceRobot:
    """A core with a mouth: says what its source gives, keeps the digits it hears, and records if told to."""

    def __init__(self, core: MediaCore, source: SoundSource, *, recorder: WavRecorder | None = None) -> None:
        self.core = core
        self.source = source
        self.digits = ""
        """All digits heard."""

        self._recorder = recorder
        self._events: list[MediaEvent] = []

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTP socket; never raises for what is in it."""
        self.core.receive(data, source, now)

    def receive_rtcp(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTCP socket; never raises for what is in it."""
        self.core.receive_rtcp(data, source, now)

    def tick(self, now: float) -> None:
        """20 ms: speak, listen, report. RTCP is sent from here too."""
        heard = self.core.tick(now, self.source.read(FRAME_SAMPLES))
        if self._recorder:
            self._recorder.write(heard)
        due = self.core.next_timeout()
        if due is not None and due <= now:
            self.core.handle_timeout(now)
        for event in self.core.events():
            if isinstance(event, DtmfReceived):
                self.digits += event.digit
                self.heard_digit(event.digit, now)
            self._events.append(event)

    def heard_digit(self, digit: str, now: float) -> None:
        """Called for each digit; a plain robot only keeps it."""

    def transmits(self) -> list[Transmit]:
        """Drain what is to be sent."""
        return self.core.transmits()

    def events(self) -> list[MediaEvent]:
        """Drain what happened."""
        drained, self._events = self._events, []
        return drained

    def close(self, now: float) -> None:
        """Say goodbye by RTCP and finish the recording."""
        self.core.close(now)
        if self._recorder:
            self._recorder.close()


class DigitsRobot(VoiceRobot):
    """Says the digits it hears back as tones, after ``#`` or a pause."""

    ANSWER_AFTER_S = 1.5

    def __init__(self, core: MediaCore, *, recorder: WavRecorder | None = None) -> None:
        self._announcement = Announcement()
        super().__init__(core, self._announcement, recorder=recorder)
        self._waiting = ""
        self._answer_at: float | None = None

    def heard_digit(self, digit: str, now: float) -> None:
        """Collect it; ``#`` ends the number."""
        if digit == "#":
            self._answer_at = now
            return
        self._waiting += digit
        self._answer_at = now + self.ANSWER_AFTER_S

    def tick(self, now: float) -> None:
        """20 ms, as for every robot."""
        if self._answer_at is not None and now >= self._answer_at:
            self._announcement.say(say_digits(self._waiting))
            self._waiting, self._answer_at = "", None
        super().tick(now)


def welcome() -> Samples:
    """A short tune for the welcome announcement: a rising broken chord that comes to rest."""
    notes = ((523.25, 0.22), (659.25, 0.22), (783.99, 0.22), (1046.5, 0.5), (783.99, 0.22), (1046.5, 0.8))
    parts = [_note(frequency, seconds) for frequency, seconds in notes]
    return np.concatenate([*parts, np.zeros(SAMPLE_RATE // 2, dtype=np.int16)])


def _note(frequency: float, seconds: float) -> Samples:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.minimum(time / 0.01, 1.0) * np.exp(-3.0 * time / seconds) * np.minimum((seconds - time) / 0.02, 1.0)
    wave = np.sin(2 * np.pi * frequency * time) + 0.3 * np.sin(4 * np.pi * frequency * time)
    return np.asarray(np.rint(wave * envelope * 6000), dtype=np.int16)
