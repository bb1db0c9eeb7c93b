"""RFC 3264 offer and answer of plain audio, RFC 3261 §14 failures."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sipcore.errors import LocalProtocolError, ParseError
from sipcore.media import COMFORT_NOISE, PCMA, PCMU, TELEPHONE_EVENT, Codec, Direction, LocalMedia, Profile
from sipcore.sdp.offer_answer import NegotiationState, OfferAnswer, Unacceptable
from sipcore.sdp.parse import parse
from tests.sipcore.sdp.bodies import ASTERISK_ANSWER, PLAIN, ids, sdp, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

AUDIO = ("m=audio 5004 RTP/AVP 0", "a=rtpmap:0 PCMU/8000")
ANSWER = sdp(*AUDIO)


def make() -> OfferAnswer:
    return OfferAnswer(ids())


def established() -> OfferAnswer:
    negotiation = make()
    negotiation.create_offer(PLAIN)
    negotiation.receive_answer(ANSWER)
    return negotiation


def state_of(negotiation: OfferAnswer) -> NegotiationState:
    return negotiation.state


def version_of(body: bytes) -> int:
    return parse(body).origin.session_version


def test_first_offer_line_by_line() -> None:
    """RFC 3264 §5, RFC 8866: everything a plain phone needs and nothing else."""
    negotiation = make()
    lines = text_of(negotiation.create_offer(PLAIN))
    session_id = parse(negotiation.pending_local_sdp or b"").origin.session_id
    assert lines == [
        "v=0",
        f"o=- {session_id} 1 IN IP4 192.0.2.10",
        "s=-",
        "c=IN IP4 192.0.2.10",
        "t=0 0",
        "m=audio 40000 RTP/AVP 0 8 13 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:13 CN/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]


def test_offer_and_answer_of_asterisk() -> None:
    """What follows from the plain endpoint's answer."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    assert state_of(negotiation) is NegotiationState.LOCAL_OFFER
    parameters = negotiation.receive_answer(ASTERISK_ANSWER)
    assert state_of(negotiation) is NegotiationState.STABLE
    assert negotiation.parameters == parameters
    assert (parameters.remote_address, parameters.remote_rtp_port, parameters.remote_rtcp_port) == (
        "198.51.100.7",
        14270,
        14271,
    )
    assert parameters.send_codec == PCMU
    assert parameters.receive_codecs == (PCMU, PCMA)
    assert parameters.send_dtmf == parameters.receive_dtmf == TELEPHONE_EVENT
    assert parameters.send_cn is parameters.receive_cn is None
    assert parameters.direction is Direction.SENDRECV
    assert parameters.profile is Profile.RTP_AVP
    assert (parameters.negotiation, parameters.ptime_ms, parameters.rtcp_mux) == (1, 20, False)
    assert not parameters.on_hold_by_peer


def test_answer_line_by_line() -> None:
    """RFC 3264 §6.1: the offer's numbers and order, other streams refused with port 0."""
    negotiation = make()
    offer = negotiation.receive_offer(
        sdp(
            "m=video 6000 RTP/AVP 31 32",
            "m=audio 5004 RTP/AVP 18 8 0 96",
            "a=rtpmap:96 telephone-event/8000",
            "a=fmtp:96 0-15",
            "a=ptime:30",
            "m=audio 5010 RTP/AVP 0",
            "m=application 9 TCP/MRCPv2 1",
        )
    )
    assert offer.direction is Direction.SENDRECV
    assert not offer.held
    assert state_of(negotiation) is NegotiationState.REMOTE_OFFER
    body, parameters = negotiation.create_answer(PLAIN)
    assert text_of(body)[5:] == [
        "m=video 0 RTP/AVP 31",
        "m=audio 40000 RTP/AVP 8 0 96",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:96 telephone-event/8000",
        "a=fmtp:96 0-16",
        "a=ptime:20",
        "a=sendrecv",
        "m=audio 0 RTP/AVP 0",
        "m=application 0 TCP/MRCPv2 1",
    ]
    assert parameters.send_codec == PCMA
    assert parameters.send_dtmf == Codec(96, "telephone-event", 8000, fmtp="0-15")
    assert parameters.receive_dtmf == Codec(96, "telephone-event", 8000, fmtp="0-16")
    assert parameters.ptime_ms == 30
    assert state_of(negotiation) is NegotiationState.STABLE


