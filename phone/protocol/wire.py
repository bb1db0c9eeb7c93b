"""The numbers of the control socket: version, limits, error codes; apart from dataclasses, which cost ``ctl`` time."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

PROTOCOL = 1
"""Raised when an older client would misread what the engine says."""

FROZEN_METHODS = frozenset({"status", "answer", "hangup", "shutdown"})
"""Answered for clients of every protocol version, for ever."""

MAX_LINE_BYTES = 64 * 1024
"""Longest line the engine reads."""

MAX_REPLY_BYTES = 4 * 1024 * 1024
"""Longest line a client reads: a full state, a long history."""


class ErrorCode:
    """JSON-RPC error codes in use; the positive one is ours."""

    PARSE = -32700
    INVALID_REQUEST = -32600
    UNKNOWN_METHOD = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    REFUSED = 1
    """``error.data.reason`` says why, ``error.message`` is a sentence."""
