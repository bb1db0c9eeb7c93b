"""Toasts stand where nothing is that somebody may need while they are there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual.widgets._toast import Toast as Shown

from phone.protocol import events as ev
from phone.protocol.phrases import Phrase
from tests.tui.engine import console, registered, shown, talking, until

if TYPE_CHECKING:
    from pathlib import Path

LONG = Phrase(
    "Connection refused by {where}: nothing listens there; check the port, or wait until the PBX is up.",
    where="pbx.support.example.com:8089",
)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 15)])
def test_no_toast_covers_what_is_typed_or_the_calls(tmp_path: Path, size: tuple[int, int]) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(calls=(talking(), talking("b", held=True))), size=size) as (
            app,
            pilot,
            _,
        ):
            await pilot.press("slash", "1", "0")
            app.on_engine_event(ev.ReconnectionFailed(at=1.0, attempts=10, reason=LONG))
            app.on_engine_event(
                ev.CallEnded(at=1.0, call="x", by="remote", outcome="failed", peer="1004", status=488, reason="No")
            )
            await until(pilot, lambda: len(app.screen.query(Shown)) == 2)
            await until(pilot, lambda: "Call failed" in shown(app))
            free = [app.screen.query_one(name).region for name in ("#dialline", "#hints", "#status", "#alert")]
            if size[0] >= 72:
                free.append(app.screen.query_one("#calls").region)
            for toast in app.screen.query(Shown):
                for region in free:
                    assert not toast.region.overlaps(region), (toast.region, region)

    asyncio.run(scenario())
