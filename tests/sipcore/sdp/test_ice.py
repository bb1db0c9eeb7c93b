"""ICE in offer and answer, RFC 8839: credentials, candidates, and doing without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipcore.media import Direction, IceCandidate, IceCredentials, MediaParameters
from sipcore.sdp.ice import host_priority, read_ice_untrusted
from sipcore.sdp.offer_answer import OfferAnswer
from sipcore.sdp.parse import parse
from tests.sipcore.sdp.bodies import (
    ASTERISK_WEBRTC_ANSWER,
    ASTERISK_WEBRTC_OFFER,
    BROWSER_OFFER,
    DTLS,
    PEER_FINGERPRINT,
    PLAIN,
    ids,
    sdp,
    text_of,
)

OURS = IceCredentials("ourufrag", "o" * 24)
LOCAL = replace(DTLS, ice=OURS)
THEIRS = IceCredentials("5d3a8a9b0bb2c9c3", "3f2a45b87ed0b7ab6ab8a6a50f3c63d1")
STREAM = "m=audio 5004 UDP/TLS/RTP/SAVPF 0"
FINGERPRINT = f"a=fingerprint:sha-256 {PEER_FINGERPRINT}"


def _lines(body: bytes) -> list[str]:
    return [line for line in text_of(body) if line.startswith(("a=ice", "a=cand", "a=end"))]


def test_offer() -> None:
    """§4.2: credentials, and a host candidate for each component while multiplexing is not agreed (RFC 5761 §5.1.3)."""
    assert _lines(OfferAnswer(ids()).create_offer(LOCAL)) == [
        "a=ice-ufrag:ourufrag",
        f"a=ice-pwd:{'o' * 24}",
        "a=candidate:1 1 UDP 2130706431 192.0.2.10 40000 typ host",
        "a=candidate:1 2 UDP 2130706430 192.0.2.10 40001 typ host",
        "a=end-of-candidates",
    ]


def test_priorities() -> None:
    """RFC 8445 §5.1.2.1."""
    assert [host_priority(component) for component in (1, 2)] == [2130706431, 2130706430]


def test_answer_to_asterisk() -> None:
    """With multiplexing agreed there is one component; the offerer controls."""
    negotiation = OfferAnswer(ids())
    negotiation.receive_offer(ASTERISK_WEBRTC_OFFER)
    body, parameters = negotiation.create_answer(LOCAL)
    assert _lines(body)[2:] == ["a=candidate:1 1 UDP 2130706431 192.0.2.10 40000 typ host", "a=end-of-candidates"]
    assert parameters.local_ice == OURS
    assert parameters.remote_ice is not None
    assert parameters.remote_ice.credentials == THEIRS
    assert parameters.remote_ice.candidates == (
        IceCandidate(1, "198.51.100.7", 15022, 2130706431),
        IceCandidate(2, "198.51.100.7", 15023, 2130706430),
    )
    assert not parameters.ice_controlling


def test_answer_with_ice() -> None:
    """We offered, so we control; the re-offer has one candidate."""
    negotiation = OfferAnswer(ids())
    negotiation.create_offer(LOCAL)
    answer = (
        ASTERISK_WEBRTC_ANSWER
        + (
            f"a=ice-ufrag:{THEIRS.ufrag}\r\na=ice-pwd:{THEIRS.password}\r\n"
            "a=candidate:H1 1 UDP 2130706431 198.51.100.7 15040 typ host\r\n"
        ).encode()
    )
    parameters = negotiation.receive_answer(answer)
    assert parameters.ice_controlling
    assert parameters.remote_ice is not None
    assert len(parameters.remote_ice.candidates) == 1
    hold = negotiation.create_offer(LOCAL, Direction.SENDONLY)
    assert len(_lines(hold)) == 4


@pytest.mark.parametrize("local", [DTLS, LOCAL])
def test_one_side_without(local: object) -> None:
    """RFC 8839 §4.2.4, §4.3: no attributes in the answer, and none in later offers."""
    assert local in (DTLS, LOCAL)
    media = LOCAL if local is LOCAL else DTLS
    negotiation = OfferAnswer(ids())
    negotiation.create_offer(media)
    assert _none(negotiation.receive_answer(ASTERISK_WEBRTC_ANSWER))
    assert _lines(negotiation.create_offer(media)) == []
    answering = OfferAnswer(ids())
    answering.receive_offer(sdp(STREAM, FINGERPRINT, "a=setup:actpass") if media is LOCAL else ASTERISK_WEBRTC_OFFER)
    body, parameters = answering.create_answer(media)
    assert _lines(body) == []
    assert _none(parameters)


def _none(parameters: MediaParameters) -> bool:
    return parameters.local_ice is None and parameters.remote_ice is None


def test_plain_offers_do_without() -> None:
    """The fallback after a refused DTLS offer says nothing of ICE."""
    assert _lines(OfferAnswer(ids()).create_offer(replace(PLAIN, ice=OURS))) == []


def test_browser_that_trickles() -> None:
    """No candidate yet: its checks will show where it is."""
    negotiation = OfferAnswer(ids())
    negotiation.receive_offer(BROWSER_OFFER)
    parameters = negotiation.create_answer(LOCAL)[1]
    assert parameters.remote_ice is not None
    assert parameters.remote_ice.candidates == ()
    assert parameters.direction is Direction.SENDRECV


def test_session_level_credentials_and_lite() -> None:
    """§5.3, §5.4."""
    session = ("a=ice-lite", f"a=ice-ufrag:{THEIRS.ufrag}", f"a=ice-pwd:{THEIRS.password}")
    description = parse(sdp(STREAM, session=session))
    remote = read_ice_untrusted(description, description.media[0], "192.0.2.10")
    assert remote is not None
    assert remote.lite
    assert remote.credentials == THEIRS


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("a=ice-ufrag:abcd",),
        ("a=ice-ufrag:abc", "a=ice-pwd:" + "p" * 22),
        ("a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 21),
        ("a=ice-ufrag:ab cd", "a=ice-pwd:" + "p" * 22),
        ("a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 257),
    ],
)
def test_unusable_credentials(lines: tuple[str, ...]) -> None:
    """Then there is no ICE."""
    description = parse(sdp(STREAM, *lines))
    assert read_ice_untrusted(description, description.media[0], "192.0.2.10") is None


def test_candidates_that_are_left_out() -> None:
    """Other transports, other families, names, wrong numbers, too many."""
    head = ("a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22)
    bad = (
        "1 1 TCP 1 192.0.2.7 5004 typ host",
        "1 1 UDP 1 2001:db8::7 5004 typ host",
        "1 1 UDP 1 0b5b9e.local 5004 typ host",
        "1 3 UDP 1 192.0.2.7 5004 typ host",
        "1 1 UDP 0 192.0.2.7 5004 typ host",
        "1 1 UDP 4294967296 192.0.2.7 5004 typ host",
        "1 1 UDP 1 192.0.2.7 0 typ host",
        "1 1 UDP 1 192.0.2.7 65536 typ host",
        "1 1 UDP 1 224.0.0.1 5004 typ host",
        "1 1 UDP 1 0.0.0.0 9 typ host",
        "junk",
    )
    good = "x 1 udp 1686052607 192.0.2.7 5004 typ srflx raddr 10.0.0.1 rport 9 generation 0"
    description = parse(sdp(STREAM, *head, *(f"a=candidate:{value}" for value in (*bad, good))))
    remote = read_ice_untrusted(description, description.media[0], "192.0.2.10")
    assert remote is not None
    assert remote.candidates == (IceCandidate(1, "192.0.2.7", 5004, 1686052607),)
    crowd = parse(sdp(STREAM, *head, *(f"a=candidate:1 1 UDP {n} 192.0.2.7 {n} typ host" for n in range(1, 99))))
    many = read_ice_untrusted(crowd, crowd.media[0], "192.0.2.10")
    assert many is not None
    assert len(many.candidates) == 20


def test_password_does_not_show() -> None:
    """No representation holds it."""
    assert OURS.password not in repr(LOCAL)
