"""Who has the microphone, with a real phone at the demo's PBX."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from audio.io.settings import AudioSettings
from phone import calls as calls_module
from phone.demo.account import DOMAIN, PASSWORD, USERNAME
from phone.demo.pbx import DemoPbx
from phone.memory import Memory
from phone.phone import Phone
from phone.protocol.commands import CommandRefused
from phone.store.database import Database
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, Resilience, StackConfig
from sipcore.ids import IdSource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from phone.protocol import events as ev


class Desk:
    """A registered phone, and what it told."""

    def __init__(self, pbx: DemoPbx, tmp_path: Path, audio: AudioSettings) -> None:
        self.pbx = pbx
        self.events: list[ev.Event] = []
        self._changed = asyncio.Event()
        account = Account(
            servers=(pbx.server.address,),
            username=USERNAME,
            domain=DOMAIN,
            auth_username=USERNAME,
            media="rtp",
        )
        self.phone = Phone(
            StackConfig(account=account, resilience=Resilience()),
            Credentials(USERNAME, PASSWORD),
            audio=audio,
            ids=IdSource(random.Random(1)),
            memory=Memory(Database(tmp_path / "db", on_problem=lambda _: None), "1001"),
            on_event=self._note,
        )

    def _note(self, event: ev.Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

    def held(self) -> dict[str, bool]:
        return {call.id: call.held for call in self.phone.state.calls if call.state == "active"}


QUIET = AudioSettings(input="none", output="none", ring="none")


def at_the_desk(tmp_path: Path, body: Callable[[Desk], Awaitable[None]], audio: AudioSettings = QUIET) -> None:
    async def main() -> None:
        pbx = DemoPbx()
        await pbx.start()
        desk = Desk(pbx, tmp_path, audio)
        await desk.phone.start()
        try:
            await desk.until(lambda: desk.phone.state.registration.state == "registered")
            await body(desk)
        finally:
            await desk.phone.close()
            pbx.close()

    asyncio.run(main())


def test_a_target_that_is_none_leaves_the_other_call_alone(tmp_path: Path) -> None:
    """Only a call that begins puts the one before it on hold."""

    async def body(desk: Desk) -> None:
        calls = desk.phone.calls
        first = await calls.dial("600")
        await desk.until(lambda: desk.held() == {first: False})
        with pytest.raises(CommandRefused, match="neither a number nor an address"):
            await calls.dial("no number")
        assert calls.lines.current == first
        second = await calls.dial("600")
        await desk.until(lambda: desk.held() == {first: True, second: False})
        assert calls.lines.current == second

    at_the_desk(tmp_path, body)


def test_a_resume_the_far_end_agrees_to_late_still_gets_the_microphone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked has been told that there is no answer yet; the sound must come back all the same."""

    async def body(desk: Desk) -> None:
        calls = desk.phone.calls
        call = await calls.dial("600")
        await desk.until(lambda: desk.held() == {call: False})
        await calls.hold()
        assert calls.lines.current is None
        monkeypatch.setattr(calls_module, "AGREEMENT_TIMEOUT_S", 0.0)
        with pytest.raises(CommandRefused, match="not answered yet"):
            await calls.resume()
        await desk.until(lambda: desk.held() == {call: False})
        assert calls.lines.current == call

    at_the_desk(tmp_path, body)
