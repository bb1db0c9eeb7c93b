"""The figures of one call's media."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStatistics:
    """A snapshot. Counts are since the core was made; ``None`` means not known yet."""

    codec: str | None = None
    """Encoding name we send with, such as ``PCMU``; ``None`` before the first :meth:`MediaCore.configure`."""

    packets_sent: int = 0
    octets_sent: int = 0
    """Payload octets, as in a sender report (RFC 3550 §6.4.1)."""

    packets_received: int = 0
    octets_received: int = 0
    lost: int = 0
    """Packets of the far end that never came, RFC 3550 A.3; duplicates can make up for it but it is never below 0."""

    loss: float = 0.0
    """Fraction of the expected packets lost, over about the last ten seconds, 0 to 1."""

    jitter_ms: float = 0.0
    """Interarrival jitter, RFC 3550 §6.4.1."""

    rtt_ms: float | None = None
    """Round trip by RTCP, RFC 3550 §6.4.1."""

    remote_loss: float | None = None
    """Fraction of our packets the far end reported lost in its last report."""

    remote_jitter_ms: float | None = None
    mos: float | None = None
    """Estimated listening and conversational quality, 1 to 4.5, ITU-T G.107."""

    buffer_ms: float = 0.0
    """Present delay of the jitter buffer: arrival of the fastest packets to playout."""

    target_ms: float = 0.0
    """Delay the jitter buffer steers to."""

    late: int = 0
    """Packets that came after their place had been played and were thrown away."""

    duplicates: int = 0
    discarded: int = 0
    """Packets thrown away for another reason: overflow, unknown payload type, malformed, failed authentication."""

    forged: int = 0
    """Of those, packets whose SRTP authentication failed."""

    replayed: int = 0
    """Of those, SRTP packets that came before, or are older than the replay window."""

    strangers: int = 0
    """Packets from a source that is not ours to listen to."""

    concealed_ms: float = 0.0
    """Sound made up in place of missing packets, total."""

    concealed: float = 0.0
    """Fraction of the playout that was made up, over about the last ten seconds, 0 to 1."""

    underruns: int = 0
    """Times a sound device had less ready, or left to play, than was due while it served this call."""

    overruns: int = 0
    """Times so much had piled up at a sound device that it was thrown away."""

    level_in_dbfs: float = -96.0
    """Microphone, RMS over about the last 300 ms, before mute."""

    level_out_dbfs: float = -96.0
    """Playout, RMS over about the last 300 ms."""

    last_received_s: float | None = None
    """Seconds since the last packet of the far end, RTP or RTCP."""
