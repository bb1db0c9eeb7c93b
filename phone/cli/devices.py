"""``offhook devices``: what can be spoken into and listened to, asked in a process that may hang or crash."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from audio.io.probe import probe_devices
from phone.cli import say

if TYPE_CHECKING:
    import argparse


def devices(arguments: argparse.Namespace) -> int:
    """Print the devices; status 1 when there is none."""
    found = asyncio.run(probe_devices())
    if arguments.json:
        say.data_json(dataclasses.asdict(found))
    else:
        for device in found.devices:
            marks = [word for word, on in (("default", device.default), ("monitor", device.monitor)) if on]
            say.data(say.printable(f"{device.role:7} {device.name}" + (f"  ({', '.join(marks)})" if marks else "")))
    if found.problem is not None:
        say.narrate(found.problem)
    return 0 if found.devices else 1
