"""One call's media, sans-I/O: see :mod:`audio.core.media`."""

from audio.core.events import (
    DtmfReceived,
    DtmfSent,
    FirstPacketReceived,
    MediaEvent,
    MediaResumed,
    MediaSecured,
    MediaSecurityFailed,
    MediaSilent,
    RemoteAddressChanged,
    RemoteByeReceived,
    RemoteSsrcChanged,
)
from audio.core.media import MediaCore
from audio.core.ports import (
    FRAME_MS,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    Address,
    MediaTransport,
    NonRtpHandler,
    Samples,
    SecureTransport,
    Transmit,
    TransmitKind,
)
from audio.core.statistics import MediaStatistics

__all__ = [
    "FRAME_MS",
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "Address",
    "DtmfReceived",
    "DtmfSent",
    "FirstPacketReceived",
    "MediaCore",
    "MediaEvent",
    "MediaResumed",
    "MediaSecured",
    "MediaSecurityFailed",
    "MediaSilent",
    "MediaStatistics",
    "MediaTransport",
    "NonRtpHandler",
    "RemoteAddressChanged",
    "RemoteByeReceived",
    "RemoteSsrcChanged",
    "Samples",
    "SecureTransport",
    "Transmit",
    "TransmitKind",
]
