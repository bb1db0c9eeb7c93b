"""The media socket fuzzer, briefly; `make fuzz` sets OFFHOOK_FUZZ for a long run."""

import os

import pytest

from tests.fuzz import media

LONG = "OFFHOOK_FUZZ" in os.environ


@pytest.mark.slow
@pytest.mark.timeout(0 if LONG else 120)
def test_hostile_datagrams_raise_nothing() -> None:
    """And forged and replayed ones are counted among what was turned away."""
    totals = media.run(int(os.environ.get("OFFHOOK_FUZZ", "20000")), seed=20261123)
    assert all(totals.values())
