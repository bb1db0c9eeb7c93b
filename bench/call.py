"""Figures of a call against the lab's Asterisk: `make bench-call`.

    start        exec of the engine → "registered" on its event stream
    ctl          one `offhook ctl status --json`, process start included
    cost         CPU and proportional set size of the engine, idle and in a call
    memory       proportional set size in a call as `media = auto` agrees on it, by the server's scheme
    pacing       the time between the RTP packets it sends, by the capture's clock
    hang-up      `ctl hangup` called → BYE on the wire

Medians of five; the pacing is one call of 30 s.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.secure import pss_mib
from tests.lab import asterisk_config as config
from tests.lab.asterisk import Asterisk
from tests.lab.engine import Engine
from tests.lab.root import asterisk_version
from tests.lab.signals import speech_wav
from tests.lab.waiting import wait_until
from tests.lab.wire import Capture

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5
COST_S = 10.0
PACING_S = 30.0
AUTO = (("udp", "1001"), ("tcp", "1001"), ("tls", "1001"), ("tls", "1003"), ("ws", "1001"), ("wss", "1002"))


def median_of(measure: Callable[[], float]) -> float:
    """The median of `RUNS` measurements."""
    return statistics.median(measure() for _ in range(RUNS))


def start_to_registered(pbx: Asterisk) -> float:
    """Milliseconds from exec to the `registered` event."""
    engine = Engine(pbx.ws_uri)
    began = time.monotonic()
    engine.launch()
    try:
        engine.wait_event("registered")
        return (time.monotonic() - began) * 1000
    finally:
        engine.close()


def ctl_round_trip(engine: Engine) -> float:
    """Milliseconds of one `ctl status --json`."""
    began = time.monotonic()
    engine.ctl("status", "--json")
    return (time.monotonic() - began) * 1000


def cost(engine: Engine) -> tuple[float, float]:
    """Percent of a core over `COST_S`, and PSS in MiB, of the running engine."""
    ticks, began = _cpu_ticks(engine.pid), time.monotonic()
    wait_until(lambda: time.monotonic() - began >= COST_S, what="the measurement ends", timeout_s=COST_S + 1)
    seconds = (_cpu_ticks(engine.pid) - ticks) / os.sysconf("SC_CLK_TCK")
    return 100 * seconds / (time.monotonic() - began), pss_mib(engine.pid)


def memory_in_call(pbx: Asterisk, scheme: str, username: str) -> tuple[float, str]:
    """PSS in MiB three seconds into a call, and how it is encrypted."""
    account = {"tls_ca": str(pbx.ca_file), "media": "auto"}
    with Engine(_server(pbx, scheme), username, account=account) as engine:
        engine.wait_registered()
        engine.dial("600")
        call = engine.wait_seconds(3)
        pss = pss_mib(engine.pid)
        engine.ctl("hangup")
        engine.wait_no_calls()
    return pss, call["security"] or "plain"


def _server(pbx: Asterisk, scheme: str) -> str:
    match scheme:
        case "ws":
            return pbx.ws_uri
        case "wss":
            return pbx.wss_uri
        case _:
            return f"{scheme}:{pbx.address}:{config.SIPS_PORT if scheme == 'tls' else config.SIP_PORT}"


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def send_intervals(engine: Engine, capture: Capture, pbx: Asterisk) -> list[float]:
    """Milliseconds between consecutive RTP packets from the engine in one long call."""
    engine.dial("600")
    engine.wait_seconds(PACING_S)
    engine.ctl("hangup")
    engine.wait_no_calls()
    capture.stop()
    rows = capture.fields(f"rtp && ip.dst == {pbx.address} && udp.dstport >= 10000", ["frame.time_epoch"])
    times = [_epoch(value) for (value,) in rows]
    return [(later - sooner) * 1000 for sooner, later in itertools.pairwise(times)]


def _epoch(text: str) -> float:
    return float(text.partition(",")[0])


def hang_up(engine: Engine) -> float:
    """Make a call and end it; the wall time at which `ctl hangup` was called."""
    engine.dial("600")
    engine.wait_seconds(0.5)
    began = time.time()
    engine.ctl("hangup")
    engine.wait_no_calls()
    return began


def hang_up_to_bye(pbx: Asterisk, directory: Path) -> float:
    """The median of the milliseconds from the start of `ctl hangup` to the BYE on the wire."""
    capture = Capture(pbx.address, directory / "hangup.pcapng")
    # The capture has to see the WebSocket's upgrade, or nobody could tell what it carries.
    with capture, Engine(pbx.ws_uri) as engine:
        engine.wait_registered()
        began = [hang_up(engine) for _ in range(RUNS)]
    byes = [_epoch(value) for (value,) in capture.fields("sip.Method == BYE", ["frame.time_epoch"])]
    return statistics.median((bye - begin) * 1000 for begin, bye in zip(began, byes, strict=True))


def main() -> None:
    """Print every figure, one line each."""
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as name, Asterisk() as pbx:
        directory = Path(name)
        print(asterisk_version())
        print(f"exec to registered       {median_of(lambda: start_to_registered(pbx)):7.0f} ms")
        speech = speech_wav(directory / "speech.wav", seconds=PACING_S)
        with Engine(pbx.ws_uri, audio={"input": f"wav:{speech}"}) as engine:
            engine.wait_registered()
            print(f"ctl status round trip    {median_of(lambda: ctl_round_trip(engine)):7.0f} ms")
            cpu, pss = cost(engine)
            print(f"idle                     {cpu:7.2f} % of a core, {pss:.1f} MiB PSS")
            engine.dial("600")
            engine.wait_seconds(1)
            cpu, pss = cost(engine)
            print(f"in a call                {cpu:7.2f} % of a core, {pss:.1f} MiB PSS")
            engine.ctl("hangup")
            engine.wait_no_calls()
            capture = Capture(pbx.address, directory / "pacing.pcapng")
            capture.start()
            intervals = sorted(send_intervals(engine, capture, pbx))
            print(
                f"RTP send interval        {statistics.mean(intervals):7.2f} ms mean, "
                f"{intervals[int(len(intervals) * 0.99)]:.2f} p99, {intervals[-1]:.2f} worst, {len(intervals)} packets"
            )
        print(f"ctl hangup to BYE        {hang_up_to_bye(pbx, directory):7.0f} ms")
        for scheme, username in AUTO:
            pss, security = memory_in_call(pbx, scheme, username)
            print(f"media = auto over {scheme:<7}{pss:7.1f} MiB PSS in a call ({security})")


if __name__ == "__main__":
    main()
