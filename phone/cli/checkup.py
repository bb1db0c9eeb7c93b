"""``offhook doctor``: prints the checks, one line each."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from phone.cli import say
from phone.cli.settings import options_of
from phone.doctor import Check, examine

if TYPE_CHECKING:
    import argparse


def checkup(arguments: argparse.Namespace) -> int:
    """Run every check; status 1 when one failed."""
    return asyncio.run(_checkup(arguments))


async def _checkup(arguments: argparse.Namespace) -> int:
    checks: list[Check] = []
    async for check in examine(options_of(arguments), echo=arguments.echo):
        checks.append(check)
        if not arguments.json:
            say.data(say.printable(f"{check.result:8} {check.name:13} {check.detail}"))
    if arguments.json:
        say.data_json([dataclasses.asdict(check) for check in checks])
    return 1 if any(check.result == "failed" for check in checks) else 0
