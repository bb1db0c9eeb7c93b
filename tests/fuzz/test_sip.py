"""The SIP fuzzer, briefly; `make fuzz` sets OFFHOOK_FUZZ for a long run."""

import os

import pytest

from tests.fuzz import sip

LONG = "OFFHOOK_FUZZ" in os.environ


@pytest.mark.slow
@pytest.mark.timeout(0 if LONG else 120)
def test_mutants_raise_nothing_but_parse_errors() -> None:
    count = int(os.environ.get("OFFHOOK_FUZZ", "20000"))
    accepted = sip.run(count, seed=20261123)
    # Were nearly all refused at the door, the fields behind it would never be reached.
    assert accepted > count // 10
