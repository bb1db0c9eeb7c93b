"""Screens beside the main one that are told of every new state of the phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from textual.screen import Screen

if TYPE_CHECKING:
    from phone.state import PhoneState

T = TypeVar("T")


class FollowingScreen(Screen[T]):
    """Is told while it is on the stack."""

    def on_phone_state(self, state: PhoneState, *, attached: bool) -> None:
        """A new state, or the loss of the engine."""
        raise AssertionError("a screen that follows says what it does with a state")
