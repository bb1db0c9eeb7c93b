"""Waiting on a predicate with a deadline: the only way a lab test waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_POLL_S = 0.02


def wait_until(predicate: Callable[[], T], *, what: str, timeout_s: float = 10.0) -> T:
    """Return the predicate's first true value; fails with `what` and the last value after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s:g} s (last seen: {value!r})")
        time.sleep(_POLL_S)
