"""The rows on virtual time: loss, jitter, reordering and drift, heard through a real core and scored with PESQ.

Every clip has its own seed in every row. The differences are against the halved repeat on the same losses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np

from bench.media import networks
from bench.media.listening import FRAME_S, delays_ms, halved_repeat, listen, pesq_score
from bench.media.table import Figure

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from bench.media.networks import Arrivals
    from bench.media.speech import Clip, Samples

Network = Callable[[int, int], "Arrivals"]

_RATE = 8000
_PATH_MS = 10.0
_PACKET_MS = 20.0
_WINDOW_S = 8.0
_CALM_AFTER_S = 20.0
_AUDIBLE = 0.05  # of the loudest 20 ms: what is done 26 dB below them is not heard


@dataclass(frozen=True, slots=True)
class Score:
    """One clip through one network."""

    pesq: float
    gain: float
    delays: tuple[float, ...]
    """From the end of the packet's sound at the sender to the ear, less the path: what buffering and waiting cost."""

    late: float
    rescued: float
    fixed_late: float


LOSSES: tuple[tuple[str, str, float, str], ...] = (
    ("loss 1 %", "loss", 0.01, ">= 0.08"),
    ("loss 3 %", "loss", 0.03, ">= 0.25"),
    ("loss 5 %", "loss", 0.05, ">= 0.35"),
    ("loss 10 %", "loss", 0.10, ">= 0.30"),
    ("burst loss 5 %", "bursts", 0.05, ">= 0.10"),
)
JITTERS = (0.030, 0.060, 0.100)


def arrivals_of(kind: str, amount: float, count: int, seed: int) -> Arrivals:
    """A network by name."""
    match kind:
        case "loss":
            return networks.loss(count, seed, amount)
        case "bursts":
            return networks.bursts(count, seed, amount)
        case "reorder":
            return networks.reorder(count, seed, amount)
        case "jitter":
            return networks.jitter(count, seed, amount)
        case "bloat":
            return networks.bloat(count, seed)
        case _:
            return networks.clean(count)


