"""The version of this installation."""

from __future__ import annotations

import sys
from pathlib import Path

_INSTALLED = "offhook-*.dist-info"


def version() -> str:
    """The installed version; that of an uninstalled source tree is unknown.

    By the name of the directory that every installer writes: importlib.metadata reads the same out of a file in there,
    and brings the parsers of mail and of archives along, two megabytes of an engine that has no other use for them.
    """
    before, after = _INSTALLED.split("*")
    for directory in sys.path:
        for found in Path(directory).glob(_INSTALLED):
            return found.name.removeprefix(before).removesuffix(after)
    return "0+source"
