"""A few pictures of the whole screen: colours and places, which no test of words sees.

Drawn from the scenes at a fixed time in UTC; ``pytest --snapshot-update`` draws them anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.tui.engine import until
from tests.tui.scenes import BY_NAME
from tui.i18n import PSEUDO, set_language

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.pilot import Pilot

    from tui.dialogs.quit import Leave


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("en")


async def settle(pilot: Pilot[Leave]) -> None:
    """Until the state is drawn and what was asked of the engine has come."""
    for _ in range(10):
        await pilot.pause(0.01)


@pytest.mark.parametrize(
    ("scene", "theme", "size", "language"),
    [
        ("ringing", "dark", (80, 24), "en"),
        ("ringing", "light", (120, 40), "en"),
        ("ringing", "ansi", (80, 24), "en"),
        ("reconnecting", "dark", (120, 40), "en"),
        ("settings", "dark", (80, 24), "es"),
        ("call", "dark", (80, 24), PSEUDO),
    ],
)
def test_pictures(
    snap_compare: Callable[..., bool], scene: str, theme: str, size: tuple[int, int], language: str
) -> None:
    set_language(language)
    chosen = BY_NAME[scene]

    async def before(pilot: Pilot[Leave]) -> None:
        await until(pilot, lambda: pilot.app.state == chosen.state)  # type: ignore[attr-defined]
        await pilot.press(*chosen.press)
        await settle(pilot)

    assert snap_compare(chosen.app(theme), terminal_size=size, run_before=before)


def test_the_scenes_stand_still() -> None:
    """Two pictures of one scene are the same, whenever they are taken."""

    async def picture() -> str:
        app = BY_NAME["ringing"].app()
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            return "\n".join(str(strip.text) for strip in app.screen._compositor.render_strips())

    assert asyncio.run(picture()) == asyncio.run(picture())
