"""Where output goes: data to stdout, narration to stderr, each whole and at once."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


class OutputError(Exception):
    """Data that cannot be written, as to a full disk; the message is one plain sentence."""


def data(text: str) -> None:
    """Print a line of data; raises OutputError, or BrokenPipeError when the reader has gone."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"The output cannot be written: {error.strerror}.") from None


def data_json(value: Any) -> None:
    """Print a value as JSON: indented for people on a terminal, one line for programs."""
    data(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def narrate(sentence: str) -> None:
    """Tell the person something; a stderr that is gone is no reason to fail."""
    try:
        sys.stderr.write(printable(sentence) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def printable(text: str) -> str:
    """``text`` without what could steer a terminal, however it got there."""
    return "".join(character if character.isprintable() else "?" for character in text)


def columns() -> int:
    """The width of the terminal."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 80
