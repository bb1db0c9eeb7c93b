"""Commands as clients send them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phone.protocol import commands as cmd
from phone.protocol.codec import ProtocolError, to_json
from phone.protocol.wire import FROZEN_METHODS


@given(st.sampled_from(sorted(cmd.COMMANDS)).flatmap(lambda name: st.from_type(cmd.COMMANDS[name])))
def test_what_is_written_is_read_back(command: cmd.Command) -> None:
    data = json.loads(json.dumps(to_json(command)))
    assert cmd.command_from_json(command.method, data) == command


def test_the_frozen_methods_take_what_they_always_took() -> None:
    """architecture.md "Skew": frozen for ever."""
    assert sorted(FROZEN_METHODS) == ["answer", "hangup", "shutdown", "status"]
    assert cmd.command_from_json("status", None) == cmd.Status()
    assert cmd.command_from_json("answer", {}) == cmd.Answer()
    assert cmd.command_from_json("answer", {"call": "abcd"}) == cmd.Answer("abcd")
    assert cmd.command_from_json("hangup", {"call": None}) == cmd.Hangup()
    assert cmd.command_from_json("shutdown", {}) == cmd.Shutdown()


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("dial", {}, "lacks a member"),
        ("dial", {"target": 600}, "must be str"),
        ("dial", {"target": "600", "wait": True}, "no parameter 'wait'"),
        ("dial", ["600"], "must be an object"),
        ("history", {"limit": True}, "must be int"),
        ("set_verbose", {"on": 1}, "must be bool"),
    ],
)
def test_bad_parameters_are_told(method: str, params: object, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        cmd.command_from_json(method, params)


def test_an_unknown_method_is_none() -> None:
    with pytest.raises(KeyError):
        cmd.command_from_json("explode", {})


def test_a_password_shows_in_no_representation() -> None:
    assert "hunter2" not in repr(cmd.SetPassword("hunter2"))