def score(task: tuple[Samples, int, str, float]) -> Score:
    """One clip through one network, in a process of the pool."""
    said, seed, kind, amount = task
    arrivals = arrivals_of(kind, amount, len(said) // 160, seed)
    heard = listen(said, arrivals, seed=seed)
    quality = pesq_score(said, heard.sound)
    lost = [at is None for at in arrivals]
    gain = quality - pesq_score(said, halved_repeat(said, lost)) if any(lost) else 0.0
    figures = heard.statistics
    return Score(
        pesq=quality,
        gain=gain,
        delays=tuple(delay - _PATH_MS for delay in delays_ms(said, heard.sound)),
        late=figures.late / figures.packets_received,
        rescued=heard.rescued / figures.packets_received,
        fixed_late=networks.late_in_fixed_buffer(arrivals),
    )


def scores(pool: Executor, clips: list[Clip], kind: str, amount: float = 0.0, seeds: int = 1) -> list[Score]:
    """All clips through networks of one kind."""
    tasks = [
        (clip.samples, 101 * run + index, kind, amount) for run in range(seeds) for index, clip in enumerate(clips)
    ]
    return list(pool.map(score, tasks))


def _error(values: list[float]) -> float:
    return float(np.std(values) / np.sqrt(len(values)))


def quality_rows(pool: Executor, clips: list[Clip], seeds: int) -> list[Figure]:
    """Clean and with losses."""
    calm = scores(pool, clips, "clean")
    figures = [
        Figure(title="PESQ, clean", value=mean(s.pesq for s in calm), target=">= 4.1"),
        Figure(
            title="delay in the quiet, packet to ear",
            value=median(d for s in calm for d in s.delays),
            unit="ms",
            digits=0,
        ),
    ]
    for title, kind, amount, target in LOSSES:
        got = scores(pool, clips, kind, amount, seeds)
        gains = [s.gain for s in got]
        quality = mean(s.pesq for s in got)
        note = f"PESQ {quality:.2f}, halved repeat {quality - mean(gains):.2f}; standard error {_error(gains):.2f}"
        figures.append(Figure(title=f"{title}: PESQ above the yardstick", value=mean(gains), target=target, note=note))
    got = scores(pool, clips, "reorder", 0.05)
    figures.append(Figure(title="PESQ, 5 % reordered", value=mean(s.pesq for s in got), target=">= 4.1"))
    return figures


def jitter_rows(pool: Executor, clips: list[Clip]) -> list[Figure]:
    """Jitter: quality, delay, and the way back."""
    figures = []
    for spread in JITTERS:
        name = f"jitter {spread * 1000:.0f} ms"
        got = scores(pool, clips, "jitter", spread)
        figures.append(Figure(title=f"{name}: PESQ", value=mean(s.pesq for s in got), target=">= 4.1"))
        middle = median(d for s in got for d in s.delays)
        worst = max(d for s in got for d in s.delays)
        bound = f"<= {spread * 1000 + 60:.0f}"
        note = f"worst half second {worst:.0f} ms"
        figures.append(
            Figure(title=f"{name}: delay, packet to ear", value=middle, unit="ms", target=bound, digits=0, note=note)
        )
    back = list(pool.map(time_back, [(clip.samples, index) for index, clip in enumerate(clips[:6])]))
    figures.append(
        Figure(
            title="after 60 ms: back within 20 ms of quiet in",
            value=max(back),
            unit="s",
            target="<= 15",
            digits=1,
            note=f"median {median(back):.1f} s",
        )
    )
    return figures


def time_back(task: tuple[Samples, int]) -> float:
    """Seconds from the end of 60 ms of jitter until the delay stays within 20 ms of the quiet one."""
    said, seed = task
    long = np.tile(said, 6)
    count = len(long) // 160
    quiet = median(listen(long, networks.clean(count), seed=seed).buffer_ms)
    after = listen(long, networks.jitter(count, seed, 0.060, until_s=_CALM_AFTER_S), seed=seed).buffer_ms
    above = [tick for tick, delay in enumerate(after) if delay > quiet + 20.0]
    return max(above[-1] * FRAME_S - _CALM_AFTER_S, 0.0) if above else 0.0


def trace_rows(pool: Executor, clips: list[Clip]) -> list[Figure]:
    """Made traces of a mobile link."""
    long = [(np.tile(clip.samples, 8), index, "bloat", 0.0) for index, clip in enumerate(clips[:8])]
    got = list(pool.map(score, long))
    fixed = mean(s.fixed_late for s in got)
    return [
        Figure(
            title="mobile link: packets too late to be heard",
            value=100 * mean(s.late for s in got),
            unit="%",
            target="<= 3",
            note=f"a fixed buffer of 100 ms loses {100 * fixed:.0f} %",
        ),
        Figure(
            title="mobile link: packets the buffer had to wait for",
            value=100 * mean(s.rescued for s in got),
            unit="%",
            note=f"median delay {median(d for s in got for d in s.delays):.0f} ms",
        ),
    ]


def drift_rows(pool: Executor, clips: list[Clip], minutes: float) -> list[Figure]:
    """A sender's clock that is off, both ways, for long."""
    tasks = [(_speech_of(clips, minutes * 60), ppm) for ppm in (200.0, -200.0)]
    found = list(pool.map(drifting, tasks))
    name = f"drift 200 ppm, {minutes:.0f} min"
    return [
        Figure(title=f"{name}: worst 8 s PESQ", value=min(f[0] for f in found), target=">= 4.0"),
        Figure(title=f"{name}: largest jump heard", value=max(f[1] for f in found), unit="ms", target="<= 4", digits=1),
        Figure(title=f"{name}: delay varies by", value=max(f[2] for f in found), unit="ms", target="<= 25", digits=1),
    ]


def _speech_of(clips: list[Clip], seconds: float) -> Samples:
    """So much speech of the clips that code well: the drift is to be heard, not the voice."""
    one = np.concatenate([clip.samples for clip in clips if clip.name.startswith("prompt")] or [clips[0].samples])
    made: Samples = np.tile(one, -(-round(seconds * _RATE) // len(one)))[: round(seconds * _RATE)]
    return made


def drifting(task: tuple[Samples, float]) -> tuple[float, float, float]:
    """Worst PESQ over 8 s, longest change of length amid sound in ms, spread of the delay in ms."""
    said, ppm = task
    heard = listen(said, networks.drift(len(said) // 160, ppm), seed=round(ppm) & 0xFF)
    size = round(_WINDOW_S * _RATE)
    starts = range(0, len(said) - 2 * size, size)
    # Sample n of the sender is at n / (1 + drift) of ours.
    places = [(at, round(at / (1.0 + ppm * 1e-6))) for at in starts]
    worst = min(pesq_score(said[at : at + size], heard.sound[there : there + size + 800]) for at, there in places)
    audible = _AUDIBLE * max(float(np.sqrt(np.mean(block**2))) for block in said.astype(np.float64).reshape(-1, 160))
    jump = max((abs(ms) for ms, rms in heard.changes if rms > audible), default=0.0)
    settled = heard.buffer_ms[100 : len(said) // 160 - 10]
    return worst, jump, max(settled) - min(settled)
