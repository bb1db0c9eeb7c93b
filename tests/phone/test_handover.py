"""One process hands over to another, and a third keeps the first one's place."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phone import handover
from phone.cli import keeper
from phone.handover import Inheritance, Successor
from phone.locks import AlreadyRunning, lock_account, lock_profile
from phone.protocol.commands import CommandRefused
from tests.lab.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
SUCCESSOR = """
import sys
from pathlib import Path
from phone.handover import Inheritance
given = Inheritance.receive(int(sys.argv[sys.argv.index("--successor-fd") + 1]))
if given.wait():
    for lock in given.locks:
        lock.mark()
    Path(sys.argv[1]).write_text(f"{given.password} {given.account}")
    sys.stdin.read()
"""


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What the present process was started with: a small successor instead of pytest."""
    out = tmp_path / "out"
    words = [sys.executable, "-c", SUCCESSOR, str(out), "--ready-fd", "7", "--successor-fd", "8"]
    monkeypatch.setattr(sys, "orig_argv", words)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return out


def test_a_successor_waits_then_begins_and_the_locks_never_fall(command_line: Path, tmp_path: Path) -> None:
    """Nobody can come between the two engines."""
    locks = lock_profile(tmp_path, "default"), lock_account(tmp_path, "1001@pbx")

    async def body() -> int:
        successor = await Successor.prepare("secret", "sip:1001@pbx", locks)
        assert not command_line.exists()
        successor.go()
        for lock in locks:
            lock.release()
        return successor.pid

    pid = asyncio.run(body())
    with pytest.raises(AlreadyRunning):
        lock_profile(tmp_path, "default")
    _, status = os.waitpid(pid, 0)  # its standard input is empty
    assert os.waitstatus_to_exitcode(status) == 0
    assert command_line.read_text() == "secret sip:1001@pbx"
    lock_profile(tmp_path, "default").release()


def test_a_successor_that_dies_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command is refused with a sentence; the locks are still held."""
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", "raise SystemExit(1)"])
    locks = lock_profile(tmp_path, "default"), lock_account(tmp_path, "1001@pbx")
    with pytest.raises(CommandRefused, match="did not start, and this one goes on"):
        asyncio.run(Successor.prepare("", "sip:1001@pbx", locks))
    with pytest.raises(AlreadyRunning):
        lock_profile(tmp_path, "default")
    for lock in locks:
        lock.release()


def test_a_successor_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In time, and it is ended."""
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", "import time; time.sleep(100)"])
    monkeypatch.setattr(handover, "PREPARE_TIMEOUT_S", 0.3)
    locks = lock_profile(tmp_path, "default"), lock_account(tmp_path, "1001@pbx")
    with pytest.raises(CommandRefused):
        asyncio.run(Successor.prepare("", "sip:1001@pbx", locks))
    for lock in locks:
        lock.release()
    lock_profile(tmp_path, "default").release()


def test_a_successor_that_is_not_told_to_go_ends(command_line: Path, tmp_path: Path) -> None:
    """The engine before it has changed its mind, or died: there is a journal for that."""
    locks = lock_profile(tmp_path, "default"), lock_account(tmp_path, "1001@pbx")

    async def body() -> None:
        (await Successor.prepare("secret", "sip:1001@pbx", locks)).dismiss()

    asyncio.run(body())
    assert not command_line.exists()
    for lock in locks:
        lock.release()


def test_nonsense_is_no_inheritance() -> None:
    """Whoever sets the option by hand gets an error, and no engine."""
    reader, writer = os.pipe()
    os.write(writer, b"no json\n")
    os.close(writer)
    with pytest.raises((OSError, ValueError)):
        Inheritance.receive(reader)


def keep(script: str, output: int | None = None) -> subprocess.Popen[bytes]:
    """A keeper whose engine is ``script``: forked before the keeper takes the place of its parent."""
    begin = (
        "import os, signal, sys\n"
        f"if os.fork() == 0:\n    os.execv(sys.executable, [sys.executable, '-c', {script!r}])\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))\n"
        f"os.execv(sys.executable, [sys.executable, '-I', '-S', {keeper.__file__!r}])"
    )
    return subprocess.Popen([sys.executable, "-c", begin], stdout=output)


def test_a_keeper_ends_with_its_engine_and_its_status() -> None:
    """Whoever waits for the process hears how the engine ended."""
    assert keep("raise SystemExit(3)").wait(15) == 3
    assert keep("import os; os.kill(os.getpid(), 9)").wait(15) == 128 + signal.SIGKILL


def test_a_keeper_passes_signals_on() -> None:
    """SIGTERM ends the engine, not the one who waits for it."""
    script = "import signal, sys; signal.signal(15, lambda *_: sys.exit(5)); print('up', flush=True); signal.pause()"
    process = keep(script, subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 5


def test_a_keeper_follows_the_next_successor() -> None:
    """The engine's own successor is nobody's child once that engine has ended, but its."""
    second = "import os, sys, time\nwhile os.getppid() == int(sys.argv[1]): time.sleep(0.01)\nsys.exit(6)"
    first = (
        "import os, signal, subprocess, sys; signal.signal(15, lambda *_: sys.exit(0));"
        f"subprocess.Popen([sys.executable, '-c', {second!r}, str(os.getpid())]);"
        "print('up', flush=True); signal.pause()"
    )
    process = keep(first, subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"up\n"
        wait_until(lambda: passes_on(process.pid), what="the keeper is one")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 6


def passes_on(pid: int) -> bool:
    """Whether a process catches SIGTERM, by the kernel's word."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1) and b"keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
