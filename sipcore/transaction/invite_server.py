"""INVITE server transaction, RFC 3261 §17.2.1 as corrected by RFC 6026 §7.1.

    TRYING ──1xx──▶ PROCEEDING ──2xx──▶ ACCEPTED ──L──▶ TERMINATED
       └──300-699──────┴──300-699──▶ COMPLETED ──ACK──▶ CONFIRMED ──I──▶ TERMINATED
                                         └──H──▶ TERMINATED

TRYING is PROCEEDING of the RFC before its first provisional: the 100 it owes is 200 ms away.
Sans-I/O: :meth:`InviteServerTransaction.handle` consumes an input and leaves its effects in
:attr:`~InviteServerTransaction.effects`. The caller owns the clock and carries the effects out.
"""

import enum
from dataclasses import dataclass, field


class State(enum.Enum):
    """States of §17.2.1, with ACCEPTED of RFC 6026 §7.1."""

    TRYING = enum.auto()
    PROCEEDING = enum.auto()
    ACCEPTED = enum.auto()
    COMPLETED = enum.auto()
    CONFIRMED = enum.auto()
    TERMINATED = enum.auto()


class Input(enum.Enum):
    """What can happen to the transaction; the RESPONSE_ inputs come from the TU."""

    REQUEST = enum.auto()  # the INVITE again
    ACK = enum.auto()
    RESPONSE_1XX = enum.auto()
    RESPONSE_2XX = enum.auto()
    RESPONSE_300_PLUS = enum.auto()
    TIMER_100 = enum.auto()  # the TU was silent for 200 ms
    TIMER_G = enum.auto()  # retransmit 300-699 (unreliable transports only)
    TIMER_H = enum.auto()  # no ACK for 300-699
    TIMER_I = enum.auto()  # absorb retransmitted ACKs
    TIMER_L = enum.auto()  # absorb retransmitted INVITEs after a 2xx


class Effect(enum.Enum):
    """What the caller carries out, in this order."""

    SEND_TRYING = enum.auto()
    SEND_RESPONSE = enum.auto()  # the TU's, which becomes the last one
    RESEND_RESPONSE = enum.auto()  # the last one
    DELIVER_ACK = enum.auto()
    FAIL_TIMEOUT = enum.auto()
    STOP_100 = enum.auto()
    START_G = enum.auto()
    RESTART_G = enum.auto()
    STOP_G_AND_H = enum.auto()
    START_H = enum.auto()
    START_I = enum.auto()
    START_L = enum.auto()


Transition = tuple[State, tuple[Effect, ...]]

St, In, Fx = State, Input, Effect

# An absent pair is a no-op.
TRANSITIONS: dict[tuple[State, Input], Transition] = {
    (St.TRYING, In.TIMER_100): (St.PROCEEDING, (Fx.SEND_TRYING,)),
    # The client retransmits because it has heard nothing: the 100 is due now.
    (St.TRYING, In.REQUEST): (St.PROCEEDING, (Fx.STOP_100, Fx.SEND_TRYING)),
    (St.TRYING, In.RESPONSE_1XX): (St.PROCEEDING, (Fx.STOP_100, Fx.SEND_RESPONSE)),
    (St.TRYING, In.RESPONSE_2XX): (St.ACCEPTED, (Fx.STOP_100, Fx.SEND_RESPONSE, Fx.START_L)),
    (St.TRYING, In.RESPONSE_300_PLUS): (St.COMPLETED, (Fx.STOP_100, Fx.SEND_RESPONSE, Fx.START_G, Fx.START_H)),
    # "the most recent provisional response that was received from the TU MUST be passed to the transport layer"
    (St.PROCEEDING, In.REQUEST): (St.PROCEEDING, (Fx.RESEND_RESPONSE,)),
    (St.PROCEEDING, In.RESPONSE_1XX): (St.PROCEEDING, (Fx.SEND_RESPONSE,)),
    (St.PROCEEDING, In.RESPONSE_2XX): (St.ACCEPTED, (Fx.SEND_RESPONSE, Fx.START_L)),
    (St.PROCEEDING, In.RESPONSE_300_PLUS): (St.COMPLETED, (Fx.SEND_RESPONSE, Fx.START_G, Fx.START_H)),
    # RFC 6026 §7.1: retransmitted INVITEs are absorbed, the TU retransmits its 2xx, any ACK is its own. Timer L counts
    # from the last of them: an outage may keep them for longer than 64*T1.
    (St.ACCEPTED, In.RESPONSE_2XX): (St.ACCEPTED, (Fx.SEND_RESPONSE, Fx.START_L)),
    (St.ACCEPTED, In.ACK): (St.ACCEPTED, (Fx.DELIVER_ACK,)),
    (St.ACCEPTED, In.TIMER_L): (St.TERMINATED, ()),
    (St.COMPLETED, In.REQUEST): (St.COMPLETED, (Fx.RESEND_RESPONSE,)),
    (St.COMPLETED, In.TIMER_G): (St.COMPLETED, (Fx.RESEND_RESPONSE, Fx.RESTART_G)),
    (St.COMPLETED, In.TIMER_H): (St.TERMINATED, (Fx.FAIL_TIMEOUT,)),
    (St.COMPLETED, In.ACK): (St.CONFIRMED, (Fx.STOP_G_AND_H, Fx.START_I)),
    (St.CONFIRMED, In.TIMER_I): (St.TERMINATED, ()),
}


@dataclass(slots=True)
class InviteServerTransaction:
    """The machine alone; its INVITE was delivered, and the timer of the 100 started, as it was made."""

    state: State = State.TRYING
    effects: list[Effect] = field(default_factory=list)

    def handle(self, event: Input) -> None:
        """Feed one input; ignored inputs leave state and effects untouched."""
        if transition := TRANSITIONS.get((self.state, event)):
            self.state, effects = transition
            self.effects += effects
