"""The states of a call's INVITE usage, both directions, as one table (RFC 3261 §13, §15, §9).

    CALLING ─1xx─▶ PROCEEDING ─2xx─▶ CONFIRMED ─hang up─▶ ENDING ─▶ ENDED
       ├─ hang up ─┼─▶ CANCELLING ─2xx: ACK, BYE─────────────┘
       └─ 4xx ─────┴─▶ RECONSIDERING ─another offer─▶ CALLING       only where the media was refused
    INCOMING ─answer─▶ ACCEPTED ─ACK─▶ CONFIRMED
                          └─hang up─▶ LEAVING ─ACK─▶ ENDING

Only this file decides what follows what. It knows no message; :mod:`sipcore.dialog.usage` carries the effects out.
"""

import enum
from dataclasses import dataclass, field


class State(enum.Enum):
    """Where a call is."""

    CALLING = enum.auto()  # our INVITE has no response but a 100
    PROCEEDING = enum.auto()  # it has a provisional one
    RECONSIDERING = enum.auto()  # it was refused for its media, and the application may have another offer
    CANCELLING = enum.auto()  # given up, its final response is awaited
    INCOMING = enum.auto()  # their INVITE waits for the user
    ACCEPTED = enum.auto()  # our 2xx waits for its ACK
    LEAVING = enum.auto()  # hung up meanwhile: BYE must wait for the ACK (§15)
    CONFIRMED = enum.auto()
    ENDING = enum.auto()  # our BYE waits for its response
    ENDED = enum.auto()


class Input(enum.Enum):
    """What can happen to a call."""

    PROVISIONAL = enum.auto()  # 101 to 199
    SUCCESS = enum.auto()  # the first 2xx
    MEDIA_REFUSED = enum.auto()  # 415, 488, 606 where another offer may follow
    OFFER_AGAIN = enum.auto()
    REFUSED = enum.auto()  # 300 to 699, after everything that could be tried again
    FAILED = enum.auto()  # no answer in time, or the flow broke
    RING_TIMEOUT = enum.auto()
    ANSWER = enum.auto()
    REJECT = enum.auto()
    CANCELLED = enum.auto()  # by the caller
    ACKED = enum.auto()
    ACK_TIMEOUT = enum.auto()
    HANG_UP = enum.auto()
    BYE_RECEIVED = enum.auto()
    GONE = enum.auto()  # 481, 404 or 408 on the wire: the peer knows no such call
    EXPIRED = enum.auto()  # the session timer ran out
    REPLACED = enum.auto()  # an INVITE with Replaces took over
    BYE_FINISHED = enum.auto()  # answered, given up, or kept for later


class Effect(enum.Enum):
    """What is carried out, in this order."""

    SEND_CANCEL = enum.auto()
    SEND_BYE = enum.auto()
    SEND_ANSWER = enum.auto()
    SEND_REFUSAL = enum.auto()
    SHOW_PROGRESS = enum.auto()  # ringing, or early where there is media
    SHOW_ACTIVE = enum.auto()
    SHOW_ENDING = enum.auto()
    BLAME_US = enum.auto()  # who ended it, for the last event
    BLAME_PEER = enum.auto()
    BLAME_ERROR = enum.auto()
    FINISH = enum.auto()  # the last event, and everything let go


Transition = tuple[State, tuple[Effect, ...]]

St, In, Fx = State, Input, Effect

_CANCEL = (St.CANCELLING, (Fx.BLAME_US, Fx.SEND_CANCEL, Fx.SHOW_ENDING))
_REFUSED = (St.ENDED, (Fx.BLAME_PEER, Fx.FINISH))
_FAILED = (St.ENDED, (Fx.BLAME_ERROR, Fx.FINISH))
_TURN_AWAY = (St.ENDED, (Fx.BLAME_US, Fx.SEND_REFUSAL, Fx.FINISH))
_LET_GO = (St.ENDED, (Fx.BLAME_US, Fx.FINISH))
_BYE_BY_US = (St.ENDING, (Fx.BLAME_US, Fx.SHOW_ENDING, Fx.SEND_BYE))
_BYE_BY_ERROR = (St.ENDING, (Fx.BLAME_ERROR, Fx.SHOW_ENDING, Fx.SEND_BYE))
_BYE_SEEN = (St.ENDED, (Fx.BLAME_PEER, Fx.FINISH))

