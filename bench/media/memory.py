"""What the engine's memory is spent on: proportional set size, import by import, through one call.

    python -m bench.media.memory [--encryption] [--json]

The engine is started as always, but the loaders of its modules are watched: what a module's own code added to the
process is booked to its top package, what the modules it imports add to theirs. The rest is the interpreter, and
what a running call holds. With `--encryption` what a DTLS-SRTP call loads is loaded too, though the call is the same
plain one: the far end here speaks nothing else.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_IN_CALL_S = 3.0
_OURS = ("sipcore", "audio", "phone", "tui")
_SHOWN_MB = 0.3
_ENCRYPTION, _PLAIN = "--encryption", "--plain"


def pss_mb() -> float:
    """Of this process."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


class Ledger:
    """Books what loading modules adds."""

    def __init__(self) -> None:
        self.start = pss_mb()
        self.by_package: defaultdict[str, float] = defaultdict(float)
        self._nested = [0.0]

    def watch(self) -> None:
        """From now on."""
        for loader in (importlib.machinery.SourceFileLoader, importlib.machinery.ExtensionFileLoader):
            for method in ("create_module", "exec_module"):
                setattr(loader, method, self._booked(getattr(loader, method)))

    def _booked(self, load: Callable[..., Any]) -> Callable[..., Any]:
        def booked(loader: Any, subject: Any) -> Any:
            before = pss_mb()
            self._nested.append(0.0)
            try:
                return load(loader, subject)
            finally:
                added = pss_mb() - before
                package = loader.name.partition(".")[0]
                self.by_package[package] += added - self._nested.pop()
                self._nested[-1] += added

        return booked


def watched(report: str, encryption: str, arguments: list[str]) -> int:
    """Be the engine, and write down what it weighed; for the process that is started for it."""
    ledger = Ledger()
    ledger.watch()
    if encryption == _ENCRYPTION:
        import asyncio
        import random

        from audio.io.keying import Keying
        from sipcore.ids import IdSource

        asyncio.run(Keying(IdSource(random.SystemRandom())).certificate())
    sys.argv = ["offhook", *arguments]
    from phone.cli.entry import main as offhook

    status = 0
    try:
        status = offhook() or 0
    finally:
        figures = {"interpreter": ledger.start, "packages": ledger.by_package, "loaded": sorted(sys.modules)}
        Path(report).write_text(json.dumps(figures | {"end": pss_mb()}))
    return status


def measure(*, encryption: bool) -> dict[str, float]:
    """MB by package, the dearest first; what is not theirs at both ends."""
    from bench.media.far_end import FarEnd
    from bench.secure import pss_mib
    from tests.lab.engine import Engine
    from tests.lab.sound import SoundServer

    with SoundServer() as server, FarEnd() as far:
        report = server.directory / "memory.json"
        sound = {name: value for name, value in server.client_environment().items() if name.startswith("PULSE_")}
        engine = Engine(
            f"udp:127.0.0.1:{far.port}",
            "bench",
            password="x",
            audio={"input": "default", "output": "default", "ring": "none"},
            environment=sound,
            command_prefix=(
                *(sys.executable, "-m", "bench.media.memory", "--watched", str(report)),
                _ENCRYPTION if encryption else _PLAIN,
            ),
        )
        with engine:
            engine.wait_registered()
            engine.dial("600")
            far.wait_answered()
            time.sleep(_IN_CALL_S)
            in_call = pss_mib(engine.pid)
            engine.ctl("hangup")
            engine.wait_no_calls()
            engine.stop()
            figures = json.loads(report.read_text())
    found: dict[str, float] = {"Python itself": figures["interpreter"]}
    packages = Counter(figures["packages"])
    ours = sum(packages.pop(name, 0.0) for name in _OURS)
    dear = [(name, size) for name, size in packages.most_common() if size >= _SHOWN_MB]
    small = sum(packages.values()) - sum(size for _, size in dear)
    found |= {**dict(dear), "the standard library's and others' small ones": small, "Offhook's own code": ours}
    return found | {"a call with its sound, and all else": in_call - sum(found.values()), "all": in_call}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.media.memory")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(_ENCRYPTION, action="store_true", help="load its libraries, and make a certificate")
    arguments = parser.parse_args()
    figures = measure(encryption=arguments.encryption)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, size in figures.items():
            print(f"{name:46} {size:6.1f} MB")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watched"]:
        # What follows the first two is python -m phone.cli and the engine's own words.
        sys.exit(watched(sys.argv[2], sys.argv[3], sys.argv[7:]))
    sys.exit(main())
