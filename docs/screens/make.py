"""Draws the pictures of this folder from the scenes that the tests use: ``python -m docs.screens.make``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.tui.scenes import BY_NAME
from tui.i18n import set_language

HERE = Path(__file__).parent

PICTURES = (
    ("ringing", "dark", (80, 24), "en"),
    ("call", "dark", (120, 40), "en"),
    ("call", "light", (80, 24), "en"),
    ("call", "ansi", (80, 24), "es"),
    ("reconnecting", "dark", (80, 24), "en"),
    ("refused", "dark", (80, 24), "en"),
    ("settings", "dark", (80, 24), "en"),
    ("log", "dark", (80, 24), "en"),
    ("wizard", "dark", (80, 24), "en"),
    ("wizard-account", "dark", (80, 24), "en"),
)


async def draw(scene: str, theme: str, size: tuple[int, int], language: str) -> Path:
    """One picture; returns its file."""
    set_language(language)
    chosen = BY_NAME[scene]
    app = chosen.app(theme)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press(*chosen.press)
        for _ in range(20):
            await pilot.pause(0.02)
        extra = "".join(f"-{part}" for part, usual in ((theme, "dark"), (language, "en")) if part != usual)
        file = HERE / f"{scene}{extra}-{size[0]}x{size[1]}.svg"
        file.write_text(app.export_screenshot(title="Offhook") + "\n", encoding="utf-8")
    return file


def main() -> None:
    """All of them."""
    for scene, theme, size, language in PICTURES:
        asyncio.run(draw(scene, theme, size, language))


if __name__ == "__main__":
    main()
