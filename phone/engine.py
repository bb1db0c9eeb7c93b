"""One engine: the phone with its control socket, locks, log and signals, from start to end.

    locks ─▶ log ─▶ store ─▶ Phone ─▶ ControlServer ─▶ ready ── SIGTERM, SIGINT, shutdown ──▶ BYE, un-REGISTER ─▶ end
                               ▲ changed settings: ended and built again, once no call is up

Temporary trouble (no connection, no device, a wrong password) is told and lived with; only what can never work ends
the engine with an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from audio.codec import registry
from phone import paths, secrets
from phone.eventlog import log_event
from phone.handover import Successor
from phone.journal import Journal
from phone.locks import AlreadyRunning, lock_account
from phone.memory import Memory
from phone.narration import Narrator
from phone.phone import Phone
from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase
from phone.server import ControlServer
from phone.settings import LiveSettings, Settings
from phone.sound_test import SoundTest
from phone.state import PhoneState
from phone.store.database import Database
from phone.verbs import Verbs
from phone.version import version
from sipcore.auth.credentials import Credentials
from sipcore.config import StackConfig
from sipcore.ids import IdSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from phone.ahead import Ahead
    from phone.config import Configuration
    from phone.handover import Inheritance
    from phone.locks import EngineLock
    from phone.logging import Log
    from phone.protocol.commands import Command

_log = logging.getLogger(__name__)

END_TIMEOUT_S = 3.0
_ANSWER_FIRST_S = 0.02
_SAME_SIGNAL_S = 0.5
_GRACE_S = 0.3
"""Of it, for what comes after the phone: the socket, the log."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told of what happens beside the clients."""

    say: Callable[[str], None]
    """Takes a sentence for the person who started the engine; may be called on any thread."""

    on_event: Callable[[ev.Event], None] = lambda _: None
    on_ready: Callable[[], None] = lambda: None
    on_ending: Callable[[], None] = lambda: None
    on_handed_over: Callable[[], None] = lambda: None
    """A successor goes on; this process is to end soon."""


