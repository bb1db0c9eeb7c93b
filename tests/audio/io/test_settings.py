"""The words of the ``[audio]`` section."""

from __future__ import annotations

import subprocess
import sys

import pytest

from audio.io.settings import AudioSettings, Choice, Device, Role, Silent, Synthetic, WaveFile, parse_choice


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("default", Device()),
        (" Default ", Device()),
        ("", Device()),
        ("none", Silent()),
        ("NONE", Silent()),
        ("synthetic", Synthetic()),
        ("wav:/tmp/A File.wav", WaveFile("/tmp/A File.wav")),
        ("WAV:x", WaveFile("x")),
        ("Jabra", Device("Jabra")),
        ("none of these", Device("none of these")),
    ],
)
def test_choices(text: str, choice: Choice) -> None:
    assert parse_choice(text) == choice


def test_each_role_has_its_setting() -> None:
    settings = AudioSettings(input="none", output="wav:out.wav", ring="Speaker")
    assert [settings.choice(role) for role in (Role.MICROPHONE, Role.SPEAKER, Role.RINGER)] == [
        Silent(),
        WaveFile("out.wav"),
        Device("Speaker"),
    ]
    assert [role.captures for role in Role] == [True, False, False]


def test_reading_the_settings_loads_no_sound() -> None:
    """Configuration is read by `ctl`, which must stay light."""
    code = "import sys, audio.io.settings; print(sorted({'numpy', 'sounddevice', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
