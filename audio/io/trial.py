"""Starts the sound library in a process that may crash, before it may crash ours.

    PortAudioBackend ── crash_at_start() ──▶ python -c "import sounddevice" ──▶ ended by a signal? then not here

ALSA without a usable configuration makes PortAudio abort the whole process (an assertion, SIGABRT): a call without
sound is better than no engine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

TRIAL_S = 5.0
_START = "import os, sounddevice; os._exit(0)"  # its exit handlers may hang


def crash_at_start(timeout_s: float = TRIAL_S) -> str | None:
    """The name of the signal the library ends a process with, or None where it does not.

    Blocks, for ``timeout_s`` at most. A library that hangs, or is not there, has not crashed.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and line
            [sys.executable, "-c", _START],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode >= 0:
        return None
    try:
        return signal.Signals(-done.returncode).name
    except ValueError:
        return f"signal {-done.returncode}"
