"""The JSON form of frozen dataclasses, by their own annotations: what is written is what is read back.

Members a reader does not know are ignored, members it misses take their default, so that either side may be newer.
Beside a text that can be said in other languages stands what it was made from, see :mod:`phone.protocol.phrases`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, Literal, TypeVar, Union

from phone.protocol.phrases import SUFFIX, Phrase, phrase_from_json, said
from phone.protocol.wire import Json as Json  # noqa: TC001 - given on to those who read and write JSON

T = TypeVar("T")


class ProtocolError(ValueError):
    """A JSON value does not have the form its type asks for."""


def to_json(value: Any) -> Any:
    """The JSON form of a value of this module: dataclasses become objects, tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _members(value)
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    return value


def _members(value: Any) -> Json:
    members: Json = {}
    for name in field_types(type(value)):
        member = getattr(value, name)
        members[name] = to_json(member)
        if isinstance(member, Phrase):
            members[name + SUFFIX] = said(member)
    return members


def from_json(cls: type[T], data: Any) -> T:
    """Read what :func:`to_json` wrote, ignoring members it does not know; raises :class:`ProtocolError`."""
    if not isinstance(data, dict):
        raise ProtocolError(f"{cls.__name__} must be an object")
    values = {
        name: _decode(hint, data[name], f"{cls.__name__}.{name}")
        for name, hint in field_types(cls).items()
        if name in data
    }
    for name, value in values.items():
        if isinstance(value, str) and name + SUFFIX in data:
            values[name] = phrase_from_json(value, data[name + SUFFIX])
    try:
        return cls(**values)
    except TypeError:
        raise ProtocolError(f"{cls.__name__} lacks a member; it has {', '.join(values) or 'none'}") from None


_KNOWN_TYPES: dict[type[Any], dict[str, Any]] = {}


def field_types(cls: type[Any]) -> dict[str, Any]:
    """The fields of a dataclass with their resolved types, which cost a look-up once per class."""
    if cls not in _KNOWN_TYPES:
        hints = typing.get_type_hints(cls)
        _KNOWN_TYPES[cls] = {item.name: hints[item.name] for item in dataclasses.fields(cls)}
    return _KNOWN_TYPES[cls]


def _decode(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and types.NoneType in options:
            return None
        (inner,) = (option for option in options if option is not types.NoneType)
        return _decode(inner, value, where)
    if origin is Literal:
        if value in typing.get_args(hint) and isinstance(value, str):
            return value
        raise ProtocolError(f"{where} is {value!r}")
    if origin is tuple:
        if not isinstance(value, list):
            raise ProtocolError(f"{where} must be a list")
        return tuple(_decode(typing.get_args(hint)[0], item, where) for item in value)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool):
        return value
    raise ProtocolError(f"{where} must be {hint.__name__}")
