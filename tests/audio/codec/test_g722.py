"""G.722 by the extra's library, and what is offered with it and without (RFC 3551 §4.5.2)."""

from __future__ import annotations

import random

import numpy as np
import pytest

from audio.codec import g722, registry
from sipcore.media import DEFAULT_CODECS, G722, PCMU, Codec
from tests.audio.wideband import needs_g722, share, tone


@needs_g722
def test_a_tone_no_telephone_carries_comes_through() -> None:
    sound = tone(1.0)
    encoder, decoder = g722.G722(), g722.G722()
    payloads = [encoder.encode(sound[place : place + 320]) for place in range(0, len(sound), 320)]
    assert {len(payload) for payload in payloads} == {160}
    assert encoder.duration(payloads[0]) == 160
    heard = np.concatenate([decoder.decode(payload) for payload in payloads])
    assert share(heard[1600:]) > 0.98
    assert np.sqrt((heard[1600:].astype(float) ** 2).mean()) == pytest.approx(8000 / np.sqrt(2), rel=0.1)


@needs_g722
def test_any_payload_is_sound() -> None:
    draw = random.Random(1)
    decoder = g722.G722()
    for length in (0, 1, 3, 160, 480, 1400):
        assert len(decoder.decode(draw.randbytes(length))) == 2 * length


@needs_g722
def test_it_is_offered_first_where_it_is_installed() -> None:
    assert registry.offered() == (G722, *DEFAULT_CODECS)
    assert registry.highest_sample_rate() == 16000
    assert registry.supports(Codec(99, "g722", 8000))
    assert not registry.supports(Codec(99, "G722", 16000))


def test_without_the_extra_nothing_is_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(g722, "_library", lambda: None)
    assert registry.offered() == DEFAULT_CODECS
    assert registry.highest_sample_rate() == 8000
    assert not registry.supports(G722)
    assert registry.supports(PCMU)
