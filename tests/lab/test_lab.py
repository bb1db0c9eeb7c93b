"""The lab proves itself: Asterisk runs, speaks SIP over ws and wss, sound flows, packets are seen, faults bite."""

from __future__ import annotations

import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from websockets.sync.client import connect

from tests.lab import asterisk_config as config
from tests.lab import root, signals
from tests.lab.asterisk import Asterisk
from tests.lab.sound import RATE
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.net import Namespace
    from tests.lab.relay import Relay
    from tests.lab.sound import SoundServer
    from tests.lab.wire import Capture

pytestmark = pytest.mark.lab

OPTIONS = (
    "OPTIONS sip:600@{host} SIP/2.0\r\n"
    "Via: SIP/2.0/{transport} client.invalid;branch=z9hG4bK-{branch};rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:lab@client.invalid>;tag=lab\r\nTo: <sip:600@{host}>\r\n"
    "Call-ID: {branch}@client.invalid\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def options(host: str, transport: str, branch: str = "one") -> str:
    """An OPTIONS request; Asterisk answers it with 401, which is answer enough."""
    return OPTIONS.format(host=host, transport=transport, branch=branch)


def test_asterisk_runs_and_says_which_it_is(asterisk: Asterisk) -> None:
    version = asterisk.cli("core show version")
    print(version.strip())
    assert version.startswith(root.asterisk_version())
    assert version.startswith("Asterisk 22")


def test_every_module_asked_for_is_loaded(asterisk: Asterisk) -> None:
    """A name misspelt in modules.conf would otherwise show as a feature that mysteriously does not work."""
    complaints = [
        line for line in asterisk.console().splitlines() if "declined to load" in line or "Error load" in line
    ]
    assert complaints == []


def test_websocket_speaks_sip(asterisk: Asterisk) -> None:
    with connect(asterisk.ws_uri, subprotocols=["sip"]) as websocket:  # type: ignore[list-item]
        assert websocket.subprotocol == "sip"
        websocket.send(options(asterisk.address, "WS"))
        assert str(websocket.recv(5)).startswith("SIP/2.0 401")


def test_secure_websocket_is_trusted_by_its_authority_only(asterisk: Asterisk) -> None:
    trusting = ssl.create_default_context(cafile=str(asterisk.ca_file))

    def answer() -> str:
        """What the PBX says; nothing where it left the upgrade that came with the TLS handshake unread, as was seen."""
        try:
            with connect(
                asterisk.wss_uri,
                subprotocols=["sip"],  # type: ignore[list-item]
                ssl=trusting,
                open_timeout=5,
            ) as websocket:
                websocket.send(options(asterisk.address, "WSS"))
                return str(websocket.recv(5))
        except TimeoutError:
            return ""

    assert wait_until(answer, what="an answer over wss", timeout_s=20).startswith("SIP/2.0 401")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(asterisk.wss_uri, ssl=ssl.create_default_context()).close()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_plain_transports_answer(asterisk: Asterisk, transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    port = config.SIPS_PORT if transport == "tls" else config.SIP_PORT
    with socket.socket(socket.AF_INET, kind) as plain:
        plain.settimeout(5)
        plain.connect((asterisk.address, port))
        sock = plain
        if transport == "tls":
            context = ssl.create_default_context(cafile=str(asterisk.ca_file))
            sock = context.wrap_socket(plain, server_hostname=asterisk.address)
        sock.sendall(options(asterisk.address, transport.upper()).encode())
        assert sock.recv(4096).startswith(b"SIP/2.0 401")
        sock.close()


def test_two_instances_run_side_by_side(asterisk: Asterisk, own_asterisk: Asterisk) -> None:
    """Own address, own directories: nothing is shared but the root."""
    assert asterisk.address != own_asterisk.address
    asterisk.cli("database del lab digits")
    own_asterisk.cli("database put lab digits 42")
    assert (own_asterisk.digits_read(), asterisk.digits_read()) == ("42", "")


def test_asterisk_comes_back_after_a_power_cut(own_asterisk: Asterisk) -> None:
    own_asterisk.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((own_asterisk.address, config.WS_PORT), 2)
    own_asterisk.start()
    assert own_asterisk.channels() == []


def test_manager_reports_a_call(asterisk: Asterisk) -> None:
    mark = asterisk.manager.mark()
    asterisk.cli("channel originate Local/607@default application Wait 10")
    asterisk.manager.wait("Newexten", since=mark, Extension="607", Application="Answer")
    assert asterisk.channels()


def test_password_change_takes_effect(own_asterisk: Asterisk) -> None:
    own_asterisk.set_password("1001", "changed")
    wait_until(lambda: "changed" in own_asterisk.cli("pjsip show auth 1001-auth"), what="the new password is in force")


def test_what_is_played_into_the_microphone_arrives(pulse: SoundServer, speech: Path) -> None:
    reference, rate = signals.read_wav(speech)
    recording = pulse.record("mic.monitor")
    pulse.play(speech).wait(20)
    recording.wait_seconds(6)
    match = signals.correlate(reference, recording.stop(), rate=rate, recording_rate=RATE)
    print(f"speech through a null sink: {match.coefficient:.4f}, {match.delay_s * 1000:.0f} ms after the start")
    assert match.coefficient > 0.9  # 0.999 on an idle machine; a busy one drops a block now and then


def test_unplugging_removes_a_device(pulse: SoundServer) -> None:
    pulse.unplug("spk")
    assert "spk" not in pulse.pactl("list", "short", "sinks")
    pulse.plug("spk")
    assert "spk" in pulse.pactl("list", "short", "sinks")


def test_correlation_tells_speech_from_damage(speech: Path) -> None:
    """The measure itself: exact delay, tolerance of another rate and volume, intolerance of loss and of silence."""
    reference, rate = signals.read_wav(speech)
    late = np.concatenate((np.zeros(rate), reference * 0.3, np.zeros(rate // 2)))
    wide = signals.resample(late, rate, 48000)
    match = signals.correlate(reference, wide, rate=rate, recording_rate=48000)
    assert match.coefficient > 0.999
    assert match.delay_s == pytest.approx(1.0, abs=0.001)
    holes = late.copy()
    holes.reshape(-1, 160)[::5] = 0
    assert 0.7 < signals.correlate(reference, holes, rate=rate).coefficient < 0.97
    noise = np.random.default_rng(1).standard_normal(len(late)) * 0.1
    assert signals.correlate(reference, noise, rate=rate).coefficient < 0.3
    assert signals.correlate(reference, np.zeros(len(late)), rate=rate).coefficient < 0.01


def test_capture_decodes_sip_over_websocket(asterisk: Asterisk, capture: Capture) -> None:
    with connect(asterisk.ws_uri, subprotocols=["sip"]) as websocket:  # type: ignore[list-item]
        websocket.send(options(asterisk.address, "WS"))
        websocket.recv(5)
    capture.stop()
    assert capture.fields("sip.Method == OPTIONS", ["sip.CSeq.method"]) == [("OPTIONS",)]
    assert capture.fields("sip.Status-Code == 401", ["sip.Status-Code"]) == [("401",)]
    assert capture.malformed() == []


def test_capture_tells_a_malformed_message(asterisk: Asterisk, capture: Capture) -> None:
    """The check must be able to fail."""
    broken = options(asterisk.address, "UDP").replace(
        "Content-Length: 0\r\n\r\n", "Content-Type: application/sdp\r\nContent-Length: 9\r\n\r\nno equals"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(broken.encode(), (asterisk.address, config.SIP_PORT))
    capture.stop()
    assert any("Invalid SDP line" in line for line in capture.malformed())


def test_relay_carries_and_cuts_websockets(asterisk: Asterisk, relay: Relay) -> None:
    uri = asterisk.ws_uri.replace(asterisk.address, relay.address)
    with connect(uri, subprotocols=["sip"], ping_interval=None) as websocket:  # type: ignore[list-item]
        websocket.send(options(asterisk.address, "WS"))
        assert str(websocket.recv(5)).startswith("SIP/2.0 401")
        relay.pause()
        websocket.send(options(asterisk.address, "WS", "two"))
        with pytest.raises(TimeoutError):
            websocket.recv(0.3)
        relay.resume()
        assert str(websocket.recv(5)).startswith("SIP/2.0 401")
        relay.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((relay.address, config.WS_PORT), 2)
        relay.reset()
        with pytest.raises(Exception, match="no close frame"):
            websocket.recv(5)
        relay.accept()
        socket.create_connection((relay.address, config.WS_PORT), 2).close()


def test_relay_leaves_connections_half_open(asterisk: Asterisk, relay: Relay) -> None:
    """The old flow swallows everything and never ends; a new one works."""
    uri = asterisk.ws_uri.replace(asterisk.address, relay.address)
    with connect(uri, subprotocols=["sip"], ping_interval=None, close_timeout=0.1) as old:  # type: ignore[list-item]
        relay.half_open()
        old.send(options(asterisk.address, "WS"))
        with pytest.raises(TimeoutError):
            old.recv(0.3)
        with connect(uri, subprotocols=["sip"]) as new:  # type: ignore[list-item]
            new.send(options(asterisk.address, "WS", "three"))
            assert str(new.recv(5)).startswith("SIP/2.0 401")


def test_relay_loses_datagrams(asterisk: Asterisk, relay: Relay) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((relay.address, config.SIP_PORT))
        sock.send(options(asterisk.address, "UDP", "four").encode())
        assert sock.recv(4096).startswith(b"SIP/2.0 401")
        relay.faults.loss = 1.0
        sock.settimeout(0.3)
        sock.send(options(asterisk.address, "UDP", "five").encode())
        with pytest.raises(TimeoutError):
            sock.recv(4096)


def test_namespace_links_go_down_and_up(namespace: Namespace) -> None:
    wifi, cellular = namespace.add_link(), namespace.add_link()
    assert wifi.theirs in namespace.ip("-4", "address")
    assert wifi.ours in namespace.ip("route", "show", "default")
    namespace.down(cellular)
    wait_until(lambda: "linkdown" in namespace.ip("route"), what="the carrier is gone")
    namespace.up(cellular)
    wait_until(lambda: "linkdown" not in namespace.ip("route"), what="the carrier is back")


def test_asterisk_listens_on_a_link(namespace: Namespace) -> None:
    """The PBX on our side of a cable, a phone's host on the other."""
    link = namespace.add_link()
    with Asterisk(address=link.ours):
        probe = f"import socket; socket.create_connection(('{link.ours}', {config.WS_PORT}), 3); print('connected')"
        done = subprocess.run(namespace.command("python3", "-c", probe), capture_output=True, text=True, check=False)
        assert done.stdout == "connected\n", done.stderr