def test_example_10_1_of_rfc3264() -> None:
    """§10.1 from Alice's end, for a phone without video: three streams stay three, a fourth is refused in its place."""
    alice = make()
    bobs_offer = sdp(*AUDIO, "m=video 51372 RTP/AVP 31", "m=video 53000 RTP/AVP 32", version=2890844730)
    alice.receive_offer(bobs_offer)
    first, parameters = alice.create_answer(PLAIN)
    assert [(m.media, m.port) for m in parse(first).media] == [("audio", 40000), ("video", 0), ("video", 0)]
    assert parameters.remote_rtp_port == 5004
    changed = sdp(
        "m=audio 65422 RTP/AVP 0",
        "m=video 0 RTP/AVP 31",
        "m=video 53000 RTP/AVP 32",
        "m=audio 51434 RTP/AVP 110",
        "a=rtpmap:110 telephone-events/8000",
        "a=recvonly",
        version=2890844731,
    )
    alice.receive_offer(changed)
    second, parameters = alice.create_answer(PLAIN)
    assert [m.port for m in parse(second).media] == [40000, 0, 0, 0]
    assert (parameters.remote_rtp_port, parameters.negotiation) == (65422, 2)
    # §8: now Alice's own offer keeps all four.
    assert [m.port for m in parse(alice.create_offer(PLAIN, Direction.SENDONLY)).media] == [40000, 0, 0, 0]


def test_example_10_2_of_rfc3264() -> None:
    """§10.2: one of N codecs, inactive until it is settled."""
    bob = OfferAnswer(ids(), codecs=(PCMU, Codec(4, "G723", 8000)))
    local = replace(PLAIN, codecs=(PCMU, Codec(4, "G723", 8000)))
    bob.receive_offer(sdp("m=audio 62986 RTP/AVP 0 4 18", "a=inactive"))
    body, parameters = bob.create_answer(local)
    assert parse(body).media[0].formats == ("0", "4")
    assert parse(body).media[0].has("inactive")
    assert parameters.direction is Direction.INACTIVE
    bob.receive_offer(sdp("m=audio 62986 RTP/AVP 4", "a=rtpmap:4 G723/8000", "a=sendrecv"))
    body, parameters = bob.create_answer(local)
    assert parse(body).media[0].formats == ("4",)
    assert version_of(body) == 2
    assert parameters.send_codec.encoding == "G723"
    assert parameters.direction is Direction.SENDRECV