class Engine:
    """Built once, run once."""

    def __init__(
        self,
        configuration: Configuration,
        password: str,
        log: Log,
        listeners: Listeners,
        *,
        locks: tuple[EngineLock, EngineLock],
        environ: Mapping[str, str] = os.environ,
        inheritance: Inheritance | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        """``locks`` are those of profile and account. ``inheritance`` is from an engine that hands over to this one,
        ``ahead`` was begun with what one left that died.

        Raises ConfigError without an account, OSError, and TransportError for an unusable tls_ca.
        """
        self._configuration = configuration
        self._environ = environ
        self._log = log
        self._listeners = listeners
        self._account = configuration.require_account()
        self._ids = IdSource(random.SystemRandom())
        directory = paths.make_private(paths.state_directory(environ))
        self._inheritance = inheritance
        self._ahead = ahead
        self._locks = locks
        self._instance = _instance_id(directory, configuration.profile)
        self._id = self._ids.token(60)
        self._password = password
        self._directory = directory
        self._ending = asyncio.Event()
        self._server: ControlServer | None = None
        self._narrator = Narrator(self._account, configuration.resilience, listeners.say)
        self._settings = LiveSettings(Settings(configuration.options, environ), self, configuration)
        self._phone: Phone | None = None
        self._verbs: Verbs | None = None
        self._wanted: Configuration | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._registering: asyncio.Task[None] | None = None
        self._signalled_at = -_SAME_SIGNAL_S
        self._restarting = False
        self.successor: Successor | None = None
        """Who goes on, once :meth:`run` has returned."""

    async def run(self) -> None:
        """Run until told to end. Raises SocketInUse or PathError when the control socket cannot be made."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may die, the call may not
        phone = self._phone = self._make_phone()
        self._verbs = self._make_verbs(phone)
        server = self._server = self._make_server()
        await phone.begin()
        await self._take_over()
        await phone.resume()
        await server.start()
        try:
            await phone.start()
            self._listeners.on_ready()
            _log.info("= engine %s of profile %s is ready, pid %d", self._id, self._configuration.profile, os.getpid())
            await self._ending.wait()
        finally:
            if self.successor is not None and self._phone is not None:
                await self._hand_over(server, self._phone, self.successor)
            else:
                await self._end(server)

    async def _take_over(self) -> None:
        """Wait for the engine before this one to let go, where there is one."""
        if self._inheritance is None:
            return
        if not await asyncio.to_thread(self._inheritance.wait):
            os._exit(1)  # it goes on, and nothing was begun here
        for lock in self._locks:
            lock.mark()

    # --- changed settings ----------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a call is up, which an account must not be changed under."""
        return self._phone is not None and bool(self._phone.state.calls)

    async def use_devices(self, configuration: Configuration) -> None:
        """Move the sound, in the midst of calls too."""
        self._want_sound(configuration)
        if self._phone is not None:
            audio = configuration.audio
            await self._phone.set_devices(microphone=audio.input, speaker=audio.output, ringer=audio.ring)

    async def use_tones(self, configuration: Configuration) -> None:
        """Change tones and bells, in the midst of calls too."""
        self._want_sound(configuration)
        if self._phone is not None:
            await self._phone.set_tones(configuration.audio)

    def use_levels(self, configuration: Configuration) -> None:
        """Take over volumes, microphone gain and recordings."""
        if self._phone is not None:
            self._phone.set_levels(configuration.audio)

    def _want_sound(self, configuration: Configuration) -> None:
        """Settings that wait for the end of the calls were saved before these were."""
        if self._wanted is not None:
            self._wanted = replace(self._wanted, audio=configuration.audio)

    def use_verbose(self, on: bool) -> None:
        """Switch the verbose log."""
        self._log.set_verbose(on)

    async def use_password(self, password: str) -> None:
        """Register with another password; how that went is in the state."""
        self._password = password
        if self._phone is not None:
            credentials = Credentials(self._account.auth_username, password)
            self._registering = asyncio.create_task(_register(self._phone, credentials), name="new password")

    async def use_configuration(self, configuration: Configuration) -> None:
        """Take over account, resilience and the rest: at once, or as soon as no call is up.

        Raises CommandRefused where another engine has the new account.
        """
        account = configuration.require_account()
        if account.address_of_record != self._account.address_of_record:
            profile, former = self._locks
            try:
                taken = lock_account(self._directory, account.address_of_record.removeprefix("sip:"))
            except AlreadyRunning as error:
                raise CommandRefused("already_running", str(error)) from None
            self._locks = profile, taken
            former.release()
        self._account, self._wanted = account, configuration
        self._renew_when_idle()

    def _renew_when_idle(self) -> None:
        if self._wanted is not None and not self.busy and self._renewing is None and not self._ending.is_set():
            self._renewing = asyncio.create_task(self._renew(), name="new settings")

    async def _renew(self) -> None:
        """End the phone and build one from the new settings. Clients stay attached and see another state."""
        former, wanted = self._phone, self._wanted
        assert former is not None and wanted is not None  # noqa: S101, PT018 - see _renew_when_idle
        try:
            await asyncio.wait_for(former.close(), END_TIMEOUT_S)
        except TimeoutError:
            _log.warning("! the former account took longer than %g s to end", END_TIMEOUT_S)
        self._configuration, self._wanted = wanted, None
        self._narrator = Narrator(self._account, wanted.resilience, self._listeners.say)
        phone = self._phone = self._make_phone()
        self._verbs = self._make_verbs(phone)
        phone.set_levels(former.audio.settings)  # they may have been changed since the settings were
        self._renewing = None
        await phone.resume()
        await phone.start()
        if self._server is not None:
            self._server.state_changed()
        self._renew_when_idle()

    def _make_phone(self) -> Phone:
        configuration = self._configuration
        account = replace(self._account, instance_id=self._instance, user_agent=f"Offhook/{version()}")
        database = Database(self._directory / "offhook.db", on_problem=self._listeners.say)
        name = account.address_of_record.removeprefix("sip:")
        ahead, self._ahead = self._ahead, None
        return Phone(
            StackConfig(account=account, resilience=configuration.resilience, codecs=registry.offered()),
            Credentials(account.auth_username, self._password),
            audio=configuration.audio,
            ids=self._ids,
            memory=Memory(database, name),
            journal=Journal(paths.journal_file(self._environ), name, ahead=ahead),
            sound=None if ahead is None else ahead.sound,
            on_event=self._on_event,
            tls_ca=configuration.tls_ca,
        )

    def _make_verbs(self, phone: Phone) -> Verbs:
        return Verbs(
            phone,
            username=self._account.auth_username,
            stored_password=self._stored_password,
            remember_password=self._remember_password,
            set_verbose=self._log.set_verbose,
            settings=self._settings,
            sound_test=SoundTest(phone.audio),
            log_file=self._configuration.log_file,
            shutdown=self._ending.set,
            restart=self.restart,
            about={"engine": self._id, "version": version(), "pid": os.getpid()},
        )

    def _make_server(self) -> ControlServer:
        return ControlServer(
            self._configuration.socket,
            engine=self._id,
            version=version(),
            state=self._state,
            execute=self._execute,
        )

    def _state(self) -> PhoneState:
        return PhoneState() if self._phone is None else self._phone.state

    async def _execute(self, command: Command) -> Any:
        if self._verbs is None:
            raise CommandRefused("starting", Phrase("The engine is only starting; try again."))
        return await self._verbs.execute(command)

    def _on_event(self, event: ev.Event) -> None:
        if isinstance(event, ev.EngineStopping) and not self._ending.is_set():
            return  # only this phone ends, see _renew
        if isinstance(event, ev.CallEnded):
            asyncio.get_running_loop().call_soon(self._renew_when_idle)
        log_event(event)
        self._narrator.note(event)
        self._listeners.on_event(event)
        if self._server is not None:
            self._server.publish(event)
            self._server.state_changed()

    async def _stored_password(self) -> str | None:
        """The password as it is kept now; nobody can be asked for one here."""
        try:
            command = self._configuration.password_command
            found = await asyncio.to_thread(secrets.find, self._account, command=command, environ=self._environ)
        except secrets.SecretError as error:
            self._listeners.say(str(error))
            return None
        return None if found is None else found.password

    def _remember_password(self, password: str) -> None:
        self._password = password
        self._log.redaction.add(password)

    async def restart(self) -> None:
        """Start a successor and hand over to it; returns just before. Raises CommandRefused."""
        if self._restarting or self.successor is not None or self._ending.is_set() or self._phone is None:
            raise CommandRefused("ending", Phrase("The engine is ending already."))
        if any(call.state != "active" for call in self._phone.state.calls):
            raise CommandRefused("busy", Phrase("A call is not answered yet; restart the engine after that."))
        if not self._phone.can_hand_over:
            raise CommandRefused(
                "busy", Phrase("The journal cannot be written, so that the call would end; hang up first.")
            )
        self._restarting = True
        try:
            self.successor = await Successor.prepare(self._password, self._account.address_of_record, self._locks)
        finally:
            self._restarting = False
        # The answer to this command leaves first.
        asyncio.get_running_loop().call_later(_ANSWER_FIRST_S, self._ending.set)

    def _on_signal(self) -> None:
        now = asyncio.get_running_loop().time()
        same, self._signalled_at = now - self._signalled_at < _SAME_SIGNAL_S, now
        if same:
            return  # a terminal and a keeper both pass it on
        if self._ending.is_set():
            os._exit(1)  # the second one means now
        self._listeners.say("Ending: calls are hung up and the registration is taken back.")
        self._ending.set()

    async def _hand_over(self, server: ControlServer, phone: Phone, successor: Successor) -> None:
        """Leave everything to the successor. Until it has begun, every moment is one without sound."""
        for task in (self._renewing, self._registering):
            if task is not None:
                task.cancel()
        await server.close()
        await self._settings.keep()
        await phone.hand_over()
        successor.go()
        _log.info("= engine %s handed over to pid %d", self._id, successor.pid)
        self._listeners.on_handed_over()
        self._listeners.on_ending()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(phone.abandon(), END_TIMEOUT_S - _GRACE_S)
        for lock in self._locks:
            lock.release()

    async def _end(self, server: ControlServer) -> None:
        self._ending.set()
        self._listeners.on_ending()
        for task in (self._renewing, self._registering):
            if task is not None:
                task.cancel()
        await self._settings.keep()
        try:
            if self._phone is not None:
                await asyncio.wait_for(self._phone.close(), END_TIMEOUT_S - _GRACE_S)
        except TimeoutError:
            _log.warning("! the end took longer than %g s and was cut short", END_TIMEOUT_S)
        await server.close()
        for lock in self._locks:
            lock.release()
        _log.info("= engine %s ended", self._id)


async def _register(phone: Phone, credentials: Credentials) -> None:
    with contextlib.suppress(CommandRefused):
        await phone.register(credentials)


def _instance_id(directory: Path, profile: str) -> str:
    """``+sip.instance`` (RFC 5626 §4.1): made once, then the same at every start. Called with the profile locked."""
    file = directory / f"instance-{profile}"
    try:
        kept = uuid.UUID(file.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        kept = uuid.uuid4()
        try:
            file.write_text(f"{kept}\n", encoding="ascii")
        except OSError as error:
            _log.warning("! %s cannot be written: %s", file, error)
    return kept.urn
