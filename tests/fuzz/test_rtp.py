"""The RTP and RTCP fuzzer, briefly; `make fuzz` sets OFFHOOK_FUZZ for a long run."""

from __future__ import annotations

import os

import pytest

from tests.fuzz import rtp

LONG = "OFFHOOK_FUZZ" in os.environ


@pytest.mark.slow
@pytest.mark.timeout(0 if LONG else 120)
def test_hostile_datagrams_break_nothing() -> None:
    count = int(os.environ.get("OFFHOOK_FUZZ", "20000"))
    outcomes = rtp.run(count, seed=20261123)
    # Were nearly all refused at the door, the states behind it would never be reached.
    assert outcomes["rtp"] > count // 2
    assert outcomes["rtcp"] > count // 20
    assert outcomes["events"] > count // 100
