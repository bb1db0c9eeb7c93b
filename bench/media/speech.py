"""What is said in the bench: pieces of about eight seconds of a recorded voice and of several synthetic ones.

    asterisk-core-sounds (GSM) ──sox──┐
    espeak-ng, several languages ─────┴─▶ 8 kHz, -26 dBov, cut to 8 s ─▶ Clip, every other one held out

Constants of the concealer were chosen on the clips that are not held out; what the table shows is the rest.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio.stream.wavfile import read_wav
from tests.lab.root import is_built, root_directory

Samples = NDArray[np.int16]

RATE = 8000
CLIP_S = 8.0
_LEAD = np.zeros(RATE // 4, dtype=np.int16)
_LEVEL_RMS = 32768 * 10 ** (-26 / 20)
_QUIET_RMS = 130.0
_FRAGMENT_BLOCKS = 50
_PROMPTS = "usr/share/asterisk/sounds/en_US_f_Allison"
_RECORDED_CLIPS = 20
_SHORTEST_PROMPT_OCTETS = 33 * 50 * 2  # GSM: 33 octets for each 20 ms
_VOICES: tuple[tuple[str, str], ...] = (
    ("en-us", "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."),
    ("en-gb+f3", "It is easy to tell the depth of a well. These days a chicken leg is a rare dish."),
    ("de", "Bitte bleiben Sie am Apparat. Der nächste freie Mitarbeiter ist gleich für Sie da."),
    ("de+f2", "Im Norden stürmt und schneit es, im Süden scheint am Wochenende schon wieder die Sonne."),
    ("fr", "Veuillez patienter un instant. Votre correspondant va vous répondre dans quelques minutes."),
    ("fr+f4", "La voiture s'est arrêtée au feu rouge. Le petit chien dort devant la porte de la maison."),
    ("es", "Su llamada es muy importante para nosotros. Por favor, espere un momento en la línea."),
    ("es+f5", "El perro de mi vecino corre por el parque. Mañana vamos a comer pescado con patatas."),
    ("it+m3", "La linea è al momento occupata. La preghiamo di richiamare più tardi, molte grazie."),
    ("nl+f1", "Een ogenblik geduld alstublieft. Wij verbinden u zo spoedig mogelijk door met een medewerker."),
)


@dataclass(frozen=True, slots=True)
class Clip:
    """One piece of speech."""

    name: str
    samples: Samples
    held_out: bool


def why_unavailable() -> str | None:
    """Why there is no speech to measure with, or ``None``."""
    if missing := [tool for tool in ("sox", "espeak-ng") if shutil.which(tool) is None]:
        return f"needs {' and '.join(missing)} (apt-get install sox espeak-ng)"
    return None


def clips() -> list[Clip]:
    """All of them, always the same. Without the lab's root the recorded voice is missing."""
    found = [*_recorded(), *_spoken()]
    return [Clip(name, _levelled(samples), index % 2 == 1) for index, (name, samples) in enumerate(found)]


def _recorded() -> list[tuple[str, Samples]]:
    if not is_built():
        return []
    directory = root_directory() / _PROMPTS
    prompts = [
        path
        for path in sorted(directory.glob("*.gsm"))
        if path.stat().st_size >= _SHORTEST_PROMPT_OCTETS and "tone" not in path.name
    ]
    made: list[tuple[str, Samples]] = []
    piece: Samples = np.zeros(0, dtype=np.int16)
    for path in prompts:
        piece = np.concatenate([piece, _decoded(path)])
        if len(piece) >= CLIP_S * RATE:
            made.append((f"prompt {path.stem}", piece))
            piece = np.zeros(0, dtype=np.int16)
        if len(made) == _RECORDED_CLIPS:
            break
    return made


def _spoken() -> list[tuple[str, Samples]]:
    made = []
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as directory:
        for voice, text in _VOICES:
            path = Path(directory) / f"{voice}.wav"
            command = ("espeak-ng", "-v", voice, "-s", "145", "-w", str(path), text)
            subprocess.run(command, check=True, capture_output=True, timeout=30)
            made.append((f"voice {voice}", _wav(path)))
    return made


def _decoded(path: Path) -> Samples:
    command = ("sox", str(path), "-t", "raw", "-r", str(RATE), "-c", "1", "-e", "signed-integer", "-b", "16", "-")
    done = subprocess.run(command, check=True, capture_output=True, timeout=30)
    return np.frombuffer(done.stdout, dtype="<i2").astype(np.int16)


def _wav(path: Path) -> Samples:
    with path.open("rb") as file:
        return read_wav(file)


def _levelled(samples: Samples) -> Samples:
    """Exactly as long as a clip, with a quarter of a second of silence before and after, at PESQ's nominal level."""
    body = np.tile(samples, -(-round(CLIP_S * RATE) // len(samples)))[: round(CLIP_S * RATE) - 2 * len(_LEAD)]
    loud = body[np.abs(body.astype(np.int32)) > 200].astype(np.float64)
    gain = _LEVEL_RMS / max(float(np.sqrt(np.mean(loud**2))), 1.0) * 1.3
    levelled = np.clip(np.rint(body * gain), -32768, 32767).astype(np.int16)
    return np.concatenate([_LEAD, _without_fragment(levelled), _LEAD])


def _without_fragment(sound: Samples) -> Samples:
    """The end without a word that the cut has left the start of: PESQ cannot align what is so short."""
    blocks = sound[-_FRAGMENT_BLOCKS * 160 :].astype(np.float64).reshape(-1, 160)
    quiet = np.flatnonzero(np.sqrt(np.mean(blocks**2, axis=1)) < _QUIET_RMS)
    if len(quiet) == 0:
        return sound
    kept = sound.copy()
    kept[len(sound) - (_FRAGMENT_BLOCKS - int(quiet[-1])) * 160 :] = 0
    return kept
