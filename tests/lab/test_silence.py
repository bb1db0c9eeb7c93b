"""Silence that is not sent (`dtx = true`), in front of Asterisk: what it agrees to, and what becomes of comfort noise.

phone A ── CN in place of silence ──▶ PBX ══ bridge ══▶ phone B        talk 2 s, silence 4 s, talk 2 s
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.lab import signals
from tests.lab.relay import sibling_address
from tests.lab.rtp_view import heard_by, said_by
from tests.lab.sip_proxy import SipProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine
    from tests.lab.rtp_view import RtpStream
    from tests.lab.signals import Samples
    from tests.lab.wire import Capture

pytestmark = [pytest.mark.lab, pytest.mark.timeout(90)]

RATE = 8000
TALK_S, SILENCE_S = 2.5, 4.0
NOISE_DBFS = -62.0
_NOISE = 13


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Speech, a pause with the noise of a quiet room, and speech again."""
    speech, rate = signals.read_wav(signals.speech_wav(tmp_path / "speech.wav", seconds=2 * TALK_S))
    assert rate == RATE
    half = round(TALK_S * RATE)
    room = 10 ** (NOISE_DBFS / 20) * np.random.default_rng(1).standard_normal(round(SILENCE_S * RATE))
    return signals.write_wav(tmp_path / "talk.wav", np.concatenate([speech[:half], room, speech[half:]]), RATE)


def halves(talk: Path) -> tuple[Samples, Samples]:
    """What is said before the silence, and after it."""
    said, _ = signals.read_wav(talk)
    return said[: round(TALK_S * RATE)], said[round((TALK_S + SILENCE_S) * RATE) :]


def kinds(stream: RtpStream) -> Counter[int]:
    """How many packets there are of each payload type."""
    return Counter(packet.payload_type for packet in stream.packets)


def with_comfort_noise(message: str) -> str:
    """An answer of the PBX as if it had agreed to comfort noise."""
    head, blank, body = message.partition("\r\n\r\n")
    if "m=audio" not in body or not head.startswith("SIP/2.0 200"):
        return message
    body = re.sub(r"^(m=audio \d+ \S+(?: \d+)*?) 101", rf"\1 {_NOISE} 101", body, flags=re.MULTILINE)
    head = re.sub(
        r"^(Content-Length:\s*)\d+", lambda found: f"{found[1]}{len(body.encode())}", head, flags=re.MULTILINE
    )
    return f"{head}{blank}{body}"


def test_asterisk_does_not_agree_and_silence_is_sent_as_sound(
    asterisk: Asterisk, make_engine: Callable[..., Engine], talk: Path, tmp_path: Path, capture: Capture
) -> None:
    earpiece = tmp_path / "earpiece.wav"
    audio = {"input": f"wav:{talk}", "output": f"wav:{earpiece}", "dtx": True}
    engine = make_engine(asterisk.ws_uri, account={"media": "rtp"}, audio=audio)
    engine.start()
    engine.wait_registered()
    engine.dial("600")
    call = engine.wait_seconds(2 * TALK_S + SILENCE_S + 0.5)
    engine.ctl("hangup")
    engine.wait_no_calls()
    capture.stop()
    sent = heard_by(asterisk.address, capture)
    print(f"dtx and an Asterisk that answers without CN: {kinds(sent)}, longest gap {sent.longest_gap_ms:.0f} ms")
    assert set(kinds(sent)) == {0}
    assert call["media"]["loss"] == 0
    heard, rate = signals.read_wav(earpiece)
    for said in halves(talk):
        assert signals.correlate(said, heard, rate=RATE, recording_rate=rate).coefficient > 0.9


@pytest.mark.parametrize("far", ["echo", "phone"])
def test_what_asterisk_does_with_comfort_noise(
    asterisk: Asterisk, make_engine: Callable[..., Engine], talk: Path, tmp_path: Path, capture: Capture, far: str
) -> None:
    """It is told that the PBX agreed, as PBXs do that know comfort noise."""
    earpiece = tmp_path / "earpiece.wav"
    with SipProxy(asterisk.ws_uri, sibling_address(asterisk.address), 8090) as proxy:
        proxy.to_phone = with_comfort_noise
        speaks = make_engine(
            proxy.uri,
            account={"media": "rtp"},
            audio={"input": f"wav:{talk}", "dtx": True} | ({"output": f"wav:{earpiece}"} if far == "echo" else {}),
        )
        listens = make_engine(asterisk.ws_uri, "1004", account={"media": "rtp"}, audio={"output": f"wav:{earpiece}"})
        for engine in (speaks, listens):
            engine.start()
            engine.wait_registered()
        speaks.dial("600" if far == "echo" else "1004")
        if far == "phone":
            listens.wait_call("ringing")
            listens.ctl("answer")
        call = speaks.wait_seconds(2 * TALK_S + SILENCE_S + 0.5)
        speaks.ctl("hangup")
        for engine in (speaks, listens):
            engine.wait_no_calls()
    capture.stop()
    sent, passed = heard_by(asterisk.address, capture), said_by(asterisk.address, capture)
    heard, rate = signals.read_wav(earpiece)
    first, second = (signals.correlate(said, heard, rate=RATE, recording_rate=rate) for said in halves(talk))
    pause_at = first.delay_s + TALK_S
    pause = heard[round((pause_at + 1) * rate) : round((pause_at + SILENCE_S - 0.5) * rate)]
    moved_ms = 1000 * (second.delay_s - pause_at - SILENCE_S)
    print(f"{far}: sent {dict(kinds(sent))}, passed on {dict(kinds(passed))}; heard before the silence: "
          f"{first.coefficient:.4f}, after it: {second.coefficient:.4f} and {moved_ms:+.0f} ms, "
          f"in it: {signals.level_dbfs(pause):.0f} dBFS")  # fmt: skip
    assert 4 <= kinds(sent)[_NOISE] <= 8
    assert set(kinds(passed)) == {0}, "Asterisk keeps comfort noise for itself"
    assert "Comfort noise support incomplete in Asterisk" in asterisk.console()
    assert min(first.coefficient, second.coefficient) > 0.95
    assert abs(moved_ms) <= 100  # silence is where a jitter buffer moves
    assert signals.level_dbfs(pause) < -70
    assert call["state"] == "active"
    assert not call["media_silent"]
