"""Every text goes through the catalogue: in the made-up language, what stands outside of ⟦⟧ is data or a key."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.tui.engine import shown, until
from tests.tui.scenes import SCENES, Scene
from tui.i18n import PSEUDO, set_language
from tui.toasts import toast_for

# What the scenes' states hold, what is written on keys, and values of settings as they are written in the file.
DATA = (
    r"Alice Exam\w*|Bob Support|Carol|Bob|\d+@[\w.]+|PCMU|wss?:[\w.:/]+|Offhook|~/\S+|\d\d:\d\d\b.*|textual-dark|"
    r"F\d+|Ctrl\+\w+|Esc|Tab|Enter|PgUp|PgDn|"
    r"‹ [^›]* ›|/etc/ssl/pbx.pem|pbx.example.com|"
    r"\b[a-z]\b"
)
LETTERS = re.compile(r"[A-Za-z]{2,}")


def untranslated(screen: str) -> list[str]:
    """The words that nobody could translate."""
    found = []
    for line in screen.split("\n"):
        rest = line
        while (inner := re.sub(r"⟦[^⟦⟧]*⟧", " ", rest)) != rest:  # phrases stand in phrases
            rest = inner
        rest = re.sub(DATA, " ", rest)
        found += LETTERS.findall(rest)
    return found


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_no_screen_has_a_text_of_its_own(scene: Scene) -> None:
    async def scenario() -> None:
        set_language(PSEUDO)
        try:
            app = scene.app()
            async with app.run_test(size=(230, 90), notifications=True) as pilot:
                await until(pilot, lambda: app.state == scene.state)
                await pilot.press(*scene.press)
                for _ in range(20):
                    await pilot.pause(0.01)
                assert untranslated(shown(app)) == []
        finally:
            set_language("en")

    asyncio.run(scenario())


def test_the_check_finds_what_it_looks_for() -> None:
    assert untranslated("⟦Réçéñt···⟧ Plain words 14:02 noise") == ["Plain", "words"]


def test_no_toast_has_a_text_of_its_own() -> None:
    from tests.tui.test_toasts import EVENTS

    set_language(PSEUDO)
    try:
        for event in EVENTS:
            toast = toast_for(event)
            if toast is not None:
                assert untranslated(toast.title) == []
                if not toast.message.startswith("10"):
                    assert "⟦" in toast.message, toast
    finally:
        set_language("en")
