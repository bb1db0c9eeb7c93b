"""Modules that run when something of them is first used, not when they are imported.

    wait_with("phone.protocol.events")     import phone.protocol.events  ─▶ an empty module
    ev.Registered, or load_waiting()       ─▶ now it is read, checked and run

What only matters once something happens, a key or a call, need not keep the first screen waiting.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_waiting: list[ModuleType] = []


def wait_with(*names: str) -> None:
    """Have these modules wait, where they are not loaded yet. Their packages are imported."""
    for name in names:
        spec = None if name in sys.modules else importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            continue
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        package, _, attribute = name.rpartition(".")
        setattr(sys.modules[package], attribute, module)  # or `from package import it` would look, and so load it
        _waiting.append(module)


def still_waiting() -> Iterable[str]:
    """Names of the modules that nothing was asked of yet."""
    return [name for name, module in sys.modules.items() if type(module) is not ModuleType and module in _waiting]


def load_waiting() -> None:
    """Run those that still wait, before a key or a call has to."""
    while _waiting:
        getattr(_waiting.pop(0), "__doc__", None)  # any look at a waiting module loads it
