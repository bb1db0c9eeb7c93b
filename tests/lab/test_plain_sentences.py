"""What goes wrong before a PBX is reached: one plain sentence, the right exit status, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_registration import assert_one_sentence
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.engine import Engine
    from tests.lab.sound import SoundServer

# Each starts a process or two, beside other tests.
pytestmark = pytest.mark.timeout(60)

# Nothing listens there; the tests below end before anybody would.
NOWHERE = "ws://127.0.0.1:9/ws"


def ended(engine: Engine) -> tuple[int, str]:
    """Exit status and standard error of an engine that must not start."""
    engine.launch()
    return engine.wait_end(), engine.stderr()


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ('[account]\nserver = "ws://pbx"\nusername = 1001"\n', "3", "config.toml"),
        ('[account]\nserver = "ws://pbx"\nusername = "1001"\ncolour = "red"\n', "4", "colour"),
        ('[account]\nserver = "ws://pbx"\nusername = "1001"\n[audio]\ninput = 7\n', "5", "input"),
        ('[account]\nserver = "gopher://pbx"\nusername = "1001"\n', "2", "gopher"),
    ],
    ids=["bad TOML", "unknown key", "wrong type", "unknown scheme"],
)
def test_an_invalid_file_is_refused_by_line(
    make_engine: Callable[..., Engine], text: str, line: str, word: str
) -> None:
    engine = make_engine(NOWHERE)
    engine.config_file.write_text(text)
    status, said = ended(engine)
    assert status == 2
    assert_one_sentence(said)
    assert line in said
    assert word in said


def test_a_missing_server_is_a_usage_error(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(NOWHERE)
    engine.config_file.write_text("[audio]\n")
    status, said = ended(engine)
    assert status == 2
    assert_one_sentence(said)


def test_ctl_without_an_engine(make_engine: Callable[..., Engine]) -> None:
    done = make_engine(NOWHERE).ctl("status", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_sentence(done.stderr)


def test_ctl_names_no_such_call(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(NOWHERE)
    engine.start()
    done = engine.ctl("answer", "nobody", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_sentence(done.stderr)


def test_a_second_engine_is_refused(make_engine: Callable[..., Engine]) -> None:
    """It names the process that holds the lock."""
    engine = make_engine(NOWHERE)
    engine.start()
    command = [sys.executable, "-m", "phone.cli", "run", "--headless", "--config", str(engine.config_file)]
    done = subprocess.run(
        command, env=engine.environment, cwd=engine.directory, capture_output=True, text=True, timeout=15, check=False
    )
    assert done.returncode == 1
    assert_one_sentence(done.stderr)
    assert str(engine.pid) in done.stderr


def test_without_portaudio_the_engine_runs_and_says_so(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """sounddevice raises OSError where the library is missing; signalling goes on without sound."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    settings = {"input": "default", "output": "default"}
    engine = make_engine(NOWHERE, audio=settings)
    engine.environment["PYTHONPATH"] = f"{tmp_path}:{engine.environment['PYTHONPATH']}"
    engine.start()
    assert "libportaudio2" in sound_problem(engine)


@pytest.mark.skipif(Path("/proc/asound/cards").exists(), reason="this machine has a sound card")
def test_without_a_device_the_engine_runs_and_says_so(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """PortAudio is there, no sound card and no sound server are."""
    nowhere = {"PULSE_SERVER": f"unix:{tmp_path}/nobody"}
    engine = make_engine(NOWHERE, audio={"input": "default"}, environment=nowhere)
    engine.start()
    assert '"none"' in sound_problem(engine)  # what to set to do without


@pytest.mark.audio
def test_an_unknown_device_is_named(make_engine: Callable[..., Engine], pulse: SoundServer) -> None:
    engine = make_engine(NOWHERE, audio={"input": "Nonesuch 3000"}, environment=pulse.client_environment())
    engine.start()
    assert "Nonesuch 3000" in sound_problem(engine)


def sound_problem(engine: Engine) -> str:
    """The sentence in `status` about what is wrong with the sound, once there is one."""
    wait_until(lambda: engine.status()["audio"]["problem"], what="the sound problem is known")
    sentence = str(engine.status()["audio"]["detail"])
    assert_one_sentence(sentence)
    return sentence
