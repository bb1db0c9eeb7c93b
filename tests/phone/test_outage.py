"""Calls while the PBX cannot be reached, and while the phone's own address changes; at the demo's PBX."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.state import calls_json
from sipcore.events import VerbFailed
from tests.phone.test_calls import Desk, at_the_desk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


async def in_a_call(desk: Desk) -> str:
    """Dial the echo and wait for its answer; returns the call's id."""
    call = await desk.phone.calls.dial("600")
    await desk.until(lambda: desk.held() == {call: False})
    return call


async def lose(desk: Desk) -> None:
    """The PBX is gone, and the phone knows."""
    desk.pbx.server.close()
    await desk.until(lambda: any(call.signalling_lost for call in desk.phone.state.calls))


def run(tmp_path: Path, body: Callable[[Desk], Awaitable[None]]) -> None:
    at_the_desk(tmp_path, body)


def test_lost_signalling_shows_in_the_calls_state(tmp_path: Path) -> None:
    """The call is active all the same; both are said."""

    async def body(desk: Desk) -> None:
        call = await in_a_call(desk)
        assert not desk.phone.state.calls[0].signalling_lost
        await lose(desk)
        (shown,) = calls_json(desk.phone.state, 0.0)
        assert (shown["id"], shown["state"], shown["signalling_lost"]) == (call, "active", True)
        await desk.pbx.start()
        await desk.until(lambda: not desk.phone.state.calls or not desk.phone.state.calls[0].signalling_lost)

    run(tmp_path, body)


def test_hold_and_resume_are_done_at_once_and_told_later(tmp_path: Path) -> None:
    """Nobody can agree now, so nobody is waited for; the microphone is off, and shown to be."""

    async def body(desk: Desk) -> None:
        calls = desk.phone.calls
        call = await in_a_call(desk)
        await lose(desk)
        async with asyncio.timeout(1):
            await calls.hold()
            assert (desk.held(), calls.lines.current) == ({call: True}, None)
            await calls.resume()
            assert (desk.held(), calls.lines.current) == ({call: False}, call)

    run(tmp_path, body)


def test_a_hold_the_far_end_refuses_afterwards_is_shown_as_refused(tmp_path: Path) -> None:
    """What was shown as done was not."""

    async def body(desk: Desk) -> None:
        call = await in_a_call(desk)
        await lose(desk)
        await desk.phone.calls.hold()
        line = desk.phone.calls.lines.get(call)
        assert line is not None
        assert line.sip is not None
        desk.phone.calls.outage.verb_failed(VerbFailed(line.sip, "hold", 488, "Not Acceptable Here"))
        assert desk.held() == {call: False}

    run(tmp_path, body)


def test_a_transfer_needs_the_pbx(tmp_path: Path) -> None:
    """It is the PBX that is asked to do it."""

    async def body(desk: Desk) -> None:
        await in_a_call(desk)
        await lose(desk)
        with pytest.raises(CommandRefused, match="cannot be reached"):
            await desk.phone.calls.transfer("601")

    run(tmp_path, body)


def test_the_sound_moves_to_another_address_and_the_far_end_is_told(tmp_path: Path) -> None:
    """S4: another socket, the same stream; a new round of offer and answer."""

    async def body(desk: Desk) -> None:
        call = await in_a_call(desk)
        audio, outage = desk.phone.audio, desk.phone.calls.outage
        rounds = [event for event in desk.events if isinstance(event, ev.MediaNegotiated)]
        assert audio.local_address(call) == "127.0.0.1"
        await outage.move_media("127.0.0.2")
        assert audio.local_address(call) == "127.0.0.2"
        await desk.until(
            lambda: len([event for event in desk.events if isinstance(event, ev.MediaNegotiated)]) > len(rounds)
        )
        await outage.move_media("127.0.0.2")
        assert audio.local_address("nobody") is None

    run(tmp_path, body)


def test_an_address_that_is_gone_again_costs_no_call(tmp_path: Path) -> None:
    """The next news of the network moves the sound."""

    async def body(desk: Desk) -> None:
        call = await in_a_call(desk)
        await desk.phone.calls.outage.move_media("203.0.113.9")
        assert desk.held() == {call: False}
        assert desk.phone.audio.local_address(call) == "127.0.0.1"

    run(tmp_path, body)
