"""The registration supervisor's states and transitions (promise R1; RFC 3261 §10.2), as data.

    IDLE ──start──▶ SENDING ──accepted──▶ REGISTERED ──due──▶ SENDING
                     │  ▲  └─flow down─▶ NO_FLOW ──flow up──▶ SENDING
             failed  ▼  │ due
                 RETRY_WAIT
       failed last   │
                 LAST_WAIT ──due──▶ SLOW_WAIT ──due──▶ SENDING (quietly)
    REGISTERED ──stop──▶ UNREGISTERING ──removed──▶ IDLE

One REGISTER is in flight at most: in SENDING, STOPPING, UNREGISTERING and RESTARTING, and nowhere else.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """States of the supervisor of one account's binding."""

    IDLE = enum.auto()  # not wanted
    NO_FLOW = enum.auto()  # wanted; the transport supervisor is at work
    SENDING = enum.auto()  # a REGISTER is in flight
    RETRY_WAIT = enum.auto()  # between two attempts of the series
    LAST_WAIT = enum.auto()  # the series is used up; the last wait of R1
    REGISTERED = enum.auto()
    SLOW_WAIT = enum.auto()  # failed; a quiet attempt may follow
    STOPPING = enum.auto()  # not wanted any more, but a REGISTER is in flight
    UNREGISTERING = enum.auto()  # the un-REGISTER is in flight
    RESTARTING = enum.auto()  # the same, and a registration is wanted again


class Input(enum.Enum):
    """What can happen; which of two similar inputs it is follows from the counters and from the flow."""

    START = enum.auto()
    START_NO_FLOW = enum.auto()
    STOP = enum.auto()  # there is no binding that could be removed
    STOP_BOUND = enum.auto()
    FLOW_UP = enum.auto()
    FLOW_DOWN = enum.auto()
    FLOW_LEFT = enum.auto()  # we closed it, or another one would not help
    TRANSPORT_GAVE_UP = enum.auto()
    ACCEPTED = enum.auto()
    FAILED = enum.auto()  # attempts are left
    FAILED_ELSEWHERE = enum.auto()  # attempts are left, and another server is being tried
    FAILED_LAST = enum.auto()
    FAILED_BOUND = enum.auto()  # the series is used up, but the binding lives on
    FAILED_QUIET = enum.auto()  # a quiet attempt
    REFUSED = enum.auto()  # for good
    DUE = enum.auto()
    DUE_NO_FLOW = enum.auto()
    EXPIRED = enum.auto()  # the binding's time is over
    REMOVED = enum.auto()  # the un-REGISTER was answered, or never will be


class Effect(enum.Enum):
    """What a transition does, in this order."""

    SAY_LOST = enum.auto()
    NEW_SERIES = enum.auto()
    QUIET_SERIES = enum.auto()  # the same for a new flow, after failure was announced
    QUIET_ATTEMPT = enum.auto()  # just one
    WANT_FLOW = enum.auto()
    SEND = enum.auto()
    SEND_REMOVAL = enum.auto()
    UNCOUNT = enum.auto()  # the attempt broke with its flow: R2 counts it, not R1
    ARM_RETRY = enum.auto()
    ARM_REFRESH = enum.auto()
    ARM_SLOW = enum.auto()
    DISARM = enum.auto()
    SAY_REGISTERED = enum.auto()
    SAY_GAVE_UP = enum.auto()
    SAY_UNREGISTERED = enum.auto()


Transition = tuple[State, tuple[Effect, ...]]

St, In, Fx = State, Input, Effect

_BEGIN: Transition = (St.SENDING, (Fx.DISARM, Fx.NEW_SERIES, Fx.SEND))
_BEGIN_NO_FLOW: Transition = (St.NO_FLOW, (Fx.DISARM, Fx.NEW_SERIES, Fx.WANT_FLOW))
_REMOVE: Transition = (St.UNREGISTERING, (Fx.DISARM, Fx.SEND_REMOVAL))
_END: Transition = (St.IDLE, (Fx.DISARM, Fx.SAY_UNREGISTERED))

