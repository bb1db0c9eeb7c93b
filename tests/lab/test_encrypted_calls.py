"""DTLS-SRTP and SDES calls with Asterisk: 1002 is of the original system's kind (webrtc=yes), 1003 takes SDES."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab import asterisk_config as config
from tests.lab import signals
from tests.lab.test_outgoing_calls import heard_in
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine
    from tests.lab.wire import Capture

pytestmark = [pytest.mark.lab, pytest.mark.parallel]

KINDS = [("1002", "webrtc", "dtls"), ("1003", "sdes", "sdes")]


@pytest.fixture
def make_phone(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> Callable[..., Engine]:
    """Makes a running phone, registered over wss as ``username`` with a ``media`` setting."""

    def make(username: str, media: str, **audio: str) -> Engine:
        account = {"tls_ca": str(asterisk.ca_file), "media": media}
        engine = make_engine(asterisk.wss_uri, username, account=account, audio=audio)
        engine.start()
        engine.wait_registered()
        return engine

    return make


@pytest.mark.parametrize(("username", "media", "security"), KINDS)
def test_echo(
    asterisk: Asterisk,
    make_phone: Callable[..., Engine],
    speech: Path,
    tmp_path: Path,
    username: str,
    media: str,
    security: str,
) -> None:
    """Out: what the microphone said comes back, and the status says how it is encrypted."""
    earpiece = tmp_path / "earpiece.wav"
    engine = make_phone(username, media, input=f"wav:{speech}", output=f"wav:{earpiece}")
    engine.dial("600")
    call = engine.wait_seconds(6.5)
    engine.ctl("hangup")
    engine.wait_no_calls()
    asterisk.wait_no_channels()
    match = heard_in(speech, earpiece)
    print(f"echo, {security}: {match.coefficient:.4f}, {match.delay_s * 1000:.0f} ms, {call['media']}")
    assert call["security"] == security
    assert match.coefficient >= 0.9


@pytest.mark.parametrize(("username", "media", "security"), KINDS)
def test_incoming(
    asterisk: Asterisk,
    make_phone: Callable[..., Engine],
    speech: Path,
    tmp_path: Path,
    username: str,
    media: str,
    security: str,
) -> None:
    """In: Asterisk's own offer, with ICE, BUNDLE and rtcp-mux where it is webrtc=yes."""
    earpiece = tmp_path / "earpiece.wav"
    engine = make_phone(username, media, input=f"wav:{speech}", output=f"wav:{earpiece}")
    asterisk.call(username, "600")
    engine.wait_call("ringing")
    engine.ctl("answer")
    call = engine.wait_seconds(6.5)
    asterisk.cli("channel request hangup all")
    engine.wait_no_calls()
    match = heard_in(speech, earpiece)
    print(f"echo of an incoming call, {security}: {match.coefficient:.4f}, {match.delay_s * 1000:.0f} ms")
    assert call["security"] == security
    assert match.coefficient >= 0.9


@pytest.mark.parametrize(("username", "media", "security"), KINDS)
def test_offers_of_asterisk_are_taken_by_auto(
    asterisk: Asterisk, make_phone: Callable[..., Engine], username: str, media: str, security: str
) -> None:
    """``media = auto`` accepts whatever is offered."""
    engine = make_phone(username, "auto")
    asterisk.call(username, "606")
    engine.wait_call("ringing")
    engine.ctl("answer")
    call = engine.wait_seconds(1)
    assert call["security"] == security
    engine.ctl("hangup")
    engine.wait_no_calls()
    asterisk.wait_no_channels()


@pytest.mark.parametrize(("username", "scheme", "security"), [("1001", "ws", None), ("1002", "wss", "dtls")])
def test_auto_offers_encryption_first_on_websockets(
    asterisk: Asterisk,
    capture: Capture,
    make_engine: Callable[..., Engine],
    speech: Path,
    tmp_path: Path,
    username: str,
    scheme: str,
    security: str | None,
) -> None:
    """``media = auto``: DTLS-SRTP, and plain RTP after the 488 of an endpoint that knows none. Sound either way."""
    earpiece = tmp_path / "earpiece.wav"
    engine = make_engine(
        asterisk.wss_uri if scheme == "wss" else asterisk.ws_uri,
        username,
        account={"tls_ca": str(asterisk.ca_file), "media": "auto"},
        audio={"input": f"wav:{speech}", "output": f"wav:{earpiece}"},
    )
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    call = engine.wait_seconds(6.5)
    engine.ctl("hangup")
    engine.wait_no_calls()
    assert call["security"] == security
    assert heard_in(speech, earpiece).coefficient >= 0.9
    if scheme == "ws":
        capture.stop()
        offered = [protocol for (protocol,) in capture.fields("sip.Method == INVITE", ["sdp.media.proto"]) if protocol]
        # The first offer goes out twice: the PBX asks for the password with the first.
        assert list(dict.fromkeys(offered)) == ["UDP/TLS/RTP/SAVPF", "RTP/AVP"]


