"""A short run of the fuzzer; ``make fuzz`` runs it long."""

from __future__ import annotations

from tests.fuzz.sdp import run


def test_hostile_bodies() -> None:
    """Only ParseError and Unacceptable, and all three outcomes are reached."""
    outcomes = run(1_500)
    assert set(outcomes) == {"malformed", "refused", "agreed"}
