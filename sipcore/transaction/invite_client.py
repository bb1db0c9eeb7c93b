"""INVITE client transaction, RFC 3261 §17.1.1 as corrected by RFC 6026 §7.2.

    CALLING ──1xx──▶ PROCEEDING ──2xx──▶ ACCEPTED ──M──▶ TERMINATED
       └──300-699──▶ COMPLETED ──D──▶ TERMINATED

Sans-I/O: :meth:`InviteClientTransaction.handle` consumes an input and leaves its effects in
:attr:`~InviteClientTransaction.effects`. The caller owns the clock and carries the effects out.
"""

import enum
from dataclasses import dataclass, field


class State(enum.Enum):
    """States of §17.1.1.2, with ACCEPTED of RFC 6026 §7.2."""

    CALLING = enum.auto()
    PROCEEDING = enum.auto()
    ACCEPTED = enum.auto()
    COMPLETED = enum.auto()
    TERMINATED = enum.auto()


class Input(enum.Enum):
    """What can happen to the transaction."""

    RESPONSE_1XX = enum.auto()
    RESPONSE_2XX = enum.auto()
    RESPONSE_300_PLUS = enum.auto()
    TIMER_A = enum.auto()  # retransmit the INVITE (unreliable transports only)
    TIMER_B = enum.auto()  # no answer at all
    TIMER_D = enum.auto()  # absorb retransmitted 300-699
    TIMER_M = enum.auto()  # absorb retransmitted 2xx
    CANCEL_EXPIRED = enum.auto()  # no final response in 64*T1 after our CANCEL
    TRANSPORT_ERROR = enum.auto()


class Effect(enum.Enum):
    """What the caller carries out, in this order."""

    SEND_REQUEST = enum.auto()
    SEND_ACK = enum.auto()
    DELIVER = enum.auto()
    FAIL_TIMEOUT = enum.auto()
    FAIL_TRANSPORT = enum.auto()
    RESTART_A = enum.auto()
    START_D = enum.auto()
    START_M = enum.auto()
    STOP_A_AND_B = enum.auto()


Transition = tuple[State, tuple[Effect, ...]]

St, In, Fx = State, Input, Effect

_FIRST_1XX = (St.PROCEEDING, (Fx.STOP_A_AND_B, Fx.DELIVER))
_FIRST_2XX = (St.ACCEPTED, (Fx.STOP_A_AND_B, Fx.DELIVER, Fx.START_M))
_FIRST_300 = (St.COMPLETED, (Fx.STOP_A_AND_B, Fx.SEND_ACK, Fx.DELIVER, Fx.START_D))

# An absent pair is a no-op. PROCEEDING has no timer of its own: bounding it is the caller's job.
TRANSITIONS: dict[tuple[State, Input], Transition] = {
    # §17.1.1.2: timer A retransmits the request and doubles.
    (St.CALLING, In.TIMER_A): (St.CALLING, (Fx.SEND_REQUEST, Fx.RESTART_A)),
    (St.CALLING, In.TIMER_B): (St.TERMINATED, (Fx.FAIL_TIMEOUT,)),
    (St.CALLING, In.TRANSPORT_ERROR): (St.TERMINATED, (Fx.FAIL_TRANSPORT,)),
    (St.CALLING, In.RESPONSE_1XX): _FIRST_1XX,
    (St.CALLING, In.RESPONSE_2XX): _FIRST_2XX,
    (St.CALLING, In.RESPONSE_300_PLUS): _FIRST_300,
    (St.PROCEEDING, In.RESPONSE_1XX): (St.PROCEEDING, (Fx.DELIVER,)),
    (St.PROCEEDING, In.RESPONSE_2XX): _FIRST_2XX,
    (St.PROCEEDING, In.RESPONSE_300_PLUS): _FIRST_300,
    (St.PROCEEDING, In.TRANSPORT_ERROR): (St.TERMINATED, (Fx.FAIL_TRANSPORT,)),
    # §9.1: "If there is no final response for the original request in 64*T1 seconds [...], the client SHOULD
    # then consider the original transaction cancelled and SHOULD destroy the client transaction".
    (St.PROCEEDING, In.CANCEL_EXPIRED): (St.TERMINATED, (Fx.FAIL_TIMEOUT,)),
    # RFC 6026 §7.2: 2xx retransmissions reach the TU, which sends its ACK again.
    (St.ACCEPTED, In.RESPONSE_2XX): (St.ACCEPTED, (Fx.DELIVER,)),
    (St.ACCEPTED, In.TIMER_M): (St.TERMINATED, ()),
    # The final response was delivered: a broken transport adds nothing the TU could act on.
    (St.COMPLETED, In.RESPONSE_300_PLUS): (St.COMPLETED, (Fx.SEND_ACK,)),
    (St.COMPLETED, In.TRANSPORT_ERROR): (St.TERMINATED, ()),
    (St.COMPLETED, In.TIMER_D): (St.TERMINATED, ()),
}


@dataclass(slots=True)
class InviteClientTransaction:
    """The machine alone; its INVITE was sent, and timers A (unreliable only) and B started, as it was made."""

    state: State = State.CALLING
    effects: list[Effect] = field(default_factory=list)

    def handle(self, event: Input) -> None:
        """Feed one input; ignored inputs leave state and effects untouched."""
        if transition := TRANSITIONS.get((self.state, event)):
            self.state, effects = transition
            self.effects += effects
