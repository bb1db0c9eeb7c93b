"""The whole phone against a far end whose certificate is not the announced one: RFC 5763 §5 through every layer.

Phone ══ ws ══ PbxServer ── answers, calls ──┐
  ╚═════ RTP, DTLS on loopback ═════ AudioEngine of the far end, its fingerprint in the SDP exchanged or not
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.engine import AudioEngine, AudioSettings
from audio.io.events import CallMediaEnded
from audio.secure.certificate import DtlsCertificate
from phone.memory import Memory
from phone.narration import Narrator
from phone.phone import Phone
from phone.protocol import events as ev
from phone.store.database import Database
from sipcore import events as sip
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, Resilience, StackConfig
from sipcore.ids import IdSource
from sipcore.media import Fingerprint, LocalMedia, Profile
from sipcore.pbx.core import LegEvent, Pbx
from sipcore.pbx.server import PbxServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST, USER, PASSWORD = "127.0.0.1", "1001", "secret"
LOUD = 500


def ids() -> IdSource:
    return IdSource(random.SystemRandom())


class FarEnd:
    """A PBX with one robot: an audio engine that talks DTLS-SRTP. ``announced`` replaces its fingerprint in the SDP."""

    def __init__(self, announced: Fingerprint | None) -> None:
        self._announced = announced
        self._pbx = Pbx("pbx.example", {USER: PASSWORD}, ids())
        self.server = PbxServer(self._pbx, self._on_event, host=HOST)
        self.ended: list[CallMediaEnded] = []
        self.engine = AudioEngine(
            AudioSettings(input="synthetic", output="none", ring="none"), ids=ids(), on_event=self._on_sound
        )
        self.flow = 1
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.server.start()
        await self.engine.start()

    async def close(self) -> None:
        self.server.close()
        await self.engine.stop()

    async def call(self) -> None:
        media = await self._media()
        self.server.run(lambda now: self._pbx.dial(self.flow, media, now))

    async def _media(self) -> LocalMedia:
        media = await self.engine.open("call", HOST, dtls=True)
        return dataclasses.replace(
            media, profile=Profile.UDP_TLS_RTP_SAVPF, fingerprint=self._announced or media.fingerprint
        )

    def _on_sound(self, event: object) -> None:
        if isinstance(event, CallMediaEnded):
            self.ended.append(event)

    def _on_event(self, leg: LegEvent) -> None:
        match leg.event:
            case sip.IncomingCall(call=call):
                self._task = asyncio.create_task(self._answer(leg.flow, call))
            case sip.MediaNegotiated(parameters=parameters):
                self.engine.configure("call", parameters)
            case sip.CallEnded():
                self.engine.close_call("call")
            case _:
                pass

    async def _answer(self, flow: sip.FlowId, call: sip.CallId) -> None:
        media = await self._media()
        self.server.run(lambda now: self._pbx.answer(flow, call, media, now))


class Desk:
    """A phone at ``far`` and everything it told."""

    def __init__(self, far: FarEnd, directory: Path) -> None:
        self.events: list[ev.Event] = []
        self.said: list[str] = []
        self.earpiece = directory / "earpiece.wav"
        account = Account(servers=(far.server.address,), username=USER, domain="pbx.example", auth_username=USER)
        self._narrator = Narrator(account, Resilience(), self.said.append)
        self.phone = Phone(
            StackConfig(account=account, resilience=Resilience(fleet_spread=0.0)),
            Credentials(USER, PASSWORD),
            audio=AudioSettings(input="synthetic", output=f"wav:{self.earpiece}", ring="none"),
            ids=ids(),
            memory=Memory(Database(directory / "db", on_problem=self.said.append), USER),
            on_event=self._note,
        )

    def _note(self, event: ev.Event) -> None:
        self.events.append(event)
        self._narrator.note(event)

    def told(self, kind: type[ev.Event]) -> list[ev.Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def loudest(self) -> int:
        """Of what was heard in the call."""
        with wave.open(str(self.earpiece)) as file:
            heard = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        return int(np.abs(heard.astype(np.int32)).max(initial=0))


async def until(predicate: Callable[[], object], what: str) -> None:
    """Return once ``predicate`` holds; ``what`` it stands for is read in a traceback."""
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110 - some wait for figures of another thread
            await asyncio.sleep(0.01)


async def connect(desk: Desk, far: FarEnd, *, incoming: bool) -> None:
    """A call, up to where both sides agreed."""
    if incoming:
        await far.call()
        await until(lambda: desk.told(ev.IncomingCall), "it rings")
        await desk.phone.calls.answer()
    else:
        await desk.phone.calls.dial("600")
    await until(lambda: desk.told(ev.MediaNegotiated), "both sides agreed")


def run(directory: Path, announced: Fingerprint | None, *, incoming: bool) -> tuple[Desk, int]:
    """One call until sound came or the phone ended it; the desk, and how many packets the far end could decrypt."""

    async def body() -> tuple[Desk, int]:
        far = FarEnd(announced)
        await far.start()
        desk = Desk(far, directory)
        await desk.phone.start()
        await until(lambda: desk.told(ev.Registered), "registered")
        await connect(desk, far, incoming=incoming)
        assert desk.phone.state.calls[0].security == "dtls"
        if announced is None:
            figures = desk.phone.audio.statistics
            name = desk.phone.state.calls[0].id
            await until(lambda: (now := figures(name)) and now.packets_received > 25, "half a second is heard")
            await desk.phone.calls.hang_up()
        await until(lambda: desk.told(ev.CallEnded), "the call ended")
        await until(lambda: far.ended, "the far end was told")
        await desk.phone.close()
        await far.close()
        return desk, far.ended[0].statistics.packets_received

    return asyncio.run(body())


@pytest.mark.parametrize("incoming", [False, True], ids=["out", "in"])
def test_another_certificate_ends_the_call(tmp_path: Path, incoming: bool) -> None:
    """RFC 5763 §5: "The certificate ... MUST match the fingerprint". No media, a plain sentence, the call ended."""
    desk, decrypted = run(tmp_path, DtlsCertificate.generate().fingerprint, incoming=incoming)
    sentence = "The far end's encryption certificate is not the one it announced; somebody may be listening."
    (ended,) = desk.told(ev.CallEnded)
    assert isinstance(ended, ev.CallEnded)
    assert (ended.by, ended.reason) == ("error", sentence)
    (problem,) = desk.told(ev.AudioProblem)
    assert isinstance(problem, ev.AudioProblem)
    assert (problem.problem, problem.detail) == ("security", sentence)
    assert sentence in desk.said
    assert decrypted == 0
    assert desk.loudest == 0
    assert desk.phone.state.audio.problem is None


@pytest.mark.parametrize("incoming", [False, True], ids=["out", "in"])
def test_the_announced_certificate_is_heard(tmp_path: Path, incoming: bool) -> None:
    """The same call with the right fingerprint."""
    desk, decrypted = run(tmp_path, None, incoming=incoming)
    (ended,) = desk.told(ev.CallEnded)
    assert isinstance(ended, ev.CallEnded)
    assert (ended.by, ended.outcome) == ("local", "answered")
    assert not desk.told(ev.AudioProblem)
    assert decrypted > 10
    assert desk.loudest > LOUD
