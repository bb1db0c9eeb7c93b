"""What is loaded when: a plain call costs nothing of the encryption's memory and start-up time."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("OpenSSL", "pylibsrtp", "cryptography.x509", "audio.secure")


def loaded_by(code: str) -> set[str]:
    """Which of HEAVY are in a fresh interpreter after ``code``."""
    program = f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize("module", ["audio.session", "audio.io.thread", "audio.engine", "sipcore.sdp.offer_answer"])
def test_not_loaded_with_the_engine(module: str) -> None:
    """Importing what every call uses."""
    assert loaded_by(f"import {module}") == set()


PLAIN_CALL = """
import random
from audio.core import MediaCore, TransmitKind
from audio.session import MediaSession
from sipcore.ids import IdSource
from sipcore.media import *
session = MediaSession("x", MediaCore(IdSource(random.Random(1)), wall_offset_s=0.0))
session.receive_untrusted(bytes([22]) + bytes(40), ("192.0.2.1", 1), TransmitKind.RTP, 0.0)
session.configure(MediaParameters(negotiation=1, remote_address="192.0.2.1", remote_rtp_port=4, remote_rtcp_port=5,
    direction=Direction.SENDRECV, send_codec=PCMU, receive_codecs=(PCMU,)), 0.0)
session.tick(0.0, None, active=True)
session.transmits()
"""


def test_not_loaded_by_a_plain_call() -> None:
    """Not even by a stray DTLS datagram."""
    assert loaded_by(PLAIN_CALL) == set()


SDES_CALL = """
import dataclasses, random
from audio.core import MediaCore
from audio.secure.sdes import generate_keys
from audio.session import MediaSession
from sipcore.ids import IdSource
from sipcore.media import *
session = MediaSession("x", MediaCore(IdSource(random.Random(1)), wall_offset_s=0.0))
key, *_ = generate_keys(IdSource(random.Random(1)))
session.configure(MediaParameters(negotiation=1, remote_address="192.0.2.1", remote_rtp_port=4, remote_rtcp_port=5,
    direction=Direction.SENDRECV, send_codec=PCMU, receive_codecs=(PCMU,), profile=Profile.RTP_SAVP,
    local_crypto=key, remote_crypto=key), 0.0)
session.tick(0.0, None, active=True)
session.transmits()
"""


def test_sdes_loads_no_more_than_it_needs() -> None:
    """libsrtp, but nothing of DTLS."""
    assert loaded_by(SDES_CALL) == {"audio.secure", "pylibsrtp"}
