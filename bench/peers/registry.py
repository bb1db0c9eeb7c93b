"""The phones that can be measured, by the name that PEERS= takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.peers import cache
from bench.peers.baresip import Baresip
from bench.peers.node import NodePhone
from bench.resilience.peer import Offhook
from phone.version import version

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.resilience.peer import Phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of phone. ``prepare`` installs it, raising `cache.MissingError`, and returns its version."""

    title: str
    make: Callable[..., Phone]
    """Takes server URI, user name, password and, by name, the command that enters the namespace."""

    prepare: Callable[[], str]
    calls: bool = False
    """Whether it can be made to call."""


PEERS: dict[str, Kind] = {
    "offhook": Kind(title="Offhook", make=Offhook, prepare=version, calls=True),
    "jssip": Kind(title="JsSIP", make=partial(NodePhone, "jssip.js"), prepare=partial(cache.node_version, "jssip")),
    "sipjs": Kind(
        title="SIP.js SessionManager, as it comes",
        make=partial(NodePhone, "sipjs.js"),
        prepare=partial(cache.node_version, "sip.js"),
    ),
    "sipjs-on": Kind(
        title="SIP.js, all on, the original's values",
        make=partial(NodePhone, "sipjs.js", variant="on"),
        prepare=partial(cache.node_version, "sip.js"),
    ),
    "baresip": Kind(title="baresip over ws", make=Baresip, prepare=cache.baresip_version, calls=True),
}
