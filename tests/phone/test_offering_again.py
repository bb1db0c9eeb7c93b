"""The whole phone where the PBX refuses the media of its first offer, and what a call that is not refused loads.

Phone ══ udp ══ Pbx ── refuses plain RTP, answers what follows ──┐
  ╚═════ RTP, DTLS on loopback ═════ AudioEngine of the far end ═╝
"""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from audio.engine import AudioEngine, AudioSettings
from phone.memory import Memory
from phone.offers import offer
from phone.phone import Phone
from phone.protocol import events as ev
from phone.store.database import Database
from sipcore import events as sip
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, Resilience, ServerAddress, StackConfig
from sipcore.ids import IdSource
from sipcore.media import Profile
from sipcore.pbx.core import LegEvent, Pbx
from tests.architecture.source import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST, USER, PASSWORD = "127.0.0.1", "1001", "secret"
HEAVY = ("OpenSSL", "pylibsrtp", "cryptography", "audio.secure", "audio.ice")
FLOW = 1


def ids() -> IdSource:
    return IdSource(random.SystemRandom())


async def until(predicate: Callable[[], object], what: str) -> None:
    """Return once ``predicate`` holds; ``what`` it stands for is read in a traceback."""
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110 - some wait for figures of another thread
            await asyncio.sleep(0.01)


class FarEnd(asyncio.DatagramProtocol):
    """A PBX for one phone on UDP. The first ``refuses`` INVITEs get 488, the next is answered with ``profile``."""

    def __init__(self, refuses: int, profile: Profile) -> None:
        self.offered: list[str] = []
        self.ready = asyncio.Event()
        self._refuses = refuses
        self._profile = profile
        self._pbx = Pbx("pbx.example", {USER: PASSWORD}, ids())
        self.engine = AudioEngine(
            AudioSettings(input="synthetic", output="none", ring="none"), ids=ids(), on_event=lambda _: None
        )
        self._transport: asyncio.DatagramTransport | None = None
        self._phone: tuple[str, int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> ServerAddress:
        await self.engine.start()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        self._transport = transport
        address = ServerAddress("udp", HOST, transport.get_extra_info("sockname")[1])
        self._run(lambda now: self._pbx.flow_opened(FLOW, address, now))
        return address

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
        await self.engine.stop()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._phone = addr
        if data.startswith(b"INVITE ") and (kind := re.search(rb"m=audio \d+ (\S+)", data)):
            self.offered.append(kind[1].decode())
        self._run(lambda now: self._pbx.receive(data, FLOW, now))

    def _run(self, verb: Callable[[float], None]) -> None:
        verb(time.monotonic())
        for effect in self._pbx.effects():
            if self._transport is not None:
                self._transport.sendto(effect.data, self._phone)
        for event in self._pbx.events():
            self._on_event(event)
        if self._timer is not None:
            self._timer.cancel()
        if (due := self._pbx.next_timeout()) is not None:
            wait = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._run, self._pbx.handle_timeout)

    def _on_event(self, leg: LegEvent) -> None:
        match leg.event:
            case sip.IncomingCall(call=call):
                if self._refuses:
                    self._refuses -= 1
                    self._run(lambda now: self._pbx.reject(FLOW, call, 488, now))
                else:
                    self._task = asyncio.create_task(self._answer(call))
            case sip.MediaNegotiated(parameters=parameters):
                self.engine.configure("call", parameters)
            case sip.CallEnded():
                self.engine.close_call("call")
            case _:
                pass

    async def _answer(self, call: sip.CallId) -> None:
        media = await self.engine.open("call", HOST, dtls=self._profile.dtls)
        self._run(lambda now: self._pbx.answer(FLOW, call, offer(self._profile, media), now))


class Desk:
    """A phone with ``media = auto`` and everything it told."""

    def __init__(self, server: ServerAddress, directory: Path) -> None:
        self.events: list[ev.Event] = []
        account = Account(servers=(server,), username=USER, domain="pbx.example", auth_username=USER)
        self.phone = Phone(
            StackConfig(account=account, resilience=Resilience(fleet_spread=0.0)),
            Credentials(USER, PASSWORD),
            audio=AudioSettings(input="synthetic", output="none", ring="none"),
            ids=ids(),
            memory=Memory(Database(directory / "db", on_problem=print), USER),
            on_event=self.events.append,
        )

    @property
    def ended(self) -> ev.CallEnded | None:
        return next((event for event in self.events if isinstance(event, ev.CallEnded)), None)

    @property
    def packets(self) -> int:
        """Heard, and decrypted where that was agreed."""
        calls = self.phone.state.calls
        figures = self.phone.audio.statistics(calls[0].id) if calls else None
        return figures.packets_received if figures else 0


async def one_call(directory: Path, refuses: int, profile: Profile) -> tuple[list[str], str | None, ev.CallEnded]:
    """Half a second of a call, or its refusal: what was offered, how it was encrypted, how it ended."""
    far = FarEnd(refuses, profile)
    desk = Desk(await far.start(), directory)
    await desk.phone.start()
    await until(lambda: desk.phone.state.registration.state == "registered", "registered")
    await desk.phone.calls.dial("600")
    await until(lambda: desk.packets > 25 or desk.ended, "half a second is heard, or the call ends")
    security = desk.phone.state.calls[0].security if desk.phone.state.calls else None
    if desk.ended is None:
        heard = far.engine.statistics("call")
        assert heard is not None
        assert heard.packets_received > 10
        await desk.phone.calls.hang_up()
    await until(lambda: desk.ended, "the call ended")
    await desk.phone.close()
    await far.close()
    assert desk.ended is not None
    # An INVITE goes out twice where the PBX asks for the password.
    return list(dict.fromkeys(far.offered)), security, desk.ended


def test_plain_refused_is_offered_encrypted(tmp_path: Path) -> None:
    """What DTLS takes is made ready between the refusal and the next offer, and the call has sound both ways."""
    offered, security, ended = asyncio.run(one_call(tmp_path, 1, Profile.UDP_TLS_RTP_SAVPF))
    assert offered == ["RTP/AVP", "UDP/TLS/RTP/SAVPF"]
    assert security == "dtls"
    assert (ended.by, ended.outcome) == ("local", "answered")


def test_both_offers_refused_end_the_call_as_refused(tmp_path: Path) -> None:
    offered, _, ended = asyncio.run(one_call(tmp_path, 2, Profile.RTP_AVP))
    assert offered == ["RTP/AVP", "UDP/TLS/RTP/SAVPF"]
    assert (ended.by, ended.status) == ("remote", 488)


PLAIN_CALL = f"""
import asyncio, sys
from pathlib import Path
from tests.phone.test_offering_again import Profile, one_call
offered, security, ended = asyncio.run(one_call(Path(sys.argv[1]), 0, Profile.RTP_AVP))
print(offered, security, ended.outcome, [name for name in {HEAVY!r} if name in sys.modules])
"""


@pytest.mark.timeout(40)
def test_a_plain_call_loads_nothing_of_encryption(tmp_path: Path) -> None:
    """It would be a quarter of the engine's memory."""
    command = [sys.executable, "-c", PLAIN_CALL, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "['RTP/AVP'] None answered []\n", done.stderr
