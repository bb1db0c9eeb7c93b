"""Starts an engine for a console: detached, and reported back over a pipe.

    console ── fork, new session ──▶ engine (stdin null, output to the log)
            ◀── "ready", or one sentence ── pipe ──

Of two consoles that start one at the same time, the loser's engine finds the lock taken and the loser attaches.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from phone import paths
from phone.client import NoEngine, connect_socket
from phone.protocol.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

READY_TIMEOUT_S = 10.0
_READY, _RUNNING = "ready", "running"
_MAX_SENTENCE_BYTES = 4096
_RETRY_S = 0.05


def spawn_engine(socket: Path, log: Path, arguments: Sequence[str], *, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Start an engine and return once it, or the one that was faster, listens at ``socket``.

    ``arguments`` are command-line options for it. Raises NoEngine with one sentence. Blocks; call it off the loop.
    """
    begin_engine(socket, log, arguments, timeout_s=timeout_s)()


def begin_engine(
    socket: Path, log: Path, arguments: Sequence[str], *, timeout_s: float = READY_TIMEOUT_S
) -> Callable[[], None]:
    """As :func:`spawn_engine`, but return at once; the caller does something else and then calls what is returned.

    Both raise NoEngine.
    """
    deadline = time.monotonic() + timeout_s
    reader, writer = os.pipe()
    try:
        paths.make_private(log.parent)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and options
                [*_program(), "run", "--headless", "--ready-fd", str(writer), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(writer,),
            )
    except (OSError, paths.PathError) as error:
        os.close(reader)
        raise NoEngine(Phrase("The engine cannot be started: {why}", why=str(error))) from None
    finally:
        os.close(writer)

    def wait() -> None:
        try:
            word = _read_line(reader, deadline)
        finally:
            os.close(reader)
        if word.startswith(_RUNNING):
            process.wait()
            _wait_for(socket, deadline, word.removeprefix(_RUNNING).strip())
        elif word != _READY:
            raise NoEngine(word or _silence(process, log))

    return wait


def _program() -> list[str]:
    """This very installation, found without the working directory: a folder called phone may lie there."""
    root = str(Path(__file__).resolve().parents[1])
    start = f"import sys; sys.path.append({root!r}); from phone.cli import main; sys.exit(main())"
    return [sys.executable, "-P", "-c", start]


def _read_line(reader: int, deadline: float) -> str:
    """What the engine says of its start; empty when it died or the time was up."""
    said = b""
    while b"\n" not in said and len(said) < _MAX_SENTENCE_BYTES:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(reader, 1024) if ready else b""
        if not chunk:
            return ""
        said += chunk
    return said.partition(b"\n")[0].decode("utf-8", "replace")


def _silence(process: subprocess.Popen[bytes], log: Path) -> str:
    if (status := process.poll()) is not None:
        return Phrase(
            "The engine ended with status {status} while it started; {log} says why.", status=status, log=str(log)
        )
    return Phrase(
        "The engine was not ready within {seconds:g} s; {log} says why.", seconds=READY_TIMEOUT_S, log=str(log)
    )


def _wait_for(socket: Path, deadline: float, sentence: str) -> None:
    """The faster engine holds the lock a moment before it listens; ``sentence`` tells where it is if not here."""
    while True:
        try:
            connect_socket(socket, 1.0).close()
        except NoEngine:
            if time.monotonic() > deadline:
                raise NoEngine(sentence) from None
            time.sleep(_RETRY_S)
        else:
            return
