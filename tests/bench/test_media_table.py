"""The table of the media bench: what a row says, what counts as missed, and that it goes into a document."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest

from bench.media.far_end import FRAME, FarEnd
from bench.media.live_rows import installed
from bench.media.phones import PHONES
from bench.media.table import Figure, heading, line, markdown, missed


def figure(value: float | None, target: str = "<= 85") -> Figure:
    """A row with one other phone."""
    return Figure(title="mouth to ear", value=value, unit="ms", target=target, digits=0, others={"baresip": 299.4})


@pytest.mark.parametrize(("value", "target", "good"), [(85.4, "<= 85", True), (86, "<= 85", False), (9, "", None)])
def test_what_is_missed(value: float, target: str, good: bool | None) -> None:
    assert figure(value, target).good is good
    assert bool(missed([figure(value, target)])) is (good is False)


def test_what_was_not_measured_is_missed() -> None:
    assert missed([figure(None)])
    assert "not measured" in line(figure(None))


def test_peers_stand_beside_offhook() -> None:
    row = line(figure(75), ["baresip", "linphone"])
    assert row.index("75 ms") < row.index("299 ms") < row.index("–") < row.index("<= 85")
    assert heading("Delay", ["baresip"]).index("Offhook") < heading("Delay", ["baresip"]).index("baresip")


def test_markdown_says_the_same() -> None:
    text = markdown({"Delay": [figure(90)], "Drift": [Figure(title="jump", value=1.0)]}, ["baresip"])
    assert "| mouth to ear | ≤ 85 | 90 ms **missed** | 299 ms |  |" in text
    assert "| jump |  | 1.00 |  |" in text, "no empty columns where no other phone was measured"


def test_a_phone_that_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    there, said = installed(list(PHONES))
    assert there == ["offhook"]
    assert said == [f"{kind.title} is not installed: {kind.install}" for kind in list(PHONES.values())[1:]]


def test_the_far_end_answers_keeps_time_and_plays() -> None:
    """A caller by hand: INVITE, sound, a clip whose second packet is lost."""
    with FarEnd() as far, udp_socket() as sip, udp_socket() as rtp:
        far_port = invite(sip, rtp, far)
        for number in range(3):
            packet = struct.pack("!BBHII", 0x80, 0, number, number * FRAME, 1) + b"\xff" * FRAME
            rtp.sendto(packet, ("127.0.0.1", far_port))
        far.wait_answered()
        assert [one.timestamp for one in far.arrivals] == [0, FRAME, 2 * FRAME][: len(far.arrivals)]
        far.play(np.full(3 * FRAME, 8000, dtype=np.int16), [0.010, None, 0.050])
        heard = [rtp.recv(2048) for _ in range(30)]
    clip = [struct.unpack_from("!H", data, 2)[0] for data in heard if data[12:13] != b"\xff"]
    assert len(clip) == 2
    assert clip[1] - clip[0] == 2


def udp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.bind(("127.0.0.1", 0))
    return sock


def invite(sip: socket.socket, rtp: socket.socket, far: FarEnd) -> int:
    """Call it; its RTP port."""
    port, media = sip.getsockname()[1], rtp.getsockname()[1]
    common = (
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\n"
        f"To: <sip:600@127.0.0.1>\r\nCall-ID: 1\r\nMax-Forwards: 70\r\nContact: <sip:a@127.0.0.1:{port}>\r\n"
    )
    lines = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", f"m=audio {media} RTP/AVP 0", "")
    offer = "\r\n".join(lines)
    head = f"INVITE sip:600@127.0.0.1 SIP/2.0\r\n{common}CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n"
    sip.sendto(f"{head}Content-Length: {len(offer)}\r\n\r\n{offer}".encode(), ("127.0.0.1", far.port))
    answers = [sip.recv(4096).decode() for _ in range(2)]
    assert [answer.split()[1] for answer in answers] == ["180", "200"]
    ack = f"ACK sip:600@127.0.0.1 SIP/2.0\r\n{common}CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
    sip.sendto(ack.encode(), ("127.0.0.1", far.port))
    return int(next(line for line in answers[1].splitlines() if line.startswith("m=audio")).split()[1])
