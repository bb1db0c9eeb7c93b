"""A few thousand hostile datagrams at every run; tests/fuzz has the rest."""

from __future__ import annotations

from tests.fuzz import rtp


def test_hostile_datagrams_break_nothing() -> None:
    """Network bytes raise nothing but ParseError, and a core not even that."""
    assert rtp.run(1500, seed=7)["events"] > 10
