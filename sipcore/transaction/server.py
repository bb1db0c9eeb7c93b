"""Non-INVITE server transaction, RFC 3261 §17.2.2.

    TRYING ──1xx──▶ PROCEEDING
       └──200-699──┴──200-699──▶ COMPLETED ──J──▶ TERMINATED

RFC 4320 §4.1: a TU sends no 408, and no provisional but a late 100; silence is left to the client's timer F.
Sans-I/O: :meth:`ServerTransaction.handle` consumes an input and leaves its effects in
:attr:`~ServerTransaction.effects`. The caller owns the clock and carries the effects out.
"""

import enum
from dataclasses import dataclass, field


class State(enum.Enum):
    """States of §17.2.2."""

    TRYING = enum.auto()
    PROCEEDING = enum.auto()
    COMPLETED = enum.auto()
    TERMINATED = enum.auto()


class Input(enum.Enum):
    """What can happen to the transaction; the RESPONSE_ inputs come from the TU."""

    REQUEST = enum.auto()  # the request again
    RESPONSE_1XX = enum.auto()
    RESPONSE_FINAL = enum.auto()
    TIMER_F = enum.auto()  # the TU never answered: the client has given up by now
    TIMER_J = enum.auto()  # absorb retransmitted requests


class Effect(enum.Enum):
    """What the caller carries out, in this order."""

    SEND_RESPONSE = enum.auto()  # the TU's, which becomes the last one
    RESEND_RESPONSE = enum.auto()  # the last one
    STOP_F = enum.auto()
    START_J = enum.auto()


Transition = tuple[State, tuple[Effect, ...]]

St, In, Fx = State, Input, Effect

# An absent pair is a no-op: "Any other final responses passed by the TU to the server transaction MUST be discarded".
TRANSITIONS: dict[tuple[State, Input], Transition] = {
    (St.TRYING, In.RESPONSE_1XX): (St.PROCEEDING, (Fx.SEND_RESPONSE,)),
    (St.TRYING, In.RESPONSE_FINAL): (St.COMPLETED, (Fx.STOP_F, Fx.SEND_RESPONSE, Fx.START_J)),
    (St.TRYING, In.TIMER_F): (St.TERMINATED, ()),
    (St.PROCEEDING, In.REQUEST): (St.PROCEEDING, (Fx.RESEND_RESPONSE,)),
    (St.PROCEEDING, In.RESPONSE_1XX): (St.PROCEEDING, (Fx.SEND_RESPONSE,)),
    (St.PROCEEDING, In.RESPONSE_FINAL): (St.COMPLETED, (Fx.STOP_F, Fx.SEND_RESPONSE, Fx.START_J)),
    (St.PROCEEDING, In.TIMER_F): (St.TERMINATED, ()),
    (St.COMPLETED, In.REQUEST): (St.COMPLETED, (Fx.RESEND_RESPONSE,)),
    (St.COMPLETED, In.TIMER_J): (St.TERMINATED, ()),
}


@dataclass(slots=True)
class ServerTransaction:
    """The machine alone; its request was delivered, and timer F started, as it was made."""

    state: State = State.TRYING
    effects: list[Effect] = field(default_factory=list)

    def handle(self, event: Input) -> None:
        """Feed one input; ignored inputs leave state and effects untouched."""
        if transition := TRANSITIONS.get((self.state, event)):
            self.state, effects = transition
            self.effects += effects
