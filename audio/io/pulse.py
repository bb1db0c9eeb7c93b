"""The sinks and sources behind PortAudio's one ``pulse`` device, as ``pactl`` lists them (PulseAudio and PipeWire).

libpulse reads ``PULSE_SINK`` and ``PULSE_SOURCE`` when a connection is made: that is how one of them is chosen by name.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEADLINE_S = 3.0
_ALIVE_WITHIN_S = 0.35


@dataclass(frozen=True, slots=True)
class PulseDevice:
    """One sink (playout) or source (capture)."""

    name: str
    description: str
    captures: bool
    monitor: bool = False
    """A source that repeats what a sink plays: no microphone, but it may be asked for by its full name."""


def list_pulse(*, captures: bool) -> list[PulseDevice]:
    """All sources or all sinks; empty where ``pactl`` or a server is missing or slow. Blocks up to 3 s."""
    pactl = shutil.which("pactl")
    if pactl is None:
        return []
    kind = "sources" if captures else "sinks"
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed argument list, found on PATH
            [pactl, "--format=json", "list", kind],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        entries = json.loads(answer.stdout or b"[]")
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return []
    return [_device(entry, captures) for entry in entries if isinstance(entry, dict) and entry.get("name")]


def _device(entry: dict[str, object], captures: bool) -> PulseDevice:
    name = str(entry["name"])
    properties = entry.get("properties")
    monitor = captures and isinstance(properties, dict) and properties.get("device.class") == "monitor"
    return PulseDevice(name, str(entry.get("description") or name), captures, monitor)


def find_pulse(name: str, *, captures: bool) -> PulseDevice | None:
    """The one whose name or description is ``name``, or contains it; monitors only by their full name."""
    devices = list_pulse(captures=captures)
    wanted = name.lower()
    for device in devices:
        if wanted in (device.name.lower(), device.description.lower()):
            return device
    for device in devices:
        if not device.monitor and (wanted in device.name.lower() or wanted in device.description.lower()):
            return device
    return None


async def pulse_answers() -> bool:
    """Whether the sound server takes part in life: a frozen one accepts a connection and says no more."""
    pactl = shutil.which("pactl")
    if pactl is None:
        return False
    process = await asyncio.create_subprocess_exec(
        *(pactl, "info"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await asyncio.wait_for(process.wait(), _ALIVE_WITHIN_S) == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextmanager
def chosen_pulse(device: PulseDevice | None) -> Iterator[None]:
    """Connections made inside go to ``device``. Process-wide: for the one thread that opens devices."""
    if device is None:
        yield
        return
    variable = "PULSE_SOURCE" if device.captures else "PULSE_SINK"
    before = os.environ.get(variable)
    os.environ[variable] = device.name
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before
