"""What must not happen to this very process, and is therefore tried in another: loading PortAudio, and descriptor 2."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audio.io.probe import probe_devices
from audio.io.pulse import PulseDevice, chosen_pulse, find_pulse, list_pulse
from audio.io.trial import crash_at_start

ROOT = Path(__file__).resolve().parents[3]


def _python(code: str, *search: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*search, ROOT])), **environment},
    )


_LOAD = """
from audio.io.device import PortAudioBackend
from audio.io.backend import DeviceFailure
try:
    PortAudioBackend().load()
except DeviceFailure as failure:
    print(failure.kind.name, failure.sentence)
"""


def test_a_missing_library_is_one_sentence_with_the_command(tmp_path: Path) -> None:
    """As sounddevice says it where libportaudio2 is not installed."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    done = _python(_LOAD, tmp_path)
    assert done.stdout.startswith("NO_LIBRARY ")
    assert "apt-get install libportaudio2 libasound2-plugins" in done.stdout
    assert len(done.stdout.strip().splitlines()) == 1
    assert done.stderr == ""


def test_a_missing_package_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise ModuleNotFoundError(\"No module named 'cffi'\")\n")
    done = _python(_LOAD, tmp_path)
    assert done.stdout.startswith("NO_LIBRARY ")
    assert "sounddevice" in done.stdout


def test_a_library_that_crashes_is_one_sentence_and_no_crash_of_ours(tmp_path: Path) -> None:
    """PortAudio aborts where ALSA has no usable configuration."""
    (tmp_path / "sounddevice.py").write_text("import os\nos.abort()\n")
    done = _python(_LOAD, tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("NO_LIBRARY ")
    assert "(SIGABRT); check ALSA's configuration" in done.stdout
    assert done.stderr == ""


def test_a_library_that_hangs_has_not_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    began = time.monotonic()
    assert crash_at_start(0.5) is None
    assert time.monotonic() - began < 5.0


def test_importing_the_engine_loads_no_portaudio() -> None:
    done = _python("import sys, audio.engine; print('sounddevice' in sys.modules, 'cffi' in sys.modules)")
    assert done.stdout.split() == ["False", "False"]


def test_what_c_prints_goes_to_the_log_and_what_python_prints_to_the_user() -> None:
    done = _python(
        """
import logging, os, sys, time
records = []
class Keep(logging.Handler):
    def emit(self, record): records.append(record.getMessage())
logging.getLogger("audio.io.stderr").addHandler(Keep())
logging.getLogger("audio.io.stderr").setLevel("DEBUG")
early = logging.StreamHandler()
logging.getLogger("early").addHandler(early)
from audio.io.stderr import guard_stderr
guard_stderr(); guard_stderr()
os.write(2, b"ALSA lib pcm.c:2664: Unknown PCM\\n")
print("for the user", file=sys.stderr)
logging.getLogger("early").warning("logged to the user")
deadline = time.monotonic() + 5
while not records and time.monotonic() < deadline: time.sleep(0.01)
print(records)
"""
    )
    assert done.stdout.strip() == "['ALSA lib pcm.c:2664: Unknown PCM']"
    assert done.stderr.splitlines() == ["for the user", "logged to the user"]


def test_probe_answers_where_there_is_no_sound() -> None:
    """The machine's own devices, if it has any, or a sentence; never a traceback."""
    environment = {**os.environ, "PULSE_SERVER": "unix:/nonexistent", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "audio.io.probe", "--json"],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
        env=environment,
    )
    answer = json.loads(done.stdout)
    assert bool(answer["devices"]) == (done.returncode == 0)
    assert answer["devices"] or answer["problem"].endswith((".", ")."))
    assert done.stderr == ""


def test_probe_gives_up_at_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`import sounddevice` has been seen to take over a minute with a dead PULSE_SERVER."""
    (tmp_path / "sounddevice.py").write_text("import time\ntime.sleep(60)\n")
    # The package's own place comes first in the process; the library is found in what follows.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    began = time.monotonic()
    found = asyncio.run(probe_devices(deadline_s=1.0))
    assert time.monotonic() - began < 5.0
    assert found.devices == ()
    assert found.problem is not None
    assert "did not answer" in found.problem


def _fake_pactl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    script = tmp_path / "pactl"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


_SOURCES = json.dumps(
    [
        {"name": "spk.monitor", "description": "Monitor of Headset", "properties": {"device.class": "monitor"}},
        {"name": "alsa_input.usb-Jabra.mono", "description": "Jabra Evolve 20 Mono", "properties": {}},
        {"description": "without a name"},
    ]
)


def test_sources_are_found_by_name_or_description_and_monitors_only_by_their_full_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_pactl(tmp_path, monkeypatch, _SOURCES)
    jabra = PulseDevice("alsa_input.usb-Jabra.mono", "Jabra Evolve 20 Mono", captures=True)
    monitor = PulseDevice("spk.monitor", "Monitor of Headset", captures=True, monitor=True)
    assert list_pulse(captures=True) == [monitor, jabra]
    assert find_pulse("evolve", captures=True) == jabra
    assert find_pulse("usb-jabra", captures=True) == jabra
    assert find_pulse("headset", captures=True) is None
    assert find_pulse("spk.monitor", captures=True) == monitor


@pytest.mark.parametrize("answer", ["", "Connection failure: Connection refused", "[1, 2]", "{"])
def test_nonsense_of_pactl_is_an_empty_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    _fake_pactl(tmp_path, monkeypatch, answer)
    assert list_pulse(captures=False) == []


def test_the_chosen_sink_is_told_to_libpulse_and_to_nobody_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SOURCE", "before")
    monkeypatch.delenv("PULSE_SINK", raising=False)
    with (
        chosen_pulse(PulseDevice("mic2", "Mic", captures=True)),
        chosen_pulse(PulseDevice("spk2", "Spk", captures=False)),
    ):
        assert (os.environ["PULSE_SOURCE"], os.environ["PULSE_SINK"]) == ("mic2", "spk2")
    assert os.environ["PULSE_SOURCE"] == "before"
    assert "PULSE_SINK" not in os.environ
