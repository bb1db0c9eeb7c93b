"""List sound devices in a process of its own, which may hang or crash without harm: ``python -m audio.io.probe
--json``.

engine or `offhook devices` ── probe_devices() ──▶ this module as a process ──▶ PortAudio, pactl
                                              ◀── one JSON object, or killed at the deadline ──
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from audio.io.settings import Role
from sipcore.errors import Phrase

DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """One device to choose from."""

    name: str
    """What to write in the configuration."""

    role: str
    """``input`` or ``output``."""

    default: bool
    system: str
    """``portaudio`` or ``pulse``: whose name it is."""

    monitor: bool = False
    """Repeats what a speaker plays; no microphone."""


@dataclass(frozen=True, slots=True)
class DeviceList:
    """What is plugged in; ``problem`` is a sentence when that could not be found out, or when there is nothing."""

    devices: tuple[DeviceDescription, ...] = ()
    problem: str | None = None


async def probe_devices(deadline_s: float = DEADLINE_S) -> DeviceList:
    """Ask in a throw-away process. Never raises for what the sound system does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "audio.io.probe",
        "--json",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_search_path())},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), deadline_s)
    except TimeoutError:
        return DeviceList(
            problem=Phrase(
                "The sound system did not answer within {seconds:.0f} s; check PulseAudio or PipeWire.",
                seconds=deadline_s,
            )
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _read(output)


def _search_path() -> list[str]:
    """Where this very package was found comes first."""
    return [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]


def _read(output: bytes) -> DeviceList:
    try:
        answer = json.loads(output)
        return DeviceList(tuple(DeviceDescription(**device) for device in answer["devices"]), answer["problem"])
    except (ValueError, TypeError, KeyError):
        return DeviceList(
            problem=Phrase(
                "The sound system made the process that lists devices end; check ALSA's configuration, PulseAudio"
                " or PipeWire."
            )
        )


def list_devices() -> DeviceList:
    """What PortAudio and the sound server know, in this process; blocks, perhaps for ever."""
    from audio.io.backend import DeviceFailure
    from audio.io.device import PortAudioBackend
    from audio.io.pulse import list_pulse

    backend = PortAudioBackend(expendable=True)
    devices: list[DeviceDescription] = []
    problem: str | None = None
    try:
        backend.load()
        for role in (Role.MICROPHONE, Role.SPEAKER):
            devices += [
                DeviceDescription(name, role.value, default, "portaudio") for name, default in backend.names(role)
            ]
    except DeviceFailure as failure:
        problem = failure.sentence
    if any(device.name == "pulse" for device in devices):
        for role in (Role.MICROPHONE, Role.SPEAKER):
            devices += [
                DeviceDescription(device.name, role.value, False, "pulse", device.monitor)
                for device in list_pulse(captures=role.captures)
            ]
    if not devices and problem is None:
        problem = Phrase("No sound device was found; plug one in or start PulseAudio or PipeWire.")
    return DeviceList(tuple(devices), problem)


def main() -> int:
    """Print the list; status 1 when there is nothing to list."""
    parser = argparse.ArgumentParser(prog="python -m audio.io.probe", description="List sound devices.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of lines")
    arguments = parser.parse_args()
    found = list_devices()
    if arguments.json:
        text = json.dumps(asdict(found))
    else:
        text = "\n".join(f"{device.role:7} {'*' if device.default else ' '} {device.name}" for device in found.devices)
    sys.stdout.write(text + "\n")
    if found.problem is not None and not arguments.json:
        sys.stderr.write(found.problem + "\n")
    sys.stdout.flush()
    # PortAudio's threads and exit handlers have nothing left to do, and may hang.
    os._exit(0 if found.devices else 1)


if __name__ == "__main__":
    main()
