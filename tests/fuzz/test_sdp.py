"""The SDP fuzzer, briefly; `make fuzz` sets OFFHOOK_FUZZ for a long run."""

import os

import pytest

from tests.fuzz import sdp

LONG = "OFFHOOK_FUZZ" in os.environ


@pytest.mark.slow
@pytest.mark.timeout(0 if LONG else 120)
def test_mutants_raise_nothing_but_what_is_allowed() -> None:
    """ParseError and Unacceptable only; and enough of them get as far as an agreement."""
    count = int(os.environ.get("OFFHOOK_FUZZ", "20000"))
    assert sdp.run(count, seed=20261123)["agreed"] > count // 10