# An absent pair is a no-op.
TRANSITIONS: dict[tuple[State, Input], Transition] = {
    (St.IDLE, In.START): _BEGIN,
    (St.IDLE, In.START_NO_FLOW): _BEGIN_NO_FLOW,
    (St.NO_FLOW, In.START_NO_FLOW): _BEGIN_NO_FLOW,
    (St.NO_FLOW, In.FLOW_UP): (St.SENDING, (Fx.SEND,)),
    (St.NO_FLOW, In.FLOW_LEFT): (St.NO_FLOW, (Fx.SAY_LOST,)),
    (St.NO_FLOW, In.TRANSPORT_GAVE_UP): (St.NO_FLOW, (Fx.QUIET_SERIES,)),
    (St.NO_FLOW, In.STOP): _END,
    # §10.2: "UAs MUST NOT send a new registration ... until they have received a final response from the registrar
    # for the previous one or the previous REGISTER request has timed out".
    (St.SENDING, In.ACCEPTED): (St.REGISTERED, (Fx.SAY_REGISTERED, Fx.ARM_REFRESH)),
    (St.SENDING, In.FAILED): (St.RETRY_WAIT, (Fx.ARM_RETRY,)),
    (St.SENDING, In.FAILED_ELSEWHERE): (St.NO_FLOW, ()),
    (St.SENDING, In.FAILED_LAST): (St.LAST_WAIT, (Fx.ARM_RETRY,)),
    (St.SENDING, In.FAILED_BOUND): (St.SLOW_WAIT, (Fx.ARM_SLOW,)),
    (St.SENDING, In.FAILED_QUIET): (St.SLOW_WAIT, (Fx.ARM_SLOW,)),
    (St.SENDING, In.REFUSED): (St.SLOW_WAIT, (Fx.SAY_GAVE_UP,)),
    (St.SENDING, In.FLOW_DOWN): (St.NO_FLOW, (Fx.SAY_LOST, Fx.UNCOUNT)),
    (St.SENDING, In.EXPIRED): (St.SENDING, (Fx.SAY_LOST,)),
    (St.SENDING, In.START): (St.SENDING, (Fx.NEW_SERIES,)),
    (St.SENDING, In.STOP): (St.STOPPING, ()),
    (St.SENDING, In.STOP_BOUND): (St.STOPPING, ()),
    (St.RETRY_WAIT, In.DUE): (St.SENDING, (Fx.SEND,)),
    (St.RETRY_WAIT, In.DUE_NO_FLOW): (St.NO_FLOW, (Fx.WANT_FLOW,)),
    (St.RETRY_WAIT, In.START): _BEGIN,
    (St.RETRY_WAIT, In.START_NO_FLOW): _BEGIN_NO_FLOW,
    (St.RETRY_WAIT, In.FLOW_DOWN): (St.RETRY_WAIT, (Fx.SAY_LOST,)),
    (St.RETRY_WAIT, In.FLOW_LEFT): (St.RETRY_WAIT, (Fx.SAY_LOST,)),
    (St.RETRY_WAIT, In.EXPIRED): (St.RETRY_WAIT, (Fx.SAY_LOST,)),
    (St.RETRY_WAIT, In.TRANSPORT_GAVE_UP): (St.NO_FLOW, (Fx.DISARM, Fx.QUIET_SERIES)),
    (St.RETRY_WAIT, In.STOP): _END,
    (St.RETRY_WAIT, In.STOP_BOUND): _REMOVE,
    (St.LAST_WAIT, In.DUE): (St.SLOW_WAIT, (Fx.ARM_SLOW, Fx.SAY_GAVE_UP)),
    (St.LAST_WAIT, In.DUE_NO_FLOW): (St.SLOW_WAIT, (Fx.ARM_SLOW, Fx.SAY_GAVE_UP)),
    (St.LAST_WAIT, In.FLOW_UP): _BEGIN,
    (St.LAST_WAIT, In.START): _BEGIN,
    (St.LAST_WAIT, In.START_NO_FLOW): _BEGIN_NO_FLOW,
    # R1 begins anew after every reconnect, so R2 decides from here.
    (St.LAST_WAIT, In.FLOW_DOWN): (St.NO_FLOW, (Fx.SAY_LOST, Fx.DISARM, Fx.NEW_SERIES)),
    (St.LAST_WAIT, In.FLOW_LEFT): (St.LAST_WAIT, (Fx.SAY_LOST,)),
    (St.LAST_WAIT, In.EXPIRED): (St.LAST_WAIT, (Fx.SAY_LOST,)),
    (St.LAST_WAIT, In.TRANSPORT_GAVE_UP): (St.NO_FLOW, (Fx.DISARM, Fx.QUIET_SERIES)),
    (St.LAST_WAIT, In.STOP): _END,
    (St.LAST_WAIT, In.STOP_BOUND): _REMOVE,
    (St.SLOW_WAIT, In.DUE): (St.SENDING, (Fx.QUIET_ATTEMPT, Fx.SEND)),
    (St.SLOW_WAIT, In.DUE_NO_FLOW): (St.NO_FLOW, (Fx.QUIET_ATTEMPT, Fx.WANT_FLOW)),
    (St.SLOW_WAIT, In.FLOW_UP): (St.SENDING, (Fx.DISARM, Fx.QUIET_SERIES, Fx.SEND)),
    (St.SLOW_WAIT, In.FLOW_DOWN): (St.SLOW_WAIT, (Fx.SAY_LOST,)),
    (St.SLOW_WAIT, In.FLOW_LEFT): (St.SLOW_WAIT, (Fx.SAY_LOST,)),
    # Failing to refresh is nobody's business as long as the binding lives.
    (St.SLOW_WAIT, In.EXPIRED): (St.SLOW_WAIT, (Fx.SAY_LOST, Fx.SAY_GAVE_UP)),
    (St.SLOW_WAIT, In.START): _BEGIN,
    (St.SLOW_WAIT, In.START_NO_FLOW): _BEGIN_NO_FLOW,
    (St.SLOW_WAIT, In.STOP): _END,
    (St.SLOW_WAIT, In.STOP_BOUND): _REMOVE,
    (St.REGISTERED, In.DUE): (St.SENDING, (Fx.NEW_SERIES, Fx.SEND)),
    (St.REGISTERED, In.START): _BEGIN,
    (St.REGISTERED, In.FLOW_DOWN): (St.NO_FLOW, (Fx.DISARM, Fx.SAY_LOST, Fx.NEW_SERIES)),
    # Only after a sleep longer than the binding: otherwise the refresh comes first.
    (St.REGISTERED, In.EXPIRED): (St.SENDING, (Fx.DISARM, Fx.SAY_LOST, Fx.NEW_SERIES, Fx.SEND)),
    (St.REGISTERED, In.STOP_BOUND): _REMOVE,
    (St.STOPPING, In.ACCEPTED): _REMOVE,
    (St.STOPPING, In.FAILED): _END,
    (St.STOPPING, In.FAILED_ELSEWHERE): _END,
    (St.STOPPING, In.FAILED_LAST): _END,
    (St.STOPPING, In.FAILED_BOUND): _REMOVE,
    (St.STOPPING, In.FAILED_QUIET): _END,
    (St.STOPPING, In.REFUSED): _END,
    (St.STOPPING, In.FLOW_DOWN): _END,
    (St.STOPPING, In.START): (St.SENDING, ()),
    (St.UNREGISTERING, In.REMOVED): _END,
    (St.UNREGISTERING, In.FLOW_DOWN): _END,
    (St.UNREGISTERING, In.START): (St.RESTARTING, ()),
    (St.RESTARTING, In.REMOVED): (St.SENDING, (Fx.SAY_UNREGISTERED, Fx.NEW_SERIES, Fx.SEND)),
    (St.RESTARTING, In.FLOW_DOWN): (St.NO_FLOW, (Fx.SAY_UNREGISTERED, Fx.NEW_SERIES, Fx.WANT_FLOW)),
    (St.RESTARTING, In.STOP): (St.UNREGISTERING, ()),
    (St.RESTARTING, In.STOP_BOUND): (St.UNREGISTERING, ()),
}