def test_example_2_1_of_rfc4317() -> None:
    """§2.1 Audio and Video 1, with numeric addresses: the answer picks the second format."""
    alice = OfferAnswer(ids(), codecs=(PCMU, PCMA, Codec(97, "iLBC", 8000)))
    local = replace(PLAIN, codecs=(PCMU, PCMA, Codec(97, "iLBC", 8000)))
    alice.create_offer(local)
    parameters = alice.receive_answer(
        sdp("m=audio 49174 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "m=video 49170 RTP/AVP 32", "a=rtpmap:32 MPV/90000")
    )
    assert parameters.receive_codecs == (PCMU,)


def test_numbers_differ_by_direction() -> None:
    """RFC 3264 §5.1: the answer gives iLBC another number; we send with theirs and receive with ours."""
    alice = OfferAnswer(ids())
    alice.create_offer(replace(PLAIN, codecs=(Codec(97, "iLBC", 8000), TELEPHONE_EVENT)))
    parameters = alice.receive_answer(
        sdp(
            "m=audio 49172 RTP/AVP 99 98",
            "a=rtpmap:99 iLBC/8000",
            "a=rtpmap:98 telephone-event/8000",
        )
    )
    assert parameters.send_codec == Codec(99, "iLBC", 8000)
    assert parameters.receive_codecs == (Codec(97, "iLBC", 8000),)
    assert parameters.send_dtmf == Codec(98, "telephone-event", 8000)
    assert parameters.receive_dtmf == TELEPHONE_EVENT


def test_events_at_the_rate_of_the_speech() -> None:
    """RFC 4733 §2.1: with Opus first, the 48 kHz events are the ones that count."""
    opus = Codec(111, "opus", 48000, 2)
    slow, fast = Codec(101, "telephone-event", 8000), Codec(102, "telephone-event", 48000)
    negotiation = OfferAnswer(ids(), codecs=(opus, PCMU, slow, fast))
    local = replace(PLAIN, codecs=(opus, PCMU, slow, fast))
    negotiation.receive_offer(
        sdp(
            "m=audio 1000 RTP/AVP 111 0 13 110 126",
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:110 telephone-event/48000",
            "a=rtpmap:126 telephone-event/8000",
        )
    )
    _, parameters = negotiation.create_answer(local)
    assert parameters.send_codec.encoding == "opus"
    assert parameters.send_dtmf == Codec(110, "telephone-event", 48000)


def test_comfort_noise_is_agreed() -> None:
    """RFC 3389."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    parameters = negotiation.receive_answer(sdp("m=audio 1000 RTP/AVP 0 13"))
    assert parameters.send_cn == parameters.receive_cn == COMFORT_NOISE


# --- versions, changes, rollback ---------------------------------------------------------------------------------


def test_version_moves_only_with_the_content() -> None:
    """RFC 3264 §8: same o= but for the version, +1 for a change, the same for none."""
    negotiation = established()
    first = parse(negotiation.last_local_sdp or b"")
    same = negotiation.create_offer(PLAIN)
    assert same == negotiation.pending_local_sdp == bytes(first)
    negotiation.receive_answer(ANSWER)
    hold = parse(negotiation.create_offer(PLAIN, Direction.SENDONLY))
    assert hold.origin == replace(first.origin, session_version=2)
    negotiation.receive_answer(sdp(*AUDIO, "a=recvonly", version=2))
    moved = parse(negotiation.create_offer(replace(PLAIN, address="192.0.2.99", rtp_port=41000, rtcp_port=41001)))
    # The address of o= names the session and stays, that of c= is where we are.
    assert moved.origin == replace(first.origin, session_version=3)
    assert moved.connection is not None
    assert moved.connection.address == "192.0.2.99"


def test_answers_count_in_the_same_versions() -> None:
    """An answer to an unchanged re-INVITE is unchanged; one to a hold is not."""
    negotiation = established()
    offers = [sdp(*AUDIO), sdp(*AUDIO), sdp(*AUDIO, "a=sendonly", version=2), sdp(*AUDIO, version=3)]
    versions = []
    for offer in offers:
        negotiation.receive_offer(offer)
        versions.append(version_of(negotiation.create_answer(PLAIN)[0]))
    # Our first offer had four formats, the answer has one: 2.
    assert versions == [2, 2, 3, 4]
    assert negotiation.parameters is not None
    assert negotiation.parameters.negotiation == 5


def test_rollback_leaves_everything_as_it_was() -> None:
    """RFC 3261 §14.1: "as if no re-INVITE had been issued"."""
    negotiation = established()
    before = (negotiation.parameters, negotiation.last_local_sdp, negotiation.last_remote_sdp)
    negotiation.create_offer(replace(PLAIN, codecs=(PCMA,)), Direction.INACTIVE)
    negotiation.rollback()
    negotiation.receive_offer(sdp(*AUDIO, "a=inactive"))
    negotiation.rollback()
    negotiation.rollback()
    assert (negotiation.parameters, negotiation.last_local_sdp, negotiation.last_remote_sdp) == before
    assert state_of(negotiation) is NegotiationState.STABLE
    assert negotiation.unchanged_offer() == before[1]
    negotiation.rollback()
    assert version_of(negotiation.create_offer(PLAIN, Direction.SENDONLY)) == 2


def test_unchanged_offer_after_we_answered() -> None:
    """A recovery re-INVITE repeats our last description, answer or offer, and can be answered."""
    negotiation = make()
    negotiation.receive_offer(sdp("m=video 9 RTP/AVP 31", *AUDIO))
    answer, _ = negotiation.create_answer(PLAIN)
    assert negotiation.unchanged_offer() == answer
    parameters = negotiation.receive_answer(sdp("m=video 0 RTP/AVP 31", "m=audio 7000 RTP/AVP 0"))
    assert (parameters.remote_rtp_port, parameters.negotiation) == (7000, 2)
    assert negotiation.last_local_sdp == answer


def test_fallback_offer_after_488_is_new() -> None:
    """A refused first offer is followed by another version of it."""
    negotiation = make()
    first = negotiation.create_offer(PLAIN)
    negotiation.rollback()
    second = negotiation.create_offer(replace(PLAIN, codecs=(PCMA,)))
    assert (version_of(first), version_of(second)) == (1, 2)


def test_reinvite_keeps_codec_order_and_numbers() -> None:
    """RFC 3264 §8.3.2; and a hold does not change the codec that is spoken."""
    negotiation = make()
    negotiation.receive_offer(sdp("m=audio 5004 RTP/AVP 8 0 96", "a=rtpmap:96 telephone-event/8000"))
    negotiation.create_answer(PLAIN)
    assert parse(negotiation.create_offer(PLAIN, Direction.SENDONLY)).media[0].formats == ("8", "0", "96", "13")
    negotiation.rollback()
    # The number 96 is taken for events now, whoever wants it for something else gets another.
    other = replace(PLAIN, codecs=(PCMU, Codec(96, "speex", 8000)))
    assert parse(negotiation.create_offer(other)).media[0].formats == ("0", "97")


def test_peer_reuses_our_number_for_something_else() -> None:
    """Our 101 stays ours: the answer numbers the peer's 101 anew."""
    opus = Codec(111, "opus", 48000, 2)
    negotiation = OfferAnswer(ids(), codecs=(PCMU, TELEPHONE_EVENT, opus))
    local = replace(PLAIN, codecs=(PCMU, TELEPHONE_EVENT, opus))
    negotiation.create_offer(local)
    negotiation.receive_answer(ASTERISK_ANSWER)
    negotiation.receive_offer(sdp("m=audio 5004 RTP/AVP 101 0", "a=rtpmap:101 opus/48000/2"))
    body, parameters = negotiation.create_answer(local)
    assert parse(body).media[0].formats == ("111", "0")
    assert parameters.send_codec.payload_type == 101
    assert parameters.receive_codecs[0].payload_type == 111


# --- provisional answers and forks -------------------------------------------------------------------------------


def test_final_answer_repeats_the_provisional_one() -> None:
    """RFC 3261 §13.2.1: 183 and 200 with one body are one round."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    early = negotiation.receive_answer(ANSWER, provisional=True)
    assert state_of(negotiation) is NegotiationState.LOCAL_OFFER
    assert negotiation.parameters is None
    assert negotiation.receive_answer(ANSWER, provisional=True) is early
    assert negotiation.receive_answer(ANSWER) is early
    assert negotiation.parameters is early


def test_final_answer_differs_from_the_provisional_one() -> None:
    """The announcement came from elsewhere: a new round as far as audio is concerned."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    early = negotiation.receive_answer(ANSWER, provisional=True)
    final = negotiation.receive_answer(ASTERISK_ANSWER)
    assert (early.negotiation, final.negotiation) == (1, 2)
    assert final.remote_rtp_port == 14270


def test_final_response_without_a_body() -> None:
    """A 2xx without SDP after an answered 183."""
    negotiation = make()
    assert negotiation.accept_early() is None
    negotiation.create_offer(PLAIN)
    assert negotiation.accept_early() is None
    early = negotiation.receive_answer(ANSWER, provisional=True)
    assert negotiation.accept_early() is early
    assert state_of(negotiation) is NegotiationState.STABLE


def test_forks_are_independent() -> None:
    """RFC 3261 §13.2.2.4: one offer, an answer from each branch."""
    negotiation = make()
    offer = negotiation.create_offer(PLAIN)
    negotiation.receive_answer(ANSWER, provisional=True)
    other = negotiation.fork()
    assert other.pending_local_sdp == offer
    assert other.accept_early() is None
    assert other.receive_answer(ASTERISK_ANSWER).remote_rtp_port == 14270
    assert negotiation.receive_answer(ANSWER).remote_rtp_port == 5004


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((), 304),
        (("m=video 6000 RTP/AVP 31",), 304),
        (("m=audio 0 RTP/AVP 0",), 304),
        (("m=audio 6000 RTP/AVP 18 101", "a=rtpmap:101 telephone-event/8000"), 305),
        (("m=audio 6000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), 305),
        (("m=audio 6000 TCP/RTP/AVP 0",), 302),
        (("m=audio 6000 RTP/SAVP 0",), 302),
        (("m=audio 6000 UDP/TLS/RTP/SAVPF 0",), 302),
        (("m=audio 6000 RTP/AVP 0", "c=IN IP4 1.2.3"), 301),
        (("m=audio 6000 RTP/AVP 0", "c=IN IP4 -bad-.example"), 301),
        (("m=audio 6000 RTP/AVP 0", "c=IN IP6 fe80::1%eth0"), 301),
        (("m=audio 6000 RTP/AVP 0", "c=IN IP4 224.2.1.1/127"), 301),
        (("m=audio 6000 RTP/AVP 0", "c=IN IP4 239.1.1.1"), 301),
        (("m=audio 6000 RTP/AVP 0", "c=IN IP4 255.255.255.255"), 301),
        (("m=audio 6000 RTP/AVP 0", "c=IN IP6 ff02::1"), 301),
    ],
)
def test_unacceptable_offers(lines: tuple[str, ...], code: int) -> None:
    """RFC 3261 §13.3.1.3 and §20.43: 488 with a reason, and nothing is pending."""
    negotiation = make()
    with pytest.raises(Unacceptable) as caught:
        negotiation.receive_offer(sdp(*lines))
    assert (caught.value.status, caught.value.warning_code) == (488, code)
    assert str(caught.value).endswith(".")
    assert state_of(negotiation) is NegotiationState.STABLE


@pytest.mark.parametrize(
    "body",
    [
        sdp("m=audio 0 RTP/AVP 0"),
        sdp(),
        sdp("m=video 6000 RTP/AVP 31"),
        sdp("m=audio 6000 RTP/AVP 18"),
        sdp("m=audio 6000 RTP/AVP 101"),
        sdp("m=audio 6000 RTP/SAVP 0"),
        sdp("m=audio 6000 nonsense 0"),
        sdp("m=audio 6000 RTP/AVP 0", "c=IN IP6 2001:db8::1"),
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 6000 RTP/AVP 0\r\n",
    ],
)
def test_unacceptable_answers(body: bytes) -> None:
    """The offer is still pending afterwards: the session ends the call, or rolls back a re-INVITE."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    with pytest.raises(Unacceptable):
        negotiation.receive_answer(body)
    assert state_of(negotiation) is NegotiationState.LOCAL_OFFER
    assert negotiation.receive_answer(ANSWER).negotiation == 1


def test_answer_with_the_wrong_number_of_streams() -> None:
    """RFC 3264 §6 forbids it; the first audio is meant."""
    negotiation = make()
    negotiation.receive_offer(sdp("m=video 6000 RTP/AVP 31", *AUDIO))
    negotiation.create_answer(PLAIN)
    negotiation.create_offer(PLAIN)
    assert negotiation.receive_answer(ANSWER).remote_rtp_port == 5004


def test_malformed_bodies_change_nothing() -> None:
    """ParseError, the state stays."""
    negotiation = make()
    with pytest.raises(ParseError):
        negotiation.receive_offer(b"junk")
    negotiation.create_offer(PLAIN)
    with pytest.raises(ParseError):
        negotiation.receive_answer(b"junk")
    assert state_of(negotiation) is NegotiationState.LOCAL_OFFER


@pytest.mark.parametrize("state", list(NegotiationState))
def test_verbs_that_do_not_fit(state: NegotiationState) -> None:
    """RFC 3264 §4: one exchange at a time."""
    negotiation = established()
    if state is NegotiationState.LOCAL_OFFER:
        negotiation.create_offer(PLAIN)
    elif state is NegotiationState.REMOTE_OFFER:
        negotiation.receive_offer(ANSWER)
    verbs: dict[str, tuple[NegotiationState, Callable[[], object]]] = {
        "create_offer": (NegotiationState.STABLE, lambda: negotiation.create_offer(PLAIN)),
        "unchanged_offer": (NegotiationState.STABLE, negotiation.unchanged_offer),
        "receive_offer": (NegotiationState.STABLE, lambda: negotiation.receive_offer(ANSWER)),
        "receive_answer": (NegotiationState.LOCAL_OFFER, lambda: negotiation.receive_answer(ANSWER)),
        "create_answer": (NegotiationState.REMOTE_OFFER, lambda: negotiation.create_answer(PLAIN)),
    }
    for fits, verb in verbs.values():
        if fits is not state:
            with pytest.raises(LocalProtocolError):
                verb()
            assert state_of(negotiation) is state
    with pytest.raises(LocalProtocolError):
        make().unchanged_offer()


# --- addresses, ports, packet times --------------------------------------------------------------------------------


def test_ipv6() -> None:
    """RFC 4566 §5.7 address types, both ways; the other family cannot be sent to."""
    six = LocalMedia(address="2001:db8::10", rtp_port=40000, rtcp_port=40001)
    negotiation = make()
    lines = text_of(negotiation.create_offer(six))
    assert lines[1].endswith("IN IP6 2001:db8::10")
    assert lines[3] == "c=IN IP6 2001:db8::10"
    answer = sdp(*AUDIO, address="2001:db8::7").replace(b"IP4", b"IP6")
    assert negotiation.receive_answer(answer).remote_address == "2001:db8::7"
    four = make()
    four.create_offer(PLAIN)
    assert four.receive_answer(answer.replace(b"2001:db8::7", b"::ffff:198.51.100.7")).remote_address == "198.51.100.7"
    negotiation.receive_offer(sdp(*AUDIO))
    with pytest.raises(Unacceptable):
        negotiation.create_answer(six)


def test_media_address_by_name() -> None:
    """RFC 8866 §5.7 allows a name; whoever opens the sockets looks it up."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    parameters = negotiation.receive_answer(sdp(*AUDIO, address="media-1.pbx.example.com"))
    assert parameters.remote_address == "media-1.pbx.example.com"


def test_media_level_connection() -> None:
    """RFC 8866 §5.7: the media level overrides the session's, which may then be missing."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    body = sdp(*AUDIO, "c=IN IP4 203.0.113.5").replace(b"c=IN IP4 198.51.100.7\r\n", b"")
    assert negotiation.receive_answer(body).remote_address == "203.0.113.5"


@pytest.mark.parametrize(
    ("lines", "port"),
    [
        ((), 5005),
        (("a=rtcp:5999",), 5999),
        (("a=rtcp:5999 IN IP4 198.51.100.7",), 5999),
        (("a=rtcp:0",), 5005),
        (("a=rtcp:99999",), 5005),
        (("a=rtcp:x",), 5005),
        (("a=rtcp-mux",), 5005),
    ],
)
def test_remote_rtcp_port(lines: tuple[str, ...], port: int) -> None:
    """RFC 3605; an answer may not multiplex what was not offered so (RFC 5761 §5.1.1)."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    parameters = negotiation.receive_answer(sdp(*AUDIO, *lines))
    assert (parameters.remote_rtcp_port, parameters.rtcp_mux) == (port, False)


@pytest.mark.parametrize(("we", "they"), itertools.product([False, True], repeat=2))
def test_rtcp_mux_needs_both(we: bool, they: bool) -> None:
    """RFC 5761 §5.1.1, offering and answering."""
    local = replace(PLAIN, rtcp_mux=we)
    body = sdp(*AUDIO, *(["a=rtcp-mux"] if they else []))
    offering, answering = make(), make()
    assert parse(offering.create_offer(local)).media[0].has("rtcp-mux") is we
    assert answering.receive_offer(body).rtcp_mux is they
    answer, answered = answering.create_answer(local)
    assert parse(answer).media[0].has("rtcp-mux") is (we and they)
    for parameters in (offering.receive_answer(body), answered):
        assert parameters.rtcp_mux is (we and they)
        assert parameters.remote_rtcp_port == (5004 if we and they else 5005)


def test_our_odd_rtcp_port_is_told() -> None:
    """RFC 3605: only where it is not the next port."""
    body = make().create_offer(replace(PLAIN, rtcp_port=45000))
    assert "a=rtcp:45000" in text_of(body)


def test_ssrc_and_cname() -> None:
    """RFC 5576 §4.1, where both are known."""
    assert "a=ssrc:99 cname:abc" in text_of(make().create_offer(replace(PLAIN, ssrc=99, cname="abc")))
    assert b"ssrc" not in make().create_offer(replace(PLAIN, ssrc=99))


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [
        ((), 20),
        (("a=ptime:30",), 30),
        (("a=ptime:20.0",), 20),
        (("a=ptime:5",), 10),
        (("a=ptime:200",), 60),
        (("a=ptime:0",), 20),
        (("a=ptime:x",), 20),
        (("a=ptime:40", "a=maxptime:30"), 30),
        (("a=maxptime:10",), 10),
        (("a=maxptime:150",), 20),
    ],
)
def test_packet_time(lines: tuple[str, ...], ptime_ms: int) -> None:
    """The peer's wish within 10 to 60 ms."""
    negotiation = make()
    negotiation.create_offer(PLAIN)
    assert negotiation.receive_answer(sdp(*AUDIO, *lines)).ptime_ms == ptime_ms


def test_secrets_of_two_calls_differ() -> None:
    """The session id is drawn, so descriptions of two calls never collide by construction."""
    source = ids()
    first, second = OfferAnswer(source), OfferAnswer(source)
    assert parse(first.create_offer(PLAIN)).origin != parse(second.create_offer(PLAIN)).origin


def test_an_answer_by_who_shares_no_format_is_refused() -> None:
    """RFC 3261 §13.3.1.3: the offer could be taken by this phone, but not with what is at hand for the answer."""
    negotiation = make()
    negotiation.receive_offer(sdp("m=audio 5004 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000"))
    with pytest.raises(Unacceptable) as caught:
        negotiation.create_answer(replace(PLAIN, codecs=(PCMA, TELEPHONE_EVENT)))
    assert (caught.value.status, caught.value.warning_code) == (488, 305)
    assert state_of(negotiation) is NegotiationState.REMOTE_OFFER
    negotiation.create_answer(PLAIN)
    assert state_of(negotiation) is NegotiationState.STABLE
