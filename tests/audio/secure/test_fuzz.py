"""A short run of the fuzzer; ``make fuzz`` runs it long."""

from __future__ import annotations

import pytest

from sipcore.media import Profile
from tests.fuzz.media import run, still_works


def test_hostile_datagrams() -> None:
    """Nothing raised; forged and replayed ones are among what was turned away."""
    totals = run(8_000)
    assert all(totals.values())


@pytest.mark.parametrize("profile", [Profile.RTP_SAVP, Profile.UDP_TLS_RTP_SAVPF])
def test_calls_survive(profile: Profile) -> None:
    """An encrypted call talks on."""
    assert still_works(profile, 3_000)
