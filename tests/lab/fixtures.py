"""Fixtures of the lab: PBX, sound server, captures, engines; each skipped with the reason where it cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.evidence import WITNESSES, Witness, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine
    from tests.lab.net import Namespace
    from tests.lab.relay import Relay
    from tests.lab.sound import SoundServer
    from tests.lab.wire import Capture


@pytest.fixture(scope="session")
def lab_pbx() -> Iterator[Asterisk]:
    """One Asterisk for the whole run."""
    from tests.lab import root

    require(root.why_unavailable())
    from tests.lab.asterisk import Asterisk

    with Asterisk() as pbx:
        print(root.asterisk_version())
        yield pbx


@pytest.fixture
def asterisk(lab_pbx: Asterisk) -> Iterator[Asterisk]:
    """The run's Asterisk, with no channel before the test and none after it."""
    lab_pbx.cli("channel request hangup all")
    lab_pbx.wait_no_channels()
    yield lab_pbx
    lab_pbx.cli("channel request hangup all")


@pytest.fixture
def own_asterisk() -> Iterator[Asterisk]:
    """An Asterisk for this test alone, to restart, freeze or reconfigure."""
    from tests.lab import root

    require(root.why_unavailable())
    from tests.lab.asterisk import Asterisk

    with Asterisk() as pbx:
        yield pbx


@pytest.fixture
def relay(asterisk: Asterisk) -> Iterator[Relay]:
    """A relay in front of the run's Asterisk."""
    from tests.lab.relay import Relay

    with Relay(asterisk.address) as wire:
        yield wire


@pytest.fixture
def pulse() -> Iterator[SoundServer]:
    """A sound server with null sinks `spk`, `mic` and `ring`, which move all the time."""
    from tests.lab import sound

    require(sound.why_unavailable())
    with sound.SoundServer(awake=True) as server:
        yield server


@pytest.fixture
def sleepy() -> Iterator[SoundServer]:
    """The same with sinks that take two seconds to wake when they have been idle."""
    from tests.lab import sound

    require(sound.why_unavailable())
    with sound.SoundServer() as server:
        yield server


@pytest.fixture
def capture(asterisk: Asterisk, tmp_path: Path) -> Iterator[Capture]:
    """A running capture of everything to and from the run's Asterisk."""
    from tests.lab import wire

    require(wire.why_unavailable())
    with wire.Capture(asterisk.address, tmp_path / "lab.pcapng") as running:
        yield running


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A network namespace without links."""
    from tests.lab import net

    require(net.why_unavailable())
    with net.Namespace() as made:
        yield made


@pytest.fixture
def make_engine(request: pytest.FixtureRequest) -> Iterator[Callable[..., Engine]]:
    """Makes engines (not started) that end with the test; takes what `Engine` takes."""
    from tests.lab.engine import Engine

    engines: list[Engine] = []
    witnesses: list[Witness] = request.node.stash.setdefault(WITNESSES, [])

    def make(*arguments: Any, **settings: Any) -> Engine:
        engine = Engine(*arguments, **settings)
        engines.append(engine)
        witnesses.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> Engine:
    """A running engine, registered as 1001 over ws, without sound."""
    made = make_engine(asterisk.ws_uri)
    made.start()
    made.wait_registered()
    return made


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Five seconds of speech, 8000 Hz mono."""
    from tests.lab.signals import speech_wav

    return speech_wav(tmp_path / "speech.wav")
