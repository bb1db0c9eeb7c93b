"""Payload formats: reading, numbering, matching."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sipcore.media import COMFORT_NOISE, DEFAULT_CODECS, PCMA, PCMU, TELEPHONE_EVENT, Codec
from sipcore.sdp.formats import STATIC_AUDIO, common, format_attributes, format_key, numbered, read_codecs_untrusted
from sipcore.sdp.parse import parse
from sipcore.sdp.types import Attribute
from tests.sipcore.sdp.bodies import sdp

OPUS = Codec(111, "opus", 48000, 2, "minptime=10")
EVENT_48K = Codec(110, "telephone-event", 48000, fmtp="0-15")


def _read(*lines: str) -> tuple[Codec, ...]:
    return read_codecs_untrusted(parse(sdp(*lines)).media[0])


def test_static_types_need_no_rtpmap() -> None:
    """RFC 3551 §6."""
    assert _read("m=audio 1 RTP/AVP 0 8 13 9") == (PCMU, PCMA, COMFORT_NOISE, Codec(9, "G722", 8000))
    assert all(number == codec.payload_type for number, codec in STATIC_AUDIO.items())


def test_rtpmap_wins_over_the_static_meaning() -> None:
    """RFC 3264 §5.1: the default mapping holds "if there is no a=rtpmap"."""
    assert _read("m=audio 1 RTP/AVP 0", "a=rtpmap:0 PCMA/8000") == (Codec(0, "PCMA", 8000),)


def test_dynamic_types() -> None:
    """rtpmap with channels, fmtp, case and spacing as written."""
    assert _read(
        "m=audio 1 RTP/AVP 111 101",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10",
        "a=rtpmap:101  Telephone-Event/8000 ",
        "a=fmtp:101 0-16",
    ) == (OPUS, Codec(101, "Telephone-Event", 8000, fmtp="0-16"))


def test_unusable_formats_are_left_out() -> None:
    """A dynamic number nobody explains, junk, overflow, zero rates, repetitions."""
    assert _read(
        "m=audio 1 RTP/AVP 97 0 0 x 128 999 9999 98 99",
        "a=rtpmap:98 zero/0",
        "a=rtpmap:99 x",
        "a=rtpmap:128 high/8000",
        "a=fmtp:junk",
    ) == (PCMU,)


def test_assumed_numbers_in_an_answer() -> None:
    """An answer that forgets the rtpmap of a dynamic number means ours."""
    media = parse(sdp("m=audio 1 RTP/AVP 0 101")).media[0]
    assert read_codecs_untrusted(media) == (PCMU,)
    assert [codec.encoding for codec in read_codecs_untrusted(media, DEFAULT_CODECS)] == ["PCMU", "telephone-event"]


def test_attributes_written() -> None:
    """RFC 3264 §5.1: rtpmap for static types as well."""
    assert list(format_attributes((PCMU, OPUS))) == [
        Attribute("rtpmap", "0 PCMU/8000"),
        Attribute("rtpmap", "111 opus/48000/2"),
        Attribute("fmtp", "111 minptime=10"),
    ]


def test_common_formats() -> None:
    """Order of the first, numbers of each, events only at a rate that is spoken."""
    theirs = (OPUS, Codec(96, "pcma", 8000), PCMU, EVENT_48K, Codec(97, "telephone-event", 8000))
    assert common(theirs, DEFAULT_CODECS) == (
        (Codec(96, "pcma", 8000), PCMA),
        (PCMU, PCMU),
        (Codec(97, "telephone-event", 8000), TELEPHONE_EVENT),
    )
    assert common((EVENT_48K, PCMU), (PCMU, EVENT_48K)) == ((PCMU, PCMU),)
    assert common((TELEPHONE_EVENT, COMFORT_NOISE), DEFAULT_CODECS) == ()


def test_a_number_never_changes_its_meaning() -> None:
    """RFC 3264 §8.3.2."""
    history = {101: format_key(OPUS), 96: format_key(TELEPHONE_EVENT)}
    # As before: the event keeps the number it had.
    assert [c.payload_type for c in numbered((PCMU, TELEPHONE_EVENT), history, as_before=True)] == [0, 96]
    # Answering: the peer's number is taken where it is free, or the earlier one where it means something else.
    assert [c.payload_type for c in numbered((Codec(120, "telephone-event", 8000),), history)] == [120]
    assert [c.payload_type for c in numbered((TELEPHONE_EVENT,), history)] == [96]
    assert [c.payload_type for c in numbered((Codec(101, "speex", 8000),), history)] == [97]
    full = dict.fromkeys(range(128), format_key(OPUS))
    assert numbered((TELEPHONE_EVENT,), full) == ()


_CODECS = st.builds(
    Codec,
    st.integers(0, 127),
    st.sampled_from(["PCMU", "pcmu", "PCMA", "opus", "telephone-event", "CN"]),
    st.sampled_from([8000, 48000]),
    st.integers(1, 2),
)


@given(st.lists(_CODECS, max_size=12), st.dictionaries(st.integers(0, 127), _CODECS.map(format_key)), st.booleans())
def test_numbering_is_consistent(
    codecs: list[Codec], history: dict[int, tuple[str, int, int]], as_before: bool
) -> None:
    """No two formats share a number, and none contradicts the history."""
    meanings = dict(history)
    for codec in numbered(codecs, history, as_before=as_before):
        assert meanings.setdefault(codec.payload_type, format_key(codec)) == format_key(codec)
