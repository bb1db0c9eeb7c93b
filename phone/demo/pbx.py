"""The demo's PBX: the numbers a newcomer can call, answered by robots.

    600 echo   601 a welcome   602 says your digits back   603 busy   604 rings for ever   610 calls you back in 3 s

``python -m phone.demo.pbx`` serves until its standard input ends, so it never outlives who started it. The first
line it prints is the server's address; each line it reads is a fault to suffer (:mod:`phone.protocol.chaos`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from typing import TYPE_CHECKING, assert_never

from audio.core import MediaCore
from audio.robots import Announcement, DigitsRobot, EchoRobot, VoiceRobot, welcome
from phone.demo.account import DOMAIN, PASSWORD, USERNAME
from phone.demo.robot_media import RobotMedia
from phone.protocol.chaos import FAULTS, MUTE_S, PASSWORD_S, RESTART_S, RETRY_AFTER_S, FaultName
from sipcore.errors import LocalProtocolError
from sipcore.events import CallEnded, CallId, FlowId, IncomingCall, MediaNegotiated
from sipcore.ids import IdSource
from sipcore.pbx.core import LegEvent, Pbx
from sipcore.pbx.server import PbxServer

if TYPE_CHECKING:
    from sipcore.media import MediaParameters

CALL_BACK_S = 3.0


class DemoPbx:
    """Server and dialplan."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._ids = IdSource(random.SystemRandom())
        self.users = {USERNAME: PASSWORD}
        self._pbx = Pbx(DOMAIN, self.users, self._ids)
        self.server = PbxServer(self._pbx, self._on_event, host=host, port=port)
        self._media: dict[tuple[FlowId, CallId], RobotMedia] = {}
        self._cores: dict[tuple[FlowId, CallId], MediaCore] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    async def start(self) -> None:
        """Listen; raises OSError."""
        await self.server.start()

    def close(self) -> None:
        """Break everything off."""
        for timer in self._timers:
            timer.cancel()
        for media in self._media.values():
            media.close()
        self._media.clear()
        self._cores.clear()
        self.server.close()

    # --- events ------------------------------------------------------------------------------------------------

    def _on_event(self, leg: LegEvent) -> None:
        match leg.event:
            case IncomingCall(call=call, called=called):
                self._route(leg.flow, call, called)
            case MediaNegotiated(call=call, parameters=parameters):
                self._negotiated((leg.flow, call), parameters)
            case CallEnded(call=call):
                self._forget((leg.flow, call))
            case _:
                pass

    def _route(self, flow: FlowId, call: CallId, called: str) -> None:
        match called:
            case "600":
                self._answer(flow, call, EchoRobot(self._ids, wall_offset_s=_wall_offset_s()))
            case "601":
                self._answer(flow, call, self._voice((flow, call)))
            case "602":
                core = self._core((flow, call))
                self._answer(flow, call, DigitsRobot(core))
            case "603":
                self.server.run(lambda now: self._pbx.reject(flow, call, 486, now))
            case "604":
                self.server.run(lambda now: self._pbx.ring(flow, call, now))
            case "610":
                self._answer(flow, call, self._voice((flow, call)))
                self._later(1.0, lambda: self.server.run(lambda now: self._pbx.hang_up(flow, call, now)))
                self._later(CALL_BACK_S, lambda: self.call_back(flow))
            case _:
                self.server.run(lambda now: self._pbx.reject(flow, call, 404, now))

    def _answer(self, flow: FlowId, call: CallId, robot: EchoRobot | VoiceRobot) -> None:
        media = RobotMedia(robot, self._ids, speaks=isinstance(robot, VoiceRobot))
        self._media[flow, call] = media
        self.server.run(lambda now: self._pbx.answer(flow, call, media.local, now))

    def call_back(self, flow: FlowId) -> None:
        """Call the user at the end of ``flow``; nothing happens when he has gone."""
        core = MediaCore(self._ids, wall_offset_s=_wall_offset_s())
        robot = VoiceRobot(core, Announcement(welcome(), repeat=True))
        media = RobotMedia(robot, self._ids, speaks=True)
        try:
            call = self.server.run(lambda now: self._pbx.dial(flow, media.local, now))
        except (LocalProtocolError, KeyError):
            media.close()
            return
        self._media[flow, call] = media
        self._cores[flow, call] = core

    # --- faults ----------------------------------------------------------------------------------------------------

    def suffer(self, fault: FaultName) -> None:
        """Let a fault happen now."""
        match fault:
            case "drop":
                self.server.drop()
            case "restart":
                self.server.restart(RESTART_S)
            case "busy":
                self._pbx.refuse_registrations(503, 2, retry_after_s=RETRY_AFTER_S)
                self.server.drop()
            case "mute":
                self.server.fall_silent(MUTE_S)
            case "password":
                self.users[USERNAME] = PASSWORD + " changed"
                self._later(PASSWORD_S, lambda: self.users.update({USERNAME: PASSWORD}))
                self.server.drop()
            case _:
                assert_never(fault)

    # --- media -------------------------------------------------------------------------------------------------

    def _core(self, key: tuple[FlowId, CallId]) -> MediaCore:
        core = MediaCore(self._ids, wall_offset_s=_wall_offset_s())
        self._cores[key] = core
        return core

    def _voice(self, key: tuple[FlowId, CallId]) -> VoiceRobot:
        return VoiceRobot(self._core(key), Announcement(welcome(), repeat=True))

    def _negotiated(self, key: tuple[FlowId, CallId], parameters: MediaParameters) -> None:
        if (core := self._cores.get(key)) is not None:
            core.configure(parameters, time.monotonic())

    def _forget(self, key: tuple[FlowId, CallId]) -> None:
        self._cores.pop(key, None)
        if (media := self._media.pop(key, None)) is not None:
            media.close()

    def _later(self, seconds: float, what: _Callback) -> None:
        def run() -> None:
            self._timers.discard(handle)
            with contextlib.suppress(LocalProtocolError):  # the call may have ended meanwhile
                what()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(handle)


if TYPE_CHECKING:
    from collections.abc import Callable

    _Callback = Callable[[], object]


def _wall_offset_s() -> float:
    return time.time() - time.monotonic()


async def serve() -> None:
    """Serve until standard input ends."""
    pbx = DemoPbx()
    await pbx.start()
    print(pbx.server.address, flush=True)  # noqa: T201 - the one line its starter waits for
    while line := await asyncio.to_thread(sys.stdin.readline):
        for fault in FAULTS:
            if line.strip() == fault:
                pbx.suffer(fault)
    pbx.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
