"""One run of one row: a call to the PBX's echo, a fault, and what the far end got of it.

phone ══ signalling ══ relay ══ Asterisk          for what happens to connections
  ╚═══════════ RTP ═══════════════╝
phone's namespace ══ one cable, then another ══ Asterisk          for what happens to addresses
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.calls.callers import CALLERS, Offhook
from tests.lab.asterisk import Asterisk
from tests.lab.call_scene import pause
from tests.lab.net import Namespace
from tests.lab.relay import Relay
from tests.lab.rtp_view import heard_by
from tests.lab.waiting import wait_until
from tests.lab.wire import Capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.call_scene import Kind

_SETTLE_S = 2.0
_QUICK_PATIENCE_S = 70.0
PACKET_MS = 20
_BYE_S = 10.0
HANGING_UP, PAUSE = "BYE arrives", "longest pause ms"


@dataclass(slots=True)
class Measure:
    """What a fault leaves to be measured."""

    since: float
    """Unix time: for a stream that must not stop, the fault; else what sound is counted from."""

    resumes: bool = False
    """Whether sound is expected to stop: then the figure is the time until it is heard again."""

    address: str | None = None
    """From where it is then heard; None: from anywhere."""

    costs_signalling: bool = True
    """Whether it is to be waited for that the phone has its signalling back."""


@dataclass(slots=True)
class Finding:
    """What one run found."""

    gap_ms: float = math.inf
    pause_ms: float = 0.0
    up: bool = False
    """Whether phone and PBX both held the call after it all."""

    bye: bool = False
    """Whether hanging up on one side reached the other."""

    by_pbx: bool = False
    left: int = 0
    """Channels at the PBX after that."""

    @property
    def hanging_up(self) -> str:
        """The same in words."""
        reached = ("yes" if self.bye else "no") if self.up else "no call"
        return f"from {'the PBX' if self.by_pbx else 'the phone'}: {reached}" + (
            ", a channel left" if self.left else ""
        )

    def broken(self) -> list[str]:
        """The promises that do not hold, but for the gap."""
        found = [] if self.up else ["the call is not up"]
        found += [f"BYE {self.hanging_up}"] if self.up and not self.bye else []
        return found + ([f"channels left: {self.left}"] if self.left else [])


@dataclass(slots=True)
class World:
    """Where the calls are, made when first wanted; a context manager."""

    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _near: tuple[Asterisk, Relay] | None = None
    _far: Asterisk | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def near(self) -> tuple[Asterisk, Relay]:
        """A PBX on loopback, and the relay in front of its signalling."""
        if self._near is None:
            pbx = self._stack.enter_context(Asterisk())
            self._near = pbx, self._stack.enter_context(Relay(pbx.address))
        return self._near

    @property
    def far(self) -> Asterisk:
        """A PBX on an address that no cable holds."""
        if self._far is None:
            host = self._stack.enter_context(Namespace()).add_host()
            self._far = self._stack.enter_context(Asterisk(address=host))
        return self._far


class Trial:
    """A phone in a call; a context manager. ``distant``: in the namespace, with one cable."""

    def __init__(self, world: World, phone: str, kind: Kind, *, distant: bool, quick: bool) -> None:
        self.quick = quick
        self.kind = kind
        self._world = world
        self._distant = distant
        self._stack = contextlib.ExitStack()
        self.pbx = world.far if distant else world.near[0]
        prefix: list[str] = []
        if distant:
            self.namespace = self._stack.enter_context(Namespace())
            self.cable = self.namespace.add_link()
            prefix = self.namespace.command()
        host = self.pbx.address if distant else world.near[1].address
        self._patience_s = min(CALLERS[phone].patience_s, _QUICK_PATIENCE_S if quick else math.inf)
        self.caller = CALLERS[phone].make(self.pbx, kind, host, prefix)

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="offhook-calls-")))
        self._stack.callback(self.caller.close)
        self.capture = Capture(self.pbx.address, directory / "call.pcapng", device="any" if self._distant else "lo")
        self.capture.start()
        self._stack.callback(self.capture.stop)
        self.caller.start()
        self.caller.dial()
        pause(1.5)
        self.caller.mark()

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if not self._distant:
            self.relay.accept()
            self.relay.speak()
        self.pbx.cli("channel request hangup all")
        with contextlib.suppress(AssertionError):
            self.pbx.wait_no_channels()

    # --- for the rows ------------------------------------------------------------------------------------------------

    @property
    def relay(self) -> Relay:
        """In front of the PBX's signalling."""
        return self._world.near[1]

    @property
    def offhook(self) -> Offhook:
        """The phone, where only Offhook will do."""
        assert isinstance(self.caller, Offhook)
        return self.caller

    def outage(self, seconds: float) -> None:
        """Let an outage last, or a tenth of it with --quick."""
        pause(seconds / 10 if self.quick and seconds > 10 else seconds)

    def measure(self, fault: Callable[[Trial], Measure], *, by_pbx: bool) -> Finding:
        """Let it happen, wait for the phone, end the call from one side, and look at what the far end got."""
        found = Finding(by_pbx=by_pbx)
        measure = fault(self)
        if measure.costs_signalling:
            with contextlib.suppress(AssertionError):
                wait_until(self.caller.recovered, what="signalling is back", timeout_s=self._patience_s)
        pause(_SETTLE_S)
        found.up = self.caller.is_up() and len(self.pbx.channels()) == 1
        over = time.time()
        found.bye = self._end(by_pbx=by_pbx)
        found.left = len(self.pbx.channels())
        self.capture.stop()
        heard = heard_by(self.pbx.address, self.capture).until(over)
        if measure.resumes:
            after = heard.since(measure.since)
            after = after if measure.address is None else after.between(self.pbx.address, measure.address)
            found.gap_ms = (after.first_at - measure.since) * 1000
            found.pause_ms = after.longest_gap_ms
        else:
            after = heard.since(measure.since - 0.1)
            stopped = not after.packets or after.packets[-1].at < over - 1
            found.pause_ms = after.longest_gap_ms
            # Another engine numbers its packets anew: then only the clock tells what is missing.
            renumbered = len({packet.ssrc for packet in after.packets}) > 1
            found.gap_ms = after.longest_gap_ms - PACKET_MS if renumbered else after.lost * PACKET_MS
            if stopped:
                found.gap_ms = math.inf
        return found

    def _end(self, *, by_pbx: bool) -> bool:
        was_up = self.caller.is_up()
        try:
            if by_pbx:
                self.pbx.cli("channel request hangup all")
                wait_until(lambda: not self.caller.is_up(), what="the phone hears of it", timeout_s=_BYE_S)
            else:
                self.caller.hang_up()
            self.pbx.wait_no_channels(_BYE_S)
        except AssertionError:
            return False
        return was_up
