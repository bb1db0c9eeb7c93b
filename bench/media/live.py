"""What one phone does with sound in real time, through devices, against the bench's far end; figures as JSON.

    python -m bench.media.live PHONE PART [--seconds 20] [--runs 3] [--json]

    signals    200 → first RTP, far BYE → 200, hang-up → BYE: medians of short calls
    steady     one call: RTP intervals; beside busy loops; with Offhook's console attached
    cost       one call: CPU, memory
    late       mouth → wire and wire → ear, whose sum is mouth → ear of two such phones; an echo; devices found idle
    long       memory and packets of a call of minutes
    quality    clips through networks, heard at the device, by PESQ: medians

Speech is played into the microphone's sink, and the earpiece's sink is recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audio.codec.g711 import PCMU
from bench.audio_loop import Recorder
from bench.media import networks
from bench.media.far_end import FRAME, FRAME_S, FarEnd
from bench.media.listening import delays_ms, pesq_score
from bench.media.phones import PHONES, Offhook, Softphone
from bench.media.speech import clips
from bench.rtp_pacing import burn, off_by_ms
from bench.secure import cpu_s, pss_mib
from bench.terminal import Terminal
from tests.audio.calling import write_wave
from tests.audio.sound import likeness, speech
from tests.lab.engine import OFFHOOK
from tests.lab.sound import SoundServer
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.media.far_end import Arrived
    from bench.media.networks import Arrivals
    from bench.media.speech import Samples

Figures = dict[str, Any]

RATE = 8000
_SETTLED_S = 3.0
_CALLS = 5
_WARM_UP_S = 2.0
_LINGERING_S = 4.0
"""After a call, until devices that are kept open for a next one are closed."""

_SPEECH_S = 4.0
_AFTER_CLIP_S = 1.2
_CONSOLE_SIZE = (120, 40)
NETWORKS: tuple[tuple[str, Callable[[int, int], Arrivals]], ...] = (
    ("clean", networks.clean),
    ("loss 1 %", lambda count, seed: networks.loss(count, seed, 0.01)),
    ("loss 3 %", lambda count, seed: networks.loss(count, seed, 0.03)),
    ("loss 5 %", lambda count, seed: networks.loss(count, seed, 0.05)),
    ("loss 10 %", lambda count, seed: networks.loss(count, seed, 0.10)),
    ("burst loss 5 %", lambda count, seed: networks.bursts(count, seed, 0.05)),
    ("jitter 60 ms", lambda count, seed: networks.jitter(count, seed, 0.060)),
)
"""Jitter last: what a buffer has learnt of it would show in the others."""


@contextmanager
def stage(kind: type[Softphone], *, idle: bool = False) -> Iterator[tuple[SoundServer, FarEnd, Softphone]]:
    """A sound server, a far end and a started phone. Devices are awake, or ``idle``: suspended until they are used."""
    with SoundServer() as server, FarEnd() as far, ExitStack() as stack:
        if kind.wants_a_microphone:
            described = "source_properties=device.description=Microphone"
            server.pactl(
                "load-module", "module-remap-source", "source_name=microphone", "master=mic.monitor", described
            )
            server.pactl("set-default-source", "microphone")
        if idle:
            server.pactl("load-module", "module-suspend-on-idle", "timeout=1")
        else:
            stack.enter_context(_awake(server))
        with kind(server, far) as phone:
            time.sleep(_SETTLED_S)
            yield server, far, phone


@contextmanager
def _awake(server: SoundServer) -> Iterator[None]:
    """Somebody listens and plays silence, in pieces of 10 ms: a null sink nobody wants anything of at once sleeps for
    two seconds at a time, which no sound card does.
    """
    commands = (
        ("parec", "--raw", "--latency-msec=10", f"--device={server.pactl('get-default-source').strip()}"),
        ("pacat", "--raw", "--latency-msec=10", "--device=spk", "/dev/zero"),
    )
    running = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=server.client_environment())
        for command in commands
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait(5)


@contextmanager
def call(far: FarEnd, phone: Softphone) -> Iterator[None]:
    """A call that is up, until the end."""
    phone.dial()
    far.wait_answered()
    try:
        yield
    finally:
        far.hang_up()


# ------------------------------------------------------------------------------------------------------------- signals


def signals(kind: type[Softphone]) -> Figures:
    """How fast it answers and speaks."""
    sound, answers, goodbyes = [], [], []
    with stage(kind) as (_, far, phone):
        for _ in range(_CALLS):
            phone.dial()
            far.wait_answered()
            sound.append(far.arrivals[0].at - far.answered_at)
            time.sleep(_WARM_UP_S)
            answers.append(far.hang_up())
            time.sleep(0.5)
            phone.dial()
            far.wait_answered()
            sound.append(far.arrivals[0].at - far.answered_at)
            time.sleep(_WARM_UP_S)
            told = time.monotonic()
            phone.hang_up()
            goodbyes.append((wait_until(lambda: far.bye_at, what="its BYE comes") or told) - told)
            time.sleep(0.5)
    return {
        "200 to first RTP, ms": 1000 * statistics.median(sound),
        "far BYE to 200, ms": 1000 * statistics.median(answers),
        "hang-up to BYE, ms": 1000 * statistics.median(goodbyes),
    }


# -------------------------------------------------------------------------------------------------------------- steady


def steady(kind: type[Softphone], seconds: float) -> Figures:
    """How evenly it sends, alone and beside others."""
    with _talking(kind) as (far, phone):
        figures = {f"quiet: {name}": value for name, value in _pacing(far, phone, seconds).items()}
        burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(2)]
        for burner in burners:
            burner.start()
        try:
            figures |= {f"busy: {name}": value for name, value in _pacing(far, phone, seconds).items()}
        finally:
            for burner in burners:
                burner.kill()
        if isinstance(phone, Offhook):
            watched = asyncio.run(_beside_console(far, phone, seconds))
            figures |= {f"console: {name}": value for name, value in watched.items()}
    return figures


def cost(kind: type[Softphone], seconds: float) -> Figures:
    """What a call takes."""
    with _talking(kind) as (far, phone):
        return _pacing(far, phone, seconds)


@contextmanager
def _talking(kind: type[Softphone]) -> Iterator[tuple[FarEnd, Softphone]]:
    """In a call, not the first of the day, whose microphone hears speech."""
    with stage(kind) as (server, far, phone), tempfile.TemporaryDirectory() as name:
        with call(far, phone):
            time.sleep(_WARM_UP_S)
        time.sleep(_LINGERING_S)
        with call(far, phone):
            wav = Path(name) / "speech.wav"
            write_wave(wav, np.tile(speech(_SPEECH_S), 60))
            server.play(wav)
            time.sleep(_WARM_UP_S)
            yield far, phone


def _pacing(far: FarEnd, phone: Softphone, seconds: float) -> Figures:
    far.play(np.tile(speech(_SPEECH_S, seed=2), round(seconds / _SPEECH_S) + 1))
    first, began, cpu = len(far.arrivals), time.monotonic(), cpu_s(phone.pid)
    time.sleep(seconds)
    figures = {"CPU %": 100 * (cpu_s(phone.pid) - cpu) / (time.monotonic() - began), "PSS MB": pss_mib(phone.pid)}
    packets = far.arrivals[first:]
    off = off_by_ms([packet.at for packet in packets])
    expected = ((packets[-1].sequence - packets[0].sequence) & 0xFFFF) + 1
    figures |= {"off p99, ms": off[int(len(off) * 0.99)], "off worst, ms": off[-1]}
    return figures | {"missing": expected - len(packets), "load": os.getloadavg()[0]}


async def _beside_console(far: FarEnd, phone: Offhook, seconds: float) -> Figures:
    """The same with a console that shows the call and its meters."""
    engine = phone.engine
    command = [*OFFHOOK, "--config", str(engine.config_file), "--socket", str(engine.socket)]
    terminal = Terminal(command, size=_CONSOLE_SIZE, directory=engine.directory, environment=engine.environment)
    try:
        await terminal.shows(b"600")
        written = len(terminal.data)
        figures = await asyncio.to_thread(_pacing, far, phone, seconds)
        return figures | {"bytes/s": (len(terminal.data) - written) / seconds}
    finally:
        terminal.close()


def long(kind: type[Softphone], seconds: float) -> Figures:
    """Whether memory grows in a call of many minutes, after the first."""
    with stage(kind) as (_, far, phone), call(far, phone):
        far.play(np.tile(speech(_SPEECH_S), round(seconds / _SPEECH_S) + 1))
        time.sleep(min(60.0, seconds / 4))
        before = pss_mib(phone.pid)
        time.sleep(seconds - min(60.0, seconds / 4))
        after, packets = pss_mib(phone.pid), far.arrivals
        sent = ((packets[-1].timestamp - packets[0].timestamp) & 0xFFFFFFFF) // FRAME + 1
    return {"grown, MB": after - before, "missing": sent - len(packets)}


# ---------------------------------------------------------------------------------------------------------------- late


def late(kind: type[Softphone], runs: int) -> Figures:
    """How late sound is, by equal recorders at both ends, whose own delay falls out; each run is a call of its own."""
    figures: Figures = {}
    for name, idle, echo in (
        ("mouth to ear", False, False),
        ("round trip", False, True),
        ("mouth to ear, devices found idle", True, False),
    ):
        with stage(kind, idle=idle) as (server, far, phone), tempfile.TemporaryDirectory() as directory:
            far.echoing = echo
            wav = Path(directory) / "speech.wav"
            write_wave(wav, speech(_SPEECH_S))
            found = [_one_call(server, far, phone, wav) for _ in range(runs)]
        figures[f"{name}, ms"] = statistics.median(found)
        figures[f"{name}, runs"] = [round(one) for one in found]
    return figures


def _one_call(server: SoundServer, far: FarEnd, phone: Softphone, wav: Path) -> float:
    """Milliseconds from the mouth to the ear, by way of an echo or of two equal phones."""
    said = speech(_SPEECH_S)
    wait_until(lambda: _asleep(server), what="devices are suspended")
    with call(far, phone):
        time.sleep(1.0)
        mouth, ear = Recorder(server, "mic.monitor", RATE), Recorder(server, "spk.monitor", RATE)
        time.sleep(_WARM_UP_S)
        first = len(far.arrivals)
        playing = server.play(wav)
        left_at = far.play(said)
        playing.wait(30)
        time.sleep(1.0)
        spoken, heard = mouth.stop(), ear.stop()
        arrived = far.arrivals[first:]
    start = int(np.argmax(np.abs(spoken) > 500))
    piece = spoken[start : start + round(_SPEECH_S * RATE)]
    spoken_at = mouth.began + start / RATE
    if far.echoing:
        _, place = likeness(piece, heard)
        return 1000 * (ear.began + place / RATE - spoken_at)
    stream, line = _on_the_wire(arrived)
    _, on_wire = likeness(piece, stream)
    _, place = likeness(said, heard)
    return 1000 * (line + on_wire / RATE - spoken_at + ear.began + place / RATE - left_at)


def _asleep(server: SoundServer) -> bool:
    """Whether devices that fall asleep when nobody uses them do so now."""
    if "suspend-on-idle" not in server.pactl("list", "short", "modules"):
        return True
    states = server.pactl("list", "short", "sinks") + server.pactl("list", "short", "sources")
    return "RUNNING" not in states and "IDLE" not in states


def _on_the_wire(packets: Sequence[Arrived]) -> tuple[Samples, float]:
    """What the far end was sent, on the sender's time line, and when that line's first sample was there."""
    origin = packets[0].timestamp
    stream: Samples = np.zeros(len(packets) * FRAME + RATE, dtype=np.int16)
    lines = []
    for packet in packets:
        place = (packet.timestamp - origin) & 0xFFFFFFFF
        sound = PCMU.decode(packet.payload)
        if place + len(sound) <= len(stream):
            stream[place : place + len(sound)] = sound
            lines.append(packet.at - place / RATE)
    return stream, statistics.median(lines)


# ------------------------------------------------------------------------------------------------------------- quality


def quality(kind: type[Softphone], count: int) -> Figures:
    """How good and how late speech is behind a network."""
    said = [clip.samples for clip in clips() if clip.held_out][:count]
    figures: Figures = {}
    with stage(kind) as (server, far, phone), call(far, phone):
        time.sleep(_WARM_UP_S)
        ear = Recorder(server, "spk.monitor", RATE)
        time.sleep(_WARM_UP_S)
        played = []
        for name, network in NETWORKS:
            for seed, clip in enumerate(said):
                left_at = far.play(clip, network(len(clip) // FRAME, seed))
                played.append((name, clip, left_at))
                time.sleep(left_at + len(clip) // FRAME * FRAME_S + _AFTER_CLIP_S - time.monotonic())
        heard = ear.stop()
    for name, _ in NETWORKS:
        scores, waits = [], []
        for clip, left_at in [(clip, left_at) for other, clip, left_at in played if other == name]:
            start = ear.place(left_at, len(clip) / RATE)
            piece = heard[start : start + len(clip) + RATE]
            _, place = likeness(clip, piece)
            scores.append(pesq_score(clip, piece[place : place + len(clip)]))
            waits += delays_ms(clip, piece)
        figures |= {f"{name}: PESQ": statistics.median(scores), f"{name}: delay, ms": statistics.median(waits)}
        figures |= {f"{name}: scores": [round(score, 2) for score in scores]}
    return figures


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.media.live")
    parser.add_argument("phone", choices=PHONES)
    parser.add_argument("part", choices=("signals", "steady", "cost", "late", "quality", "long"))
    parser.add_argument("--json", action="store_true", help="which it always is")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    kind = PHONES[arguments.phone]
    match arguments.part:
        case "signals":
            figures = signals(kind)
        case "steady":
            figures = steady(kind, arguments.seconds)
        case "cost":
            figures = cost(kind, arguments.seconds)
        case "late":
            figures = late(kind, arguments.runs)
        case "long":
            figures = long(kind, arguments.seconds)
        case _:
            figures = quality(kind, arguments.runs)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
