"""Descriptions as real peers send them, and short ways to make our own."""

from __future__ import annotations

import random

from sipcore.ids import IdSource
from sipcore.media import CryptoKey, Fingerprint, LocalMedia, Profile

OUR_FINGERPRINT = Fingerprint("sha-256", ":".join(f"{octet:02X}" for octet in range(32)))
PEER_FINGERPRINT = "19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2"
KEY_80 = CryptoKey(1, "AES_CM_128_HMAC_SHA1_80", "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz")
KEY_32 = CryptoKey(2, "AES_CM_128_HMAC_SHA1_32", "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj")
PEER_KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"

PLAIN = LocalMedia(address="192.0.2.10", rtp_port=40000, rtcp_port=40001)
DTLS = LocalMedia(
    address="192.0.2.10",
    rtp_port=40000,
    rtcp_port=40001,
    profile=Profile.UDP_TLS_RTP_SAVPF,
    rtcp_mux=True,
    ssrc=123456,
    cname="c7Qm",
    fingerprint=OUR_FINGERPRINT,
)
SDES = LocalMedia(
    address="192.0.2.10", rtp_port=40000, rtcp_port=40001, profile=Profile.RTP_SAVP, crypto=(KEY_80, KEY_32)
)


def ids(seed: int = 1) -> IdSource:
    """A source that repeats."""
    return IdSource(random.Random(seed))


def sdp(*lines: str, address: str = "198.51.100.7", session: tuple[str, ...] = (), version: int = 1) -> bytes:
    """A description with the given media lines."""
    head = ("v=0", f"o=- 77 {version} IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0", *session)
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


def text_of(body: bytes) -> list[str]:
    """Its lines."""
    return body.decode().removesuffix("\r\n").split("\r\n")


ASTERISK_ANSWER = sdp(
    "m=audio 14270 RTP/AVP 0 8 101",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-16",
    "a=ptime:20",
    "a=maxptime:140",
    "a=sendrecv",
)

# Asterisk 22, endpoint with webrtc=yes, calling us: ICE, BUNDLE, rtcp-mux, msid, a fingerprint of each stream.
ASTERISK_WEBRTC_OFFER = sdp(
    "m=audio 15022 UDP/TLS/RTP/SAVPF 0 8 9 101",
    "a=connection:new",
    "a=setup:actpass",
    f"a=fingerprint:SHA-256 {PEER_FINGERPRINT}",
    "a=ice-ufrag:5d3a8a9b0bb2c9c3",
    "a=ice-pwd:3f2a45b87ed0b7ab6ab8a6a50f3c63d1",
    "a=candidate:Hc0000201 1 UDP 2130706431 198.51.100.7 15022 typ host",
    "a=candidate:Hc0000201 2 UDP 2130706430 198.51.100.7 15023 typ host",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:9 G722/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-16",
    "a=ptime:20",
    "a=maxptime:140",
    "a=sendrecv",
    "a=rtcp-mux",
    "a=ssrc:1405117428 cname:9a2e3f0c-31f4-4a0c-8f0c-1e53cbe0d1a1",
    "a=msid:a28ff1a1-3f5b-4a4d-9d8d-1f7e0a4f0c11 9d4c0d0c-f8f5-4c9b-8d52-30dd3f11b1a2",
    "a=rtcp-fb:* transport-cc",
    "a=mid:audio-0",
    session=("a=msid-semantic:WMS *", "a=group:BUNDLE audio-0"),
)

ASTERISK_WEBRTC_ANSWER = sdp(
    "m=audio 15040 UDP/TLS/RTP/SAVPF 0 8 101",
    "a=connection:new",
    "a=setup:active",
    f"a=fingerprint:SHA-256 {PEER_FINGERPRINT}",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-16",
    "a=ptime:20",
    "a=maxptime:140",
    "a=sendrecv",
    "a=rtcp-mux",
    "a=ssrc:20011204 cname:2d1d7a1e-17d5-4f8e-a3a5-0a2a8a6f2f10",
    "a=mid:0",
    session=("a=msid-semantic:WMS *", "a=group:BUNDLE 0"),
)

# A browser behind a proxy (JSEP): audio and video in one bundle, fingerprint in each, Opus first, trickle ICE.
BROWSER_OFFER = sdp(
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126",
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    "a=ice-ufrag:EsAw",
    "a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y",
    "a=ice-options:trickle",
    f"a=fingerprint:sha-256 {PEER_FINGERPRINT}",
    "a=setup:actpass",
    "a=mid:0",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=sendrecv",
    "a=msid:- 6b8bf065",
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=rtpmap:111 opus/48000/2",
    "a=rtcp-fb:111 transport-cc",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=rtpmap:63 red/48000/2",
    "a=fmtp:63 111/111",
    "a=rtpmap:9 G722/8000",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:13 CN/8000",
    "a=rtpmap:110 telephone-event/48000",
    "a=rtpmap:126 telephone-event/8000",
    "a=ssrc:3570614608 cname:4TOk42mSjXCkVIa6",
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
    "c=IN IP4 0.0.0.0",
    "a=mid:1",
    "a=setup:actpass",
    f"a=fingerprint:sha-256 {PEER_FINGERPRINT}",
    "a=rtpmap:96 VP8/90000",
    "a=rtpmap:97 rtx/90000",
    session=("a=group:BUNDLE 0 1", "a=extmap-allow-mixed", "a=msid-semantic: WMS"),
    address="127.0.0.1",
)

# A desk phone that offers the same audio twice: encrypted by SDES, and plain for those who cannot.
BEST_EFFORT_OFFER = sdp(
    "m=audio 11000 RTP/SAVP 9 8 101",
    "a=rtpmap:9 G722/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{PEER_KEY}|2^31",
    "m=audio 11002 RTP/AVP 9 8 101",
    "a=rtpmap:9 G722/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
)
