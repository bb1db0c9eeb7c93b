"""Keep one device role served: open it while it is wanted, notice when it stops, and try again.

    idle ──wanted──▶ opening ──▶ open ──finished, or no callback for 0.5 s──▶ lost
                      ▲   └──────failed──────▶ waiting ◀───── closing ─────────┘
                      └──── after 0.25, 0.5, 0.5 … s ┘

All that blocks is done by a :class:`~audio.io.backend.BackendThread`; here is only the loop. Calls notice nothing of
it but silence: the media thread reads and writes whatever end is attached, or none.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from audio.io.backend import BackendThread, DeviceFailure, FailureKind, OpenStream
from audio.io.events import AudioDeviceLost, AudioDeviceRestored, AudioEvent, AudioProblem
from audio.io.probe import probe_devices

if TYPE_CHECKING:
    from collections.abc import Callable

from audio.io.settings import Role
from sipcore.errors import Phrase

_log = logging.getLogger(__name__)

OPEN_DEADLINE_S = 10.0
FROZEN_AFTER_S = 0.5
PAUSED_AFTER_S = 3.0
"""A device whose server lives may pause; for longer than this it does not come back by itself."""

_LOOK_EVERY_S = 0.2
_FIRST_RETRY_S = 0.25
_RETRY_S = 0.5
_PATIENT_AFTER = 40
_PATIENT_RETRY_S = 3.0
_LOOK_ANEW_EVERY_S = 5.0
_HANGS = Phrase(
    "The sound system does not answer; check PulseAudio or PipeWire (over SSH: PULSE_SERVER)."
    " Calls go on without sound."
)


class DeviceSupervisor:
    """One role's device. ``attach`` is given each stream as it opens and ``None`` as it goes; both it and ``report``
    are called on the loop.
    """

    def __init__(
        self,
        role: Role,
        name: str | None,
        thread: BackendThread,
        *,
        attach: Callable[[OpenStream | None], None],
        report: Callable[[AudioEvent], None],
    ) -> None:
        self.role = role
        self._wanted_name = name
        self._thread = thread
        self._attach = attach
        self._report = report
        self._task: asyncio.Task[None] | None = None
        self._stream: OpenStream | None = None
        self._told: str | None = None
        self._looked_at = 0.0

    @property
    def name(self) -> str | None:
        """The open device's name, or ``None`` while there is none."""
        return self._stream.name if self._stream is not None else None

    @property
    def wanted(self) -> bool:
        """Whether the device is to be open."""
        return self._task is not None

    def want(self) -> None:
        """Open the device, and keep at it. Returns at once; idempotent."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._serve(), name=f"device-{self.role.value}")

    def raise_rate(self, rate: int) -> None:
        """Open the device anew where sound of ``rate`` would be less than it is through what is open."""
        if self._stream is not None:
            self._stream.raise_rate(rate)

    async def check(self) -> None:
        """Load the library and look for the device without opening it; what is wrong is reported."""

        def action() -> None:
            self._thread.backend.load()
            self._thread.backend.check(self.role, self._wanted_name)

        try:
            await self._thread.run(action, OPEN_DEADLINE_S)
        except TimeoutError:
            self._tell(DeviceFailure(FailureKind.HANGS, _HANGS))
        except DeviceFailure as failure:
            self._tell(failure)

    def release(self) -> None:
        """Give the device back. Returns at once; idempotent."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._drop()

    async def _serve(self) -> None:
        again = False
        failures = 0
        while True:
            try:
                stream = await self._open(again)
            except DeviceFailure as failure:
                again = True
                failures += 1
                self._tell(failure)
                await asyncio.sleep(_wait_s(failure.kind, failures))
                if failure.kind is not FailureKind.HANGS:
                    await self._look_anew()
                continue
            failures = 0
            try:
                self._opened(stream)
                reason = await self._watch(stream)
            finally:
                self._drop()
            again = reason is not None
            if reason is None:
                continue
            _log.warning("! %s %s: %s", self.role.value, stream.name, reason)
            self._told = reason
            self._report(AudioDeviceLost(self.role, stream.name, reason))

    async def _open(self, again: bool) -> OpenStream:
        def action() -> OpenStream:
            backend = self._thread.backend
            backend.load()
            if again:
                backend.refresh()
            return backend.open(self.role, self._wanted_name)

        try:
            return await self._thread.run(action, OPEN_DEADLINE_S, unwanted=lambda stream: stream.close())
        except TimeoutError:
            raise DeviceFailure(FailureKind.HANGS, _HANGS) from None

    def _opened(self, stream: OpenStream) -> None:
        _log.info("= %s is %s at %d Hz", self.role.value, stream.name, stream.rate)
        self._stream = stream
        self._attach(stream)
        if self._told is not None:
            self._told = None
            self._report(
                AudioDeviceRestored(self.role, stream.name, Phrase("Sound is back on {name}.", name=stream.name))
            )

    def _drop(self) -> None:
        """Detach at once, and close on the thread that may be lost to it."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            self._attach(None)
            self._thread.submit(stream.close)

    async def _look_anew(self) -> None:
        """PortAudio knows the devices of its start. Where another role's stream forbids to start it anew, ask a process
        of its own whether that would help, and only then interrupt the stream.
        """
        if not self._thread.backend.pinned or time.monotonic() - self._looked_at < _LOOK_ANEW_EVERY_S:
            return
        self._looked_at = time.monotonic()
        found = await probe_devices()
        direction = Role.MICROPHONE if self.role.captures else Role.SPEAKER
        wanted = (self._wanted_name or "").lower()
        if any(device.role == direction.value and wanted in device.name.lower() for device in found.devices):
            _log.info("= %s: PortAudio starts anew for a device it does not know", self.role.value)
            self._thread.submit(self._thread.backend.restart)

    async def _watch(self, stream: OpenStream) -> str | None:
        """Return, with a sentence, when the stream has stopped; without one when it was interrupted on purpose."""
        answered_at_s = 0.0
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if stream.interrupted:
                return None
            if stream.finished:
                return Phrase(
                    "The sound device {name} is gone; plug it in again or choose another. The call goes on.",
                    name=stream.name,
                )
            age_s = stream.age(time.monotonic())
            if age_s < FROZEN_AFTER_S:
                answered_at_s = 0.0
            elif age_s >= PAUSED_AFTER_S or age_s - answered_at_s >= FROZEN_AFTER_S:
                if age_s >= PAUSED_AFTER_S or not await stream.answers():
                    return Phrase(
                        "The sound device {name} has stopped answering; it is tried again. The call goes on.",
                        name=stream.name,
                    )
                answered_at_s = age_s

    def _tell(self, failure: DeviceFailure) -> None:
        """Each new reason once, however often it is met."""
        if failure.sentence != self._told:
            _log.warning("! %s: %s", self.role.value, failure.sentence)
            # After a loss the retries' reasons are details; the user knows already.
            if self._told is None or failure.kind is FailureKind.NOT_FOUND:
                self._report(AudioProblem(failure.sentence, self.role))
            self._told = failure.sentence


def _wait_s(kind: FailureKind, failures: int) -> float:
    """Sound is to be back within two seconds of its device; what has been gone for long is looked for less often."""
    if kind is FailureKind.NO_LIBRARY or failures > _PATIENT_AFTER:
        return _PATIENT_RETRY_S
    return _FIRST_RETRY_S if failures == 1 else _RETRY_S
