"""Which command does what: the one table between the control socket and the phone."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Any, assert_never

from phone.config_schema import MAX_VOLUME
from phone.logging import tail
from phone.protocol import commands as cmd
from phone.protocol.codec import to_json
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase
from phone.protocol.settings import SettingValue
from phone.state import calls_json, status_json
from sipcore.auth.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from phone.phone import Phone
    from phone.protocol.codec import Json
    from phone.settings import LiveSettings
    from phone.sound_test import SoundTest

MAX_HISTORY = 500

_Question = cmd.Status | cmd.Calls | cmd.Stats | cmd.History | cmd.Meters | cmd.Devices
_CallVerb = cmd.Answer | cmd.Hangup | cmd.Hold | cmd.Resume | cmd.Mute | cmd.Unmute | cmd.Dtmf | cmd.Transfer
_SoundVerb = cmd.SetDevices | cmd.Volume | cmd.Record | cmd.TestSound


class Verbs:
    """Carries out commands; results have a JSON form, refusals are CommandRefused."""

    def __init__(
        self,
        phone: Phone,
        *,
        username: str,
        stored_password: Callable[[], Awaitable[str | None]],
        remember_password: Callable[[str], None],
        set_verbose: Callable[[bool], None],
        settings: LiveSettings,
        sound_test: SoundTest,
        log_file: Path,
        shutdown: Callable[[], None],
        restart: Callable[[], Awaitable[None]],
        about: Json,
    ) -> None:
        """``stored_password`` looks again where passwords are kept; ``remember_password`` keeps one out of the log."""
        self._phone = phone
        self._username = username
        self._stored_password = stored_password
        self._remember_password = remember_password
        self._set_verbose = set_verbose
        self._settings = settings
        self._sound_test = sound_test
        self._log_file = log_file
        self._shutdown = shutdown
        self._restart = restart
        self._about = about

    async def execute(self, command: cmd.Command) -> Any:
        """Carry out one command."""
        phone = self._phone
        if isinstance(command, _Question):
            return await self._ask(command)
        hushed = phone.hush()
        if isinstance(command, _CallVerb):
            if hushed and isinstance(command, cmd.Hangup) and not phone.state.calls:
                return None  # what they wanted to end is the tone
            return await self._call(command)
        if isinstance(command, _SoundVerb):
            return await self._sound(command)
        match command:
            case cmd.Dial(target):
                return {"call": await phone.calls.dial(target)}
            case cmd.Register():
                await self._register()
            case cmd.Unregister():
                await phone.unregister()
            case cmd.SetPassword(password):
                self._remember_password(password)
                await phone.register(Credentials(self._username, password))
            case cmd.SetVerbose(on):
                self._set_verbose(on)
            case cmd.Settings():
                return to_json(await self._settings.describe())
            case cmd.ChangeSettings(values, password, keep_password):
                if password:
                    self._remember_password(password)
                changed = await self._settings.change(values, password=password, keep_password=keep_password)
                return to_json(changed)
            case cmd.TailLog(lines):
                return {"file": str(self._log_file), "lines": await asyncio.to_thread(tail, self._log_file, lines)}
            case cmd.Shutdown():
                self._shutdown()
            case cmd.Restart():
                await self._restart()
            case cmd.Attach() | cmd.Events():
                raise CommandRefused("socket", Phrase("This is for the control socket alone."))
            case _:
                assert_never(command)
        return None

    async def _register(self) -> None:
        """A refused password is looked up again first: it may have been corrected where it is kept."""
        credentials: Credentials | None = None
        if self._phone.state.registration.credentials_refused and (password := await self._stored_password()):
            self._remember_password(password)
            credentials = Credentials(self._username, password)
        await self._phone.register(credentials)

    async def _sound(self, command: _SoundVerb) -> Json | None:
        phone = self._phone
        match command:
            case cmd.SetDevices(microphone, speaker, ringer):
                await phone.set_devices(microphone=microphone, speaker=speaker, ringer=ringer)
                return None
            case cmd.Volume():
                return self._volume(command)
            case cmd.Record("start", call):
                return {"file": await phone.recorder.start(call)}
            case cmd.Record(_, call):
                return {"file": phone.recorder.stop(call)}
            case cmd.TestSound(action):
                return await self._test_sound(action)
            case _:
                assert_never(command)

    def _volume(self, command: cmd.Volume) -> Json:
        """Heard at once, and written to the settings a moment later."""
        name = "ring_volume" if command.ring else "volume"
        before = getattr(self._phone.audio.settings, name)
        wanted = (before if command.level is None else command.level) + (command.change or 0)
        level = min(max(wanted, 0), MAX_VOLUME)
        if level != before:
            settings = self._phone.audio.settings
            self._phone.set_levels(
                dataclasses.replace(settings, ring_volume=level)
                if command.ring
                else dataclasses.replace(settings, volume=level)
            )
            self._settings.keep_soon(SettingValue(key=f"audio.{name}", text=str(level)))
        settings = self._phone.audio.settings
        return {"volume": settings.volume, "ring_volume": settings.ring_volume}

    async def _test_sound(self, action: str) -> Json:
        match action:
            case "start":
                if self._phone.state.calls:
                    raise CommandRefused("busy", Phrase("A call is up; test the sound after it."))
                await self._sound_test.start()
            case "stop":
                await self._sound_test.stop()
            case _:
                pass
        return self._sound_test.report()

    async def _call(self, command: _CallVerb) -> None:
        calls = self._phone.calls
        match command:
            case cmd.Answer(call):
                await calls.answer(call)
            case cmd.Hangup(call):
                await calls.hang_up(call)
            case cmd.Hold(call):
                await calls.hold(call)
            case cmd.Resume(call):
                await calls.resume(call)
            case cmd.Mute(call):
                await calls.mute(call, muted=True)
            case cmd.Unmute(call):
                await calls.mute(call, muted=False)
            case cmd.Dtmf(digits, call):
                await calls.dtmf(digits, call)
            case cmd.Transfer(target, call):
                await calls.transfer(target, call)
            case _:
                assert_never(command)

    async def _ask(self, question: _Question) -> Any:
        phone, now = self._phone, time.time()
        match question:
            case cmd.Status():
                return status_json(phone.state, now) | self._about
            case cmd.Calls():
                return calls_json(phone.state, now)
            case cmd.Stats():
                health = await phone.health()
                if health is None:
                    raise CommandRefused("store", Phrase("The health figures cannot be read; the log says why."))
                figures = {call.id: phone.audio.statistics(call.id) for call in phone.state.calls}
                return {
                    "health": to_json(health),
                    "calls": {name: to_json(found) for name, found in figures.items() if found is not None},
                }
            case cmd.History(limit):
                return to_json(await phone.history(min(max(limit, 1), MAX_HISTORY)))
            case cmd.Meters(call):
                _, slice_ = phone.calls.lines.choose(phone.state, "meters", call)
                statistics = phone.audio.statistics(slice_.id)
                return {
                    "call": slice_.id,
                    "levels": to_json(phone.audio.levels()),
                    "media": None if statistics is None else to_json(statistics),
                }
            case cmd.Devices():
                return dataclasses.asdict(await phone.audio.devices())
            case _:
                assert_never(question)
