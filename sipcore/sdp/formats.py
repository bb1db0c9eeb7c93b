"""Payload formats of a stream: rtpmap, fmtp, static types and what two ends have in common (RFC 3264, 3551, 4733).

Each end numbers the formats it *receives*, so one format may have two numbers in one call: packets are sent with
the peer's number (RFC 3264 §5.1).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sipcore.media import Codec
from sipcore.sdp.types import Attribute, MediaDescription

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# RFC 3551 §6, table 4: audio types that need no rtpmap. G.722's RTP clock is 8000 although it samples at 16000.
STATIC_AUDIO: Mapping[int, Codec] = {
    codec.payload_type: codec
    for codec in (
        Codec(0, "PCMU", 8000),
        Codec(3, "GSM", 8000),
        Codec(4, "G723", 8000),
        Codec(5, "DVI4", 8000),
        Codec(6, "DVI4", 16000),
        Codec(7, "LPC", 8000),
        Codec(8, "PCMA", 8000),
        Codec(9, "G722", 8000),
        Codec(10, "L16", 44100, channels=2),
        Codec(11, "L16", 44100),
        Codec(12, "QCELP", 8000),
        Codec(13, "CN", 8000),
        Codec(14, "MPA", 90000),
        Codec(15, "G728", 8000),
        Codec(16, "DVI4", 11025),
        Codec(17, "DVI4", 22050),
        Codec(18, "G729", 8000),
    )
}

_DYNAMIC = range(96, 128)
_RTPMAP = re.compile(r"(\d{1,3})\s+([^\s/]+)/(\d{1,7})(?:/(\d{1,2}))?\s*", re.ASCII)
_FMTP = re.compile(r"(\d{1,3})\s+(\S.*)", re.ASCII)
_MAX_PAYLOAD_TYPE = 127

# Same format, whatever its number: encoding names compare without case (RFC 8866 §6.6).
FormatKey = tuple[str, int, int]


def format_key(codec: Codec) -> FormatKey:
    """What makes two codecs the same format; agrees with :meth:`Codec.same_format`."""
    return codec.encoding.lower(), codec.clock_rate, codec.channels


def is_event(codec: Codec) -> bool:
    """Whether it carries DTMF events (RFC 4733)."""
    return codec.encoding.lower() == "telephone-event"


def is_comfort_noise(codec: Codec) -> bool:
    """Whether it carries comfort noise (RFC 3389)."""
    return codec.encoding.lower() == "cn"


def is_speech(codec: Codec) -> bool:
    """Whether it carries the voice itself."""
    return not is_event(codec) and not is_comfort_noise(codec)


def read_codecs_untrusted(media: MediaDescription, assumed: Iterable[Codec] = ()) -> tuple[Codec, ...]:
    """The formats of an m-line in its order; unusable ones are left out, repeated numbers count once.

    ``assumed`` gives the meaning of dynamic numbers without an rtpmap: in an answer, those of our own offer.
    """
    known = {codec.payload_type: codec for codec in assumed} | dict(STATIC_AUDIO)
    maps = _rtpmaps(media)
    parameters = _fmtps(media)
    codecs: dict[int, Codec] = {}
    for text in media.formats:
        if not (text.isascii() and text.isdigit()) or len(text) > 3:
            continue
        number = int(text)
        codec = maps.get(number) or known.get(number)
        if codec is None or number > _MAX_PAYLOAD_TYPE or number in codecs:
            continue
        codecs[number] = replace(codec, payload_type=number, fmtp=parameters.get(number))
    return tuple(codecs.values())


def _rtpmaps(media: MediaDescription) -> dict[int, Codec]:
    maps: dict[int, Codec] = {}
    for value in media.values("rtpmap"):
        if match := _RTPMAP.fullmatch(value):
            number, clock_rate, channels = int(match[1]), int(match[3]), int(match[4] or 1)
            if clock_rate and channels:
                maps.setdefault(number, Codec(number, match[2], clock_rate, channels))
    return maps


def _fmtps(media: MediaDescription) -> dict[int, str]:
    return {int(match[1]): match[2] for value in media.values("fmtp") if (match := _FMTP.fullmatch(value))}


def format_attributes(codecs: Iterable[Codec]) -> Iterator[Attribute]:
    """The rtpmap and fmtp lines; static types get an rtpmap too (RFC 3264 §5.1 wants one for each)."""
    for codec in codecs:
        channels = "" if codec.channels == 1 else f"/{codec.channels}"
        yield Attribute("rtpmap", f"{codec.payload_type} {codec.encoding}/{codec.clock_rate}{channels}")
        if codec.fmtp is not None:
            yield Attribute("fmtp", f"{codec.payload_type} {codec.fmtp}")


def numbered(
    codecs: Sequence[Codec], history: Mapping[int, FormatKey], *, as_before: bool = False
) -> tuple[Codec, ...]:
    """``codecs`` with numbers that contradict no description of ours so far; ``history`` holds every number we gave.

    RFC 3264 §8.3.2: "the mapping from a particular dynamic payload type number to a particular codec within that
    media stream MUST NOT change for the duration of a session". A codec keeps the number it comes with where it can,
    or with ``as_before`` the one it had last.
    """
    taken = dict(history)
    result: list[Codec] = []
    for codec in codecs:
        key = format_key(codec)
        earlier = [number for number, other in reversed(taken.items()) if other == key]
        wanted = [*earlier, codec.payload_type] if as_before else [codec.payload_type, *earlier]
        number = next((n for n in (*wanted, *_DYNAMIC) if taken.get(n, key) == key), None)
        if number is not None:
            taken[number] = key
            result.append(replace(codec, payload_type=number))
    return tuple(result)


def common(first: Iterable[Codec], second: Sequence[Codec]) -> tuple[tuple[Codec, Codec], ...]:
    """Pairs of one format in both, in the order of ``first``; each format once."""
    pairs: dict[FormatKey, tuple[Codec, Codec]] = {}
    for codec in first:
        for other in second:
            if codec.same_format(other):
                pairs.setdefault(format_key(codec), (codec, other))
                break
    rates = {codec.clock_rate for codec, _ in pairs.values() if is_speech(codec)}
    # Events and comfort noise share the timestamps of the speech they interrupt, so another rate is of no use
    # (RFC 4733 §2.1, RFC 3389 §4).
    return tuple(pair for pair in pairs.values() if is_speech(pair[0]) or pair[0].clock_rate in rates)