@pytest.mark.parametrize(
    ("username", "scheme", "security"), [("1001", "udp", None), ("1001", "tcp", None), ("1003", "tls", "sdes")]
)
def test_auto_offers_plain_first_elsewhere(
    asterisk: Asterisk,
    make_engine: Callable[..., Engine],
    speech: Path,
    tmp_path: Path,
    username: str,
    scheme: str,
    security: str | None,
) -> None:
    """``media = auto``: plain RTP, and SDES after the 488 of an endpoint that wants it; loaded is what is needed."""
    earpiece = tmp_path / "earpiece.wav"
    port = config.SIPS_PORT if scheme == "tls" else config.SIP_PORT
    engine = make_engine(
        f"{scheme}:{asterisk.address}:{port}",
        username,
        account={"tls_ca": str(asterisk.ca_file), "media": "auto"},
        audio={"input": f"wav:{speech}", "output": f"wav:{earpiece}"},
    )
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    call = engine.wait_seconds(6.5)
    maps = Path(f"/proc/{engine.pid}/maps").read_text()
    loaded = {name for name in ("pylibsrtp", "cryptography") if f"/{name}/" in maps}
    engine.ctl("hangup")
    engine.wait_no_calls()
    assert call["security"] == security
    assert heard_in(speech, earpiece).coefficient >= 0.9
    assert loaded == ({"pylibsrtp"} if security else set())


def test_auto_is_told_where_only_sdes_will_do(make_phone: Callable[..., Engine]) -> None:
    """Such an endpoint refuses both offers of `auto`; the sentence names the setting that helps."""
    engine = make_phone("1003", "auto")
    call = engine.dial("600")
    assert engine.wait_event("callEnded", call=call)["status"] == 488
    wait_until(lambda: "may need another setting than media = auto: rtp, sdes, webrtc." in engine.stderr(), what="told")


def test_sdes_is_refused_where_anybody_could_read_the_keys(
    asterisk: Asterisk, make_engine: Callable[..., Engine]
) -> None:
    """RFC 4568 §7; before anything is sent, in a sentence."""
    engine = make_engine(asterisk.ws_uri, "1003", account={"media": "sdes"})
    engine.start()
    engine.wait_registered()
    done = engine.ctl("dial", "600", check=False)
    assert done.returncode != 0
    assert "which is not encrypted on ws; use a wss or tls server, or media = webrtc." in done.stderr
    assert not engine.find("outgoingCall")


@pytest.mark.parametrize(("username", "media", "security"), KINDS)
def test_long_call_with_re_invites(
    asterisk: Asterisk, make_phone: Callable[..., Engine], tmp_path: Path, username: str, media: str, security: str
) -> None:
    """Three holds and resumes: 606's tone is back each time, under the keys of the beginning."""
    earpiece = tmp_path / "earpiece.wav"
    engine = make_phone(username, media, output=f"wav:{earpiece}")
    mark = asterisk.manager.mark()
    engine.dial("606")
    engine.wait_seconds(2)
    for _ in range(3):
        engine.ctl("hold")
        asterisk.manager.wait("Hold", since=mark, Channel=f"PJSIP/{username}")
        wait_until(lambda: engine.calls()[0]["held"], what="held")
        engine.ctl("resume")
        wait_until(lambda: not engine.calls()[0]["held"], what="resumed")
        asterisk.manager.wait("Unhold", since=mark, Channel=f"PJSIP/{username}")
        mark = asterisk.manager.mark()
    duration_s = engine.calls()[0]["duration_s"]
    call = engine.wait_seconds(duration_s + 3)
    engine.ctl("hangup")
    engine.wait_no_calls()
    samples, rate = signals.read_wav(earpiece)
    assert signals.tone_share(samples[rate // 2 : rate], rate, 1004) > 0.9
    assert signals.tone_share(samples[-rate:], rate, 1004) > 0.9
    assert call["security"] == security


@pytest.mark.parametrize(("username", "media", "security"), KINDS)
def test_digits_arrive(
    asterisk: Asterisk, make_phone: Callable[..., Engine], username: str, media: str, security: str
) -> None:
    """RFC 4733 events under SRTP."""
    asterisk.cli("database del lab digits")
    engine = make_phone(username, media)
    engine.dial("602")
    engine.wait_call("active")
    assert engine.calls()[0]["security"] == security
    engine.ctl("dtmf", "1234567890*00")
    wait_until(asterisk.digits_read, what="602 has read", timeout_s=20)
    assert asterisk.digits_read() == "1234567890*00"
