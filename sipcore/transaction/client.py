"""Non-INVITE client transaction, RFC 3261 §17.1.2.

    TRYING ──1xx──▶ PROCEEDING
       └──200-699──┴──200-699──▶ COMPLETED ──K──▶ TERMINATED

Sans-I/O: :meth:`ClientTransaction.handle` consumes an input and leaves its effects in
:attr:`~ClientTransaction.effects`. The caller owns the clock and carries the effects out.
"""

import enum
from dataclasses import dataclass, field


class State(enum.Enum):
    """States of §17.1.2.2."""

    TRYING = enum.auto()
    PROCEEDING = enum.auto()
    COMPLETED = enum.auto()
    TERMINATED = enum.auto()


class Input(enum.Enum):
    """What can happen to the transaction."""

    RESPONSE_1XX = enum.auto()
    RESPONSE_FINAL = enum.auto()
    TIMER_E = enum.auto()  # retransmit the request (unreliable transports only)
    TIMER_F = enum.auto()  # no final response
    TIMER_K = enum.auto()  # absorb retransmitted final responses
    TRANSPORT_ERROR = enum.auto()


class Effect(enum.Enum):
    """What the caller carries out, in this order."""

    SEND_REQUEST = enum.auto()
    DELIVER = enum.auto()
    FAIL_TIMEOUT = enum.auto()
    FAIL_TRANSPORT = enum.auto()
    RESTART_E = enum.auto()
    RESTART_E_AT_T2 = enum.auto()
    STOP_E_AND_F = enum.auto()
    START_K = enum.auto()


Transition = tuple[State, tuple[Effect, ...]]

St, In, Fx = State, Input, Effect

_FINAL = (St.COMPLETED, (Fx.STOP_E_AND_F, Fx.DELIVER, Fx.START_K))
_TIMED_OUT = (St.TERMINATED, (Fx.FAIL_TIMEOUT,))
_TRANSPORT_FAILED = (St.TERMINATED, (Fx.FAIL_TRANSPORT,))

# An absent pair is a no-op.
TRANSITIONS: dict[tuple[State, Input], Transition] = {
    # §17.1.2.2: timer E doubles up to T2 while TRYING and is T2 in PROCEEDING.
    (St.TRYING, In.TIMER_E): (St.TRYING, (Fx.SEND_REQUEST, Fx.RESTART_E)),
    (St.TRYING, In.TIMER_F): _TIMED_OUT,
    (St.TRYING, In.TRANSPORT_ERROR): _TRANSPORT_FAILED,
    (St.TRYING, In.RESPONSE_1XX): (St.PROCEEDING, (Fx.DELIVER,)),
    (St.TRYING, In.RESPONSE_FINAL): _FINAL,
    (St.PROCEEDING, In.TIMER_E): (St.PROCEEDING, (Fx.SEND_REQUEST, Fx.RESTART_E_AT_T2)),
    (St.PROCEEDING, In.TIMER_F): _TIMED_OUT,
    (St.PROCEEDING, In.TRANSPORT_ERROR): _TRANSPORT_FAILED,
    (St.PROCEEDING, In.RESPONSE_1XX): (St.PROCEEDING, (Fx.DELIVER,)),
    (St.PROCEEDING, In.RESPONSE_FINAL): _FINAL,
    (St.COMPLETED, In.TIMER_K): (St.TERMINATED, ()),
}


@dataclass(slots=True)
class ClientTransaction:
    """The machine alone; its request was sent, and timers E (unreliable only) and F started, as it was made."""

    state: State = State.TRYING
    effects: list[Effect] = field(default_factory=list)

    def handle(self, event: Input) -> None:
        """Feed one input; ignored inputs leave state and effects untouched."""
        if transition := TRANSITIONS.get((self.state, event)):
            self.state, effects = transition
            self.effects += effects
