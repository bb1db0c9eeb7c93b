"""A phone that goes on with the calls of one that stopped without a word.

The embedded PBX forgets the calls of a lost connection, so these see the time before there is signalling, and its 481
after that; tests/lab/test_journal.py sees the rest.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import sqlite3
from typing import TYPE_CHECKING

import pytest

from audio.io.settings import AudioSettings
from phone import ahead
from phone.demo.account import DOMAIN, PASSWORD, USERNAME
from phone.demo.pbx import DemoPbx
from phone.journal import Journal
from phone.memory import Memory
from phone.phone import Phone
from phone.protocol import events as ev
from phone.store.database import Database
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, Resilience, StackConfig
from sipcore.ids import IdSource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from phone.protocol.snapshots import CallSlice


class Office:
    """A PBX, and phones that follow each other at one desk."""

    def __init__(self, pbx: DemoPbx, directory: Path) -> None:
        self.pbx = pbx
        self.directory = directory
        self.events: list[ev.Event] = []
        self._changed = asyncio.Event()
        self._seed = 0

    def phone(self, *, boot: str = "boot", sounds_ahead: bool = False) -> Phone:
        """The next one. ``sounds_ahead``: as in a process of its own, where calls sound before there is a phone."""
        self._seed += 1
        journal, audio = self.directory / "journal.db", AudioSettings(input="none", output="none", ring="none")
        begun = ahead.begin(journal, "1001", audio, boot=boot) if sounds_ahead else None
        account = Account(
            servers=(self.pbx.server.address,),
            username=USERNAME,
            domain=DOMAIN,
            auth_username=USERNAME,
            media="rtp",
        )
        return Phone(
            StackConfig(account=account, resilience=Resilience()),
            Credentials(USERNAME, PASSWORD),
            audio=audio,
            ids=IdSource(random.Random(self._seed)),
            memory=Memory(Database(self.directory / "db", on_problem=lambda _: None), "1001"),
            on_event=self._note,
            journal=Journal(journal, "1001", boot=boot, ahead=begun),
            sound=None if begun is None else begun.sound,
        )

    def _note(self, event: ev.Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, predicate: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

    async def registered(self, phone: Phone) -> Phone:
        await phone.start()
        await self.until(lambda: phone.state.registration.state == "registered")
        return phone

    async def in_a_call(self) -> tuple[Phone, CallSlice]:
        phone = await self.registered(self.phone())
        name = await phone.calls.dial("600")
        await self.until(lambda: phone.state.calls and phone.state.calls[0].state == "active")
        call = phone.state.call(name)
        assert call is not None
        return phone, call

    async def vanish(self, phone: Phone) -> None:
        """It stops, and tells nobody."""
        await phone.hand_over()
        await phone.abandon()


def in_the_office(tmp_path: Path, body: Callable[[Office], Awaitable[None]]) -> None:
    async def main() -> None:
        pbx = DemoPbx()
        await pbx.start()
        try:
            await body(Office(pbx, tmp_path))
        finally:
            pbx.close()

    asyncio.run(main())


def of(office: Office, kind: type[ev.Event]) -> list[ev.Event]:
    return [event for event in office.events if isinstance(event, kind)]


@pytest.mark.parametrize("sounds_ahead", [False, True])
def test_the_next_phone_has_the_call_before_it_has_a_connection(tmp_path: Path, sounds_ahead: bool) -> None:
    """With its id, its age and its sound; the far end is told as soon as there is signalling."""

    async def body(office: Office) -> None:
        first, before = await office.in_a_call()
        await first.calls.mute(muted=True)
        await office.vanish(first)
        assert not of(office, ev.CallEnded)
        second = office.phone(sounds_ahead=sounds_ahead)
        await second.resume()
        (after,) = second.state.calls
        assert dataclasses.replace(after, signalling_lost=False, muted=False, media=None) == dataclasses.replace(
            before, media=None
        )
        assert (after.muted, after.signalling_lost) == (True, True)
        assert second.calls.lines.current == after.id
        assert second.audio.local_address(after.id)
        assert not of(office, ev.CallEnded)
        await office.registered(second)
        await office.until(lambda: of(office, ev.HistoryAdded))  # the PBX knew no such call
        (entry,) = second.state.recent
        assert (entry.outcome, entry.answered_at) == ("answered", before.answered_at)
        await second.close()

    in_the_office(tmp_path, body)


def test_a_held_call_does_not_get_the_microphone(tmp_path: Path) -> None:
    """Nobody is to be heard who was not."""

    async def body(office: Office) -> None:
        first, call = await office.in_a_call()
        await first.calls.hold()
        await office.vanish(first)
        second = office.phone()
        await second.resume()
        assert second.state.calls[0].held
        assert second.calls.lines.current is None
        assert second.state.calls[0].id == call.id
        await second.start()
        await second.close()

    in_the_office(tmp_path, body)


def test_a_call_that_rang_is_in_the_history(tmp_path: Path) -> None:
    """Nobody can answer it any more, and somebody may want to call back."""

    async def body(office: Office) -> None:
        first = await office.registered(office.phone())
        await first.calls.dial("604")  # which only rings
        await office.until(lambda: first.state.calls and first.state.calls[0].state == "ringing")
        await office.vanish(first)
        second = await office.registered(office.phone())
        await office.until(lambda: of(office, ev.HistoryAdded))
        entry = second.state.recent[0]
        assert (entry.peer, entry.outcome, entry.reason) == ("604", "failed", "The engine ended")
        await second.close()

    in_the_office(tmp_path, body)


def test_an_orderly_end_leaves_nothing_to_resume(tmp_path: Path) -> None:
    """The call was ended, and the PBX was told."""

    async def body(office: Office) -> None:
        first, _ = await office.in_a_call()
        await first.close()
        second = office.phone()
        await second.resume()
        assert second.state.calls == ()
        await second.start()
        await second.close()

    in_the_office(tmp_path, body)


def test_a_call_of_another_boot_is_ended_and_in_the_history(tmp_path: Path) -> None:
    """The PBX gets a BYE."""

    async def body(office: Office) -> None:
        first, call = await office.in_a_call()
        await office.vanish(first)
        second = await office.registered(office.phone(boot="another"))
        assert second.state.calls == ()
        await office.until(lambda: of(office, ev.HistoryAdded))
        entry = second.state.recent[0]
        assert (entry.peer, entry.outcome, entry.reason) == (call.peer, "answered", "The engine ended")
        await second.close()
        # Had the PBX not answered the BYE, it would still be owed.
        assert Journal(tmp_path / "journal.db", "1001", boot="another").read_untrusted() is None

    in_the_office(tmp_path, body)


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record["calls"][0]["sip"]["dialog"].update(local="nonsense"),
        lambda record: record["calls"][0]["sip"]["negotiation"].update(local_sdp="v=0"),
        lambda record: record["calls"][0]["sip"]["negotiation"].update(rtp_port=-1, address="nowhere"),
        lambda record: record["binding"].update(call_id="", cseq=-1),
        lambda record: record.update(calls="many"),
        lambda record: record["calls"].append(record["calls"][0]),
    ],
    ids=["dialog", "description", "address", "binding", "record", "twice"],
)
@pytest.mark.parametrize("sounds_ahead", [False, True])
def test_whatever_is_in_the_journal_the_phone_begins(
    tmp_path: Path, damage: Callable[[dict[str, object]], None], sounds_ahead: bool
) -> None:
    """A call may be lost over it, the phone is not."""

    async def body(office: Office) -> None:
        first, _ = await office.in_a_call()
        await office.vanish(first)
        with sqlite3.connect(tmp_path / "journal.db") as connection:
            (text,) = connection.execute("SELECT record FROM journal").fetchone()
            record = json.loads(text)
            damage(record)
            connection.execute("UPDATE journal SET record = ?", (json.dumps(record),))
        connection.close()
        second = await office.registered(office.phone(sounds_ahead=sounds_ahead))
        assert len(second.state.calls) <= 1
        for call in second.state.calls:
            assert second.audio.local_address(call.id)
        await second.close()

    in_the_office(tmp_path, body)


def test_the_port_is_taken_by_somebody_else(tmp_path: Path) -> None:
    """Another is used, and the far end is told by the re-INVITE."""

    async def body(office: Office) -> None:
        first, call = await office.in_a_call()
        (kept,) = first.agent.stack.snapshot().calls.calls
        await office.vanish(first)
        async with asyncio.timeout(10):
            negotiation = kept.negotiation
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=(negotiation.address, negotiation.rtp_port)
            )
        second = office.phone()
        await second.resume()
        assert second.state.calls[0].id == call.id
        assert second.audio.local_address(call.id) == negotiation.address
        transport.close()
        await second.start()
        await second.close()

    in_the_office(tmp_path, body)
