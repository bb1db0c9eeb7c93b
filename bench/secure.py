"""What encryption of a call's media costs, against the lab's Asterisk over wss: `make bench-secure`.

    CPU, memory     three engines side by side in a call to the echo: plain RTP, SDES, DTLS-SRTP
    first packet    the 200 to the INVITE came in → the first packet was decrypted and taken, by the engine's own log
    correlation     the speech of each microphone in what came back

CPU is that of the whole engine process. Ratios are of one stretch of time, in which all three did the same; medians.
"""

from __future__ import annotations

import datetime
import re
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import signals
from tests.lab.asterisk import Asterisk
from tests.lab.engine import Engine
from tests.lab.root import asterisk_version

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = {"plain": ("1001", "rtp"), "SDES": ("1003", "sdes"), "DTLS": ("1002", "webrtc")}
CALLS = 5
STRETCHES = 5
STRETCH_S = 6.0
SPEECH_S = 5.0
TARGET = 1.3

_ANSWERED = re.compile(r"^(\S+ \S+) .*< 200 OK \(\d+ INVITE\)", re.MULTILINE)
_FIRST_PACKET = re.compile(r"^(\S+ \S+) .*: FirstPacketReceived\(", re.MULTILINE)


def cpu_s(pid: int) -> float:
    """Seconds of CPU a process has used, all threads, to the nanosecond (clock_getcpuclockid(3) without the call)."""
    return time.clock_gettime(~pid << 3 | 2)


def pss_mib(pid: int) -> float:
    """Proportional set size in MiB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (pss,) = (int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return pss / 1024


def shares(engines: dict[str, Engine]) -> dict[str, float]:
    """Percent of a core each engine used over one stretch."""
    began, before = time.monotonic(), {name: cpu_s(engine.pid) for name, engine in engines.items()}
    time.sleep(STRETCH_S)
    passed = time.monotonic() - began
    return {name: 100 * (cpu_s(engine.pid) - before[name]) / passed for name, engine in engines.items()}


def answer_to_sound(engine: Engine) -> list[float]:
    """Milliseconds from the 200 to the first packet, of every call so far."""
    text = engine.logs()
    answered, heard = _moments(_ANSWERED.findall(text)), _moments(_FIRST_PACKET.findall(text))
    # A 200 may have been sent twice: what counts is the last before the packet.
    return [1000 * (moment - max(sooner for sooner in answered if sooner <= moment)) for moment in heard]


def _moments(texts: Iterable[str]) -> list[float]:
    return [datetime.datetime.fromisoformat(text.replace(",", ".")).timestamp() for text in texts]


def first_packets(engines: dict[str, Engine]) -> None:
    """``CALLS`` short calls to 606, which speaks first, and what they show."""
    for name, engine in engines.items():
        for _ in range(CALLS):
            engine.dial("606")
            engine.wait_seconds(0.7)
            engine.ctl("hangup")
            engine.wait_no_calls()
        times = answer_to_sound(engine)
        rounded = ", ".join(f"{value:.0f}" for value in times)
        print(
            f"{name:<6} answer to first packet  {statistics.median(times):6.0f} ms median of {len(times)} ({rounded})"
        )


def in_calls(engines: dict[str, Engine], idle: dict[str, float], speech: Path, directory: Path) -> float:
    """All engines in a call to the echo at once; returns the worse ratio to the plain one."""
    for engine in engines.values():
        engine.dial("600")
    for engine in engines.values():
        engine.wait_seconds(2)
    stretches = [shares(engines) for _ in range(STRETCHES)]
    memory = {name: pss_mib(engine.pid) for name, engine in engines.items()}
    labels = {name: engine.calls()[0]["security"] for name, engine in engines.items()}
    for engine in engines.values():
        engine.ctl("hangup")
        engine.wait_no_calls()
    said, rate = signals.read_wav(speech)
    worst = 0.0
    for name in engines:
        # The first calls of this engine were the short ones.
        heard, heard_rate = signals.read_wav(directory / f"{name}.wav-{CALLS + 1}")
        match = signals.correlate(said, heard, rate=rate, recording_rate=heard_rate)
        cpu = statistics.median(stretch[name] for stretch in stretches)
        ratios = [stretch[name] / stretch["plain"] for stretch in stretches]
        ratio = statistics.median(ratios)
        worst = max(worst, ratio)
        print(
            f"{name:<6} in a call               {cpu:6.2f} % of a core, {ratio:.2f} of plain "
            f"({min(ratios):.2f} to {max(ratios):.2f}), PSS {memory[name]:.1f} MiB ({idle[name]:.1f} before any call), "
            f"correlation {match.coefficient:.4f}, security {labels[name]}"
        )
    return worst


def main() -> int:
    """Print every figure; exit status 1 where encryption costs more than it may."""
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        pbx = stack.enter_context(Asterisk())
        print(asterisk_version())
        speech = signals.speech_wav(directory / "speech.wav", seconds=SPEECH_S)
        engines = {
            kind: stack.enter_context(
                Engine(
                    pbx.wss_uri,
                    username,
                    account={"tls_ca": str(pbx.ca_file), "media": media},
                    audio={"input": f"wav:{speech}", "output": f"wav:{directory / kind}.wav"},
                )
            )
            for kind, (username, media) in KINDS.items()
        }
        for engine in engines.values():
            engine.wait_registered()
        idle = {kind: pss_mib(engine.pid) for kind, engine in engines.items()}
        first_packets(engines)
        worst = in_calls(engines, idle, speech, directory)
    print(f"ratio {worst:.2f}, target {TARGET}")
    return 0 if worst <= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