# An absent pair is a no-op.
TRANSITIONS: dict[tuple[State, Input], Transition] = {
    # We call.
    (St.CALLING, In.PROVISIONAL): (St.PROCEEDING, (Fx.SHOW_PROGRESS,)),
    (St.CALLING, In.SUCCESS): (St.CONFIRMED, (Fx.SHOW_ACTIVE,)),
    (St.CALLING, In.REFUSED): _REFUSED,
    (St.CALLING, In.FAILED): _FAILED,
    (St.CALLING, In.HANG_UP): _CANCEL,
    (St.CALLING, In.RING_TIMEOUT): _CANCEL,
    (St.PROCEEDING, In.PROVISIONAL): (St.PROCEEDING, (Fx.SHOW_PROGRESS,)),
    (St.PROCEEDING, In.SUCCESS): (St.CONFIRMED, (Fx.SHOW_ACTIVE,)),
    (St.PROCEEDING, In.REFUSED): _REFUSED,
    (St.PROCEEDING, In.FAILED): _FAILED,
    (St.PROCEEDING, In.HANG_UP): _CANCEL,
    (St.PROCEEDING, In.RING_TIMEOUT): _CANCEL,
    # Between two INVITEs there is nothing to cancel.
    (St.CALLING, In.MEDIA_REFUSED): (St.RECONSIDERING, ()),
    (St.PROCEEDING, In.MEDIA_REFUSED): (St.RECONSIDERING, ()),
    (St.RECONSIDERING, In.OFFER_AGAIN): (St.CALLING, ()),
    (St.RECONSIDERING, In.REFUSED): _REFUSED,
    (St.RECONSIDERING, In.HANG_UP): _LET_GO,
    (St.RECONSIDERING, In.RING_TIMEOUT): _LET_GO,
    # §9.1: the CANCEL may come too late. The 2xx is acknowledged like any other, then the call is ended.
    (St.CANCELLING, In.SUCCESS): (St.ENDING, (Fx.SEND_BYE,)),
    (St.CANCELLING, In.REFUSED): (St.ENDED, (Fx.FINISH,)),
    (St.CANCELLING, In.FAILED): (St.ENDED, (Fx.FINISH,)),
    # They call.
    (St.INCOMING, In.ANSWER): (St.ACCEPTED, (Fx.SEND_ANSWER, Fx.SHOW_ACTIVE)),
    (St.INCOMING, In.REJECT): _TURN_AWAY,
    (St.INCOMING, In.HANG_UP): _TURN_AWAY,
    (St.INCOMING, In.RING_TIMEOUT): _TURN_AWAY,
    (St.INCOMING, In.CANCELLED): (St.ENDED, (Fx.BLAME_PEER, Fx.SEND_REFUSAL, Fx.FINISH)),
    # §15: "The caller's UA MAY send a BYE for either confirmed or early dialogs".
    (St.INCOMING, In.BYE_RECEIVED): (St.ENDED, (Fx.BLAME_PEER, Fx.SEND_REFUSAL, Fx.FINISH)),
    (St.ACCEPTED, In.ACKED): (St.CONFIRMED, ()),
    (St.ACCEPTED, In.ACK_TIMEOUT): _BYE_BY_ERROR,
    # §15: "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx
    # response or until the server transaction times out".
    (St.ACCEPTED, In.HANG_UP): (St.LEAVING, (Fx.BLAME_US, Fx.SHOW_ENDING)),
    (St.ACCEPTED, In.REPLACED): (St.LEAVING, (Fx.BLAME_US, Fx.SHOW_ENDING)),
    (St.ACCEPTED, In.GONE): _BYE_BY_ERROR,
    (St.ACCEPTED, In.EXPIRED): _BYE_BY_ERROR,
    (St.ACCEPTED, In.BYE_RECEIVED): _BYE_SEEN,
    (St.LEAVING, In.ACKED): (St.ENDING, (Fx.SEND_BYE,)),
    (St.LEAVING, In.ACK_TIMEOUT): (St.ENDING, (Fx.SEND_BYE,)),
    (St.LEAVING, In.BYE_RECEIVED): (St.ENDED, (Fx.FINISH,)),
    # Both.
    (St.CONFIRMED, In.HANG_UP): _BYE_BY_US,
    (St.CONFIRMED, In.REPLACED): _BYE_BY_US,
    (St.CONFIRMED, In.BYE_RECEIVED): _BYE_SEEN,
    # §12.2.1.2: "If the response for a request within a dialog is a 481 or a 408, the UAC SHOULD terminate the
    # dialog", which for INVITE means a BYE.
    (St.CONFIRMED, In.GONE): _BYE_BY_ERROR,
    (St.CONFIRMED, In.EXPIRED): _BYE_BY_ERROR,
    (St.ENDING, In.BYE_FINISHED): (St.ENDED, (Fx.FINISH,)),
    # BYEs that cross are answered 200 each; the call is over for both.
    (St.ENDING, In.BYE_RECEIVED): (St.ENDED, (Fx.FINISH,)),
}


@dataclass(slots=True)
class SessionMachine:
    """The machine alone."""

    state: State
    effects: list[Effect] = field(default_factory=list)

    def handle(self, event: Input) -> bool:
        """Feed one input; ignored inputs leave state and effects untouched and return False."""
        transition = TRANSITIONS.get((self.state, event))
        if transition is None:
            return False
        self.state, effects = transition
        self.effects += effects
        return True
