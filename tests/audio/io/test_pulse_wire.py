"""The native protocol's packets and tagged values: round trips, and nothing but ParseError for anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.io.pulse_wire import INVALID, Command, Packet, PacketReader, Reader, Writer, sound
from sipcore.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable

TAGGED: list[Callable[[Reader], object]] = [
    Reader.head,
    Reader.u32,
    Reader.s64,
    Reader.usec,
    Reader.boolean,
    Reader.time,
    Reader.string,
    Reader.sample_format,
]


def _payload(command: Writer) -> Reader:
    ((channel, payload),) = PacketReader().receive_untrusted(command.packet())
    assert channel == INVALID
    reader = Reader(payload)
    assert reader.head()[0] == Command.AUTH
    return reader


@given(st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=300)), max_size=6), st.integers(1, 70))
def test_packets_come_out_as_they_went_in_however_they_are_cut(sent: list[tuple[int, bytes]], size: int) -> None:
    stream = b"".join(sound(channel, samples, at_once=False) for channel, samples in sent)
    reader = PacketReader()
    packets: list[Packet] = []
    for start in range(0, len(stream), size):
        packets += reader.receive_untrusted(stream[start : start + size])
    assert packets == sent


@given(
    st.integers(0, 2**32 - 1), st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")), st.booleans()
)
def test_values_come_out_as_they_went_in(number: int, text: str, flag: bool) -> None:
    command = Writer(Command.AUTH, 7).u32(number).string(text).string(None).booleans(flag).mono(8000)
    reader = _payload(command)
    assert (reader.u32(), reader.string(), reader.string(), reader.boolean()) == (number, text, None, flag)
    assert reader.sample_format() == 8000


@given(st.floats(0, 4e9))
def test_times_keep_their_microseconds(seconds: float) -> None:
    assert _payload(Writer(Command.AUTH, 1).time(seconds)).time() == pytest.approx(seconds, abs=2e-6)


def test_a_command_looks_as_the_protocol_has_it() -> None:
    """From the protocol's own description: tag 'L' and 32 bits, 'P' key 'L' length 'x' length value … 'N'."""
    packet = Writer(Command.SET_CLIENT_NAME, 2).properties({"a": "b"}).packet()
    payload = b"L\0\0\0\x09" + b"L\0\0\0\x02" + b"Pta\0L\0\0\0\x02x\0\0\0\x02b\0N"
    assert packet == len(payload).to_bytes(4) + b"\xff\xff\xff\xff" + bytes(12) + payload


def test_the_first_sound_is_placed_where_the_server_reads() -> None:
    assert sound(3, b"ab", at_once=True) == b"\0\0\0\x02" + b"\0\0\0\x03" + bytes(8) + b"\0\0\0\x02" + b"ab"
    assert sound(3, b"ab", at_once=False)[16:20] == bytes(4)


@pytest.mark.parametrize(
    "header",
    [
        b"\x7f\xff\xff\xff" + b"\xff\xff\xff\xff" + bytes(12),  # two gigabytes to come
        b"\0\0\0\x10" + bytes(12) + b"\x80\0\0\0",  # a block of shared memory
    ],
)
def test_what_was_not_agreed_on_is_refused(header: bytes) -> None:
    with pytest.raises(ParseError):
        PacketReader().receive_untrusted(header)


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_refused(data: bytes) -> None:
    try:
        for _, payload in PacketReader().receive_untrusted(data):
            assert len(payload) <= len(data)
    except ParseError:
        pass


@given(st.binary(max_size=60), st.lists(st.sampled_from(TAGGED), max_size=6))
def test_any_bytes_are_values_or_refused(data: bytes, wanted: list[Callable[[Reader], object]]) -> None:
    reader = Reader(data)
    try:
        for value in wanted:
            value(reader)
    except ParseError:
        pass
