"""The transport supervisor's states and transitions (promise R2), as data.

    IDLE ──start──▶ CONNECTING ──opened──▶ OPEN ──lost──▶ WAITING ──due──▶ CONNECTING
                     │   ▲   └──failed──▶ WAITING            │
          failed last│   │due             link down          │link down
                     ▼   │                    ▼              ▼
                   GAVE_UP               OFFLINE ──link up──▶ CONNECTING

GAVE_UP is where the promised attempts are used up: with a background retry it leaves by itself, quietly.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """States of the supervisor of one account's flow."""

    IDLE = enum.auto()  # no flow wanted
    OFFLINE = enum.auto()  # wanted, but the local link is down
    WAITING = enum.auto()  # between two attempts
    CONNECTING = enum.auto()  # an OpenFlow is outstanding
    OPEN = enum.auto()
    GAVE_UP = enum.auto()  # the attempts are used up


class Input(enum.Enum):
    """What can happen; which of two similar inputs it is follows from the counters."""

    START = enum.auto()  # wanted from now on, or "retry now"
    START_OFFLINE = enum.auto()  # the same while the link is down
    STOP = enum.auto()
    LINK_DOWN = enum.auto()
    LINK_UP = enum.auto()
    DUE = enum.auto()  # the timer of the next attempt
    REACHABLE = enum.auto()  # a probe came through
    OPENED = enum.auto()
    FAILED = enum.auto()  # attempts are left
    FAILED_ELSEWHERE = enum.auto()  # attempts are left, and another server is worth trying at once
    FAILED_LAST = enum.auto()
    LOST = enum.auto()  # a flow that had registered
    LOST_UNPROVEN = enum.auto()  # one that had not: counts as a failed attempt
    LOST_LAST = enum.auto()  # the same, and the attempts are used up
    REFORM = enum.auto()  # nobody answers on it: form it anew, the series goes on
    REHOME = enum.auto()  # the local address is gone: form it anew, afresh


class Effect(enum.Enum):
    """What a transition does, in this order."""

    SAY_DOWN = enum.auto()  # the flow is no more
    CLOSE = enum.auto()  # hang up on our side
    RESET = enum.auto()  # a new series of attempts
    OPEN = enum.auto()  # count an attempt and make it
    SAY_UP = enum.auto()
    ARM_SPREAD = enum.auto()  # next attempt within fleet_spread
    ARM_GAP = enum.auto()  # next attempt after R2's gap
    ARM_SLOW = enum.auto()  # next attempt in the background
    DISARM = enum.auto()
    SAY_GAVE_UP = enum.auto()


Transition = tuple[State, tuple[Effect, ...]]

St, In, Fx = State, Input, Effect

# An absent pair is a no-op.
TRANSITIONS: dict[tuple[State, Input], Transition] = {
    (St.IDLE, In.START): (St.CONNECTING, (Fx.RESET, Fx.OPEN)),
    (St.IDLE, In.START_OFFLINE): (St.OFFLINE, (Fx.RESET,)),
    # R5: "offline stops burning attempts"; online "reconnects at once".
    (St.OFFLINE, In.LINK_UP): (St.CONNECTING, (Fx.RESET, Fx.OPEN)),
    (St.OFFLINE, In.STOP): (St.IDLE, ()),
    (St.WAITING, In.START): (St.CONNECTING, (Fx.DISARM, Fx.RESET, Fx.OPEN)),
    (St.WAITING, In.DUE): (St.CONNECTING, (Fx.DISARM, Fx.OPEN)),
    (St.WAITING, In.REACHABLE): (St.WAITING, (Fx.ARM_SPREAD,)),
    (St.WAITING, In.REHOME): (St.CONNECTING, (Fx.DISARM, Fx.RESET, Fx.OPEN)),
    (St.WAITING, In.LINK_DOWN): (St.OFFLINE, (Fx.DISARM,)),
    (St.WAITING, In.STOP): (St.IDLE, (Fx.DISARM,)),
    (St.CONNECTING, In.OPENED): (St.OPEN, (Fx.SAY_UP,)),
    (St.CONNECTING, In.FAILED): (St.WAITING, (Fx.ARM_GAP,)),
    (St.CONNECTING, In.FAILED_ELSEWHERE): (St.CONNECTING, (Fx.OPEN,)),
    (St.CONNECTING, In.FAILED_LAST): (St.GAVE_UP, (Fx.ARM_SLOW, Fx.SAY_GAVE_UP)),
    (St.CONNECTING, In.START): (St.CONNECTING, (Fx.CLOSE, Fx.RESET, Fx.OPEN)),
    (St.CONNECTING, In.REHOME): (St.CONNECTING, (Fx.CLOSE, Fx.RESET, Fx.OPEN)),
    (St.CONNECTING, In.LINK_DOWN): (St.OFFLINE, (Fx.CLOSE,)),
    (St.CONNECTING, In.STOP): (St.IDLE, (Fx.CLOSE,)),
    (St.OPEN, In.LOST): (St.WAITING, (Fx.SAY_DOWN, Fx.RESET, Fx.ARM_SPREAD)),
    (St.OPEN, In.LOST_UNPROVEN): (St.WAITING, (Fx.SAY_DOWN, Fx.ARM_GAP)),
    (St.OPEN, In.LOST_LAST): (St.GAVE_UP, (Fx.SAY_DOWN, Fx.ARM_SLOW, Fx.SAY_GAVE_UP)),
    (St.OPEN, In.REFORM): (St.CONNECTING, (Fx.SAY_DOWN, Fx.CLOSE, Fx.OPEN)),
    (St.OPEN, In.REHOME): (St.CONNECTING, (Fx.SAY_DOWN, Fx.CLOSE, Fx.RESET, Fx.OPEN)),
    (St.OPEN, In.LINK_DOWN): (St.OFFLINE, (Fx.SAY_DOWN, Fx.CLOSE)),
    (St.OPEN, In.STOP): (St.IDLE, (Fx.SAY_DOWN, Fx.CLOSE)),
    (St.GAVE_UP, In.START): (St.CONNECTING, (Fx.DISARM, Fx.RESET, Fx.OPEN)),
    (St.GAVE_UP, In.DUE): (St.CONNECTING, (Fx.DISARM, Fx.OPEN)),
    (St.GAVE_UP, In.REACHABLE): (St.GAVE_UP, (Fx.ARM_SPREAD,)),
    (St.GAVE_UP, In.REHOME): (St.CONNECTING, (Fx.DISARM, Fx.RESET, Fx.OPEN)),
    (St.GAVE_UP, In.LINK_DOWN): (St.OFFLINE, (Fx.DISARM,)),
    (St.GAVE_UP, In.STOP): (St.IDLE, (Fx.DISARM,)),
}
