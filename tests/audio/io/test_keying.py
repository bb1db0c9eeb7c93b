"""What a call is encrypted with is made when it is asked for, and not before."""

from __future__ import annotations

import asyncio
import dataclasses
import random

import pytest

from audio.engine import AudioEngine, AudioSettings
from audio.io.keying import Keying
from sipcore.errors import LocalProtocolError
from sipcore.ids import IdSource
from tests.audio.calling import Phone

QUIET = AudioSettings(input="none", output="none", ring="none")
LOOPBACK = "127.0.0.1"


async def started() -> AudioEngine:
    engine = Phone(QUIET).engine
    await engine.start()
    return engine


def test_a_plain_call_is_equipped_later_and_stays_where_it_is() -> None:
    async def test() -> None:
        engine = await started()
        plain = await engine.open("call", LOOPBACK)
        assert (plain.fingerprint, plain.crypto, plain.ice, plain.rtcp_mux) == (None, (), None, False)
        dtls = await engine.equip("call", dtls=True)
        assert dtls is not None
        assert dtls.fingerprint is not None
        assert dtls.ice is not None
        assert dtls == dataclasses.replace(plain, fingerprint=dtls.fingerprint, ice=dtls.ice, rtcp_mux=True)
        both = await engine.equip("call", sdes=True)
        assert both is not None
        assert both.crypto
        assert both == dataclasses.replace(dtls, crypto=both.crypto)
        assert await engine.equip("call") == both
        other = await engine.open("other", LOOPBACK, dtls=True)
        assert other.fingerprint == dtls.fingerprint  # one certificate a run
        assert other.ice != dtls.ice
        await engine.stop()

    asyncio.run(test())


def test_a_call_that_is_gone_is_not_equipped() -> None:
    async def test() -> None:
        engine = await started()
        assert await engine.equip("call", dtls=True) is None
        await engine.open("call", LOOPBACK)
        equipping = asyncio.create_task(engine.equip("call", dtls=True, sdes=True))
        await asyncio.sleep(0)
        engine.close_call("call")
        assert await equipping is None
        await engine.stop()

    asyncio.run(test())


def test_a_call_that_ends_while_it_is_opened_is_refused() -> None:
    async def test() -> None:
        engine = await started()
        opening = asyncio.create_task(engine.open("call", LOOPBACK, dtls=True))
        await asyncio.sleep(0)
        engine.close_call("call")
        with pytest.raises(LocalProtocolError, match="ended while its sound was made ready"):
            await opening
        await engine.stop()

    asyncio.run(test())


def test_two_calls_at_once_get_one_certificate() -> None:
    async def test() -> None:
        keying = Keying(IdSource(random.SystemRandom()))
        one, other = await asyncio.gather(keying.certificate(), keying.certificate())
        assert one is other

    asyncio.run(test())
