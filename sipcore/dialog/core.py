"""What all calls of an account share: flow and identity, requests under way, timers, and the events' drain.

a verb's module ── request(…, handler) ──▶ Core ──▶ transaction layer
handler(Response | Failure, now) ◀── Core ◀── its events
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.auth.authenticator import Authenticator
from sipcore.config import Account
from sipcore.dialog.dialog import Dialog
from sipcore.events import FlowId
from sipcore.ids import IdSource
from sipcore.media import DEFAULT_CODECS, Codec
from sipcore.message.message import Request, Response
from sipcore.message.uri import NameAddr
from sipcore.transaction.authenticated import AuthenticatedRequest
from sipcore.transaction.events import ResponseReceived, TransactionId, TransactionTimedOut, TransactionTransportFailed
from sipcore.transaction.layer import TransactionLayer
from sipcore.transaction.timers import TIMEOUT, TimerQueue

if TYPE_CHECKING:
    from sipcore.events import CallId, Event

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, PRACK, UPDATE"
SUPPORTED = "replaces, timer, 100rel"
ACCEPT = "application/sdp"
EXTENSIONS = frozenset({"replaces", "timer", "100rel"})
"""Option tags a peer may Require (RFC 3891, RFC 4028, RFC 3262)."""

SDP = "application/sdp"


class Failure(enum.Enum):
    """Why a request got no final response; no peer said so, hence no call ends for it."""

    TIMEOUT = enum.auto()
    TRANSPORT = enum.auto()


Outcome = Response | Failure
Handler = Callable[[Outcome, float], None]
"""Gets each provisional and final response but answered challenges; of 2xx to INVITE every copy."""


class Timer(enum.Enum):
    """What a call may wait for."""

    RING = enum.auto()  # nobody answers
    RING_AGAIN = enum.auto()  # §13.3.1.1: a provisional every minute
    RETRANSMIT_1XX = enum.auto()
    GIVE_UP_1XX = enum.auto()
    RETRANSMIT_2XX = enum.auto()
    GIVE_UP_2XX = enum.auto()
    RETRY_MODIFY = enum.auto()  # after a 491
    REFRESH = enum.auto()  # RFC 4028: ours to send
    EXPIRE = enum.auto()  # RFC 4028: theirs did not come
    REFER = enum.auto()  # no NOTIFY
    ASK_FOR_CALLER = enum.auto()  # who calls us may have given up while the flow was lost
    SILENCE = enum.auto()  # neither signalling nor sound came back
    BYE = enum.auto()  # a BYE kept for a flow that never came


SESSION_TIMERS = frozenset({Timer.REFRESH, Timer.EXPIRE})
"""These count the peer's time, which went on while this machine slept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """Limits and waits of calls; times in seconds."""

    ring_timeout: float = 180.0
    """How long an unanswered call rings, either way, before it is given up."""

    session_expires: int = 1800
    """Session interval asked for (RFC 4028); 0 leaves the session timer to the peer."""

    min_session_expires: int = 90
    """The least interval accepted: RFC 4028 §4 knows no smaller one."""

    max_calls: int = 32
    """Further INVITEs get 486. The phone's own limit of lines is lower."""

    max_forks: int = 16
    """Early dialogs of one INVITE that are kept."""

    transfer_timeout: float = 180.0
    """Silence of a subscription to a transfer after which it is over."""

    media_timeout: float = 32.0
    """Silence of a call whose signalling is lost after which it is given up; 0: never."""

    bye_memory: float = 600.0
    """How long a hang-up during an outage is remembered."""

    codecs: tuple[Codec, ...] = DEFAULT_CODECS
    """What an offer is accepted with."""


@dataclass(frozen=True, slots=True)
class Way:
    """A registered flow, our Contact by it, and whether it is encrypted, so that SDES keys may travel in SDP."""

    flow: FlowId
    contact: NameAddr
    secure: bool


@dataclass(slots=True)
class _Pending:
    attempt: AuthenticatedRequest
    handler: Handler


class Core:
    """Shared by all calls of one account; ``flow`` and ``contact`` are None while signalling is lost."""

    def __init__(
        self,
        account: Account,
        ids: IdSource,
        layer: TransactionLayer,
        authenticator: Authenticator,
        settings: CallSettings,
    ) -> None:
        self.account = account
        self.ids = ids
        self.layer = layer
        self.settings = settings
        self.flow: FlowId | None = None
        self.contact: NameAddr | None = None
        self.secure_signalling = False
        """Whether the flow is encrypted, so that SDES keys may travel in SDP."""

        self.standby: Way | None = None
        """Another flow, on which the dialogs stay that came by it (RFC 5626)."""

        self.timers: TimerQueue[tuple[CallId, Timer]] = TimerQueue()
        self.events: list[Event] = []
        self._authenticator = authenticator
        self._pending: dict[TransactionId, _Pending] = {}
        self._lingering: TimerQueue[TransactionId] = TimerQueue()

    # --- requests of ours ----------------------------------------------------------------------------------

    def request(
        self,
        request: Request,
        handler: Handler,
        now: float,
        *,
        dialog: Dialog | None = None,
        next_cseq: Callable[[], int] | None = None,
    ) -> AuthenticatedRequest:
        """Send ``request`` on the flow of ``dialog``, or on the one that serves.

        Without a flow the handler gets Failure.TRANSPORT, by the layer's event.
        """
        request.headers.set("User-Agent", self.account.user_agent)
        attempt = AuthenticatedRequest(self.layer, self._authenticator, request, next_cseq=next_cseq)
        attempt.send(self.flow_of(dialog) or 0, now)
        self._pending[attempt.transaction] = _Pending(attempt, handler)
        return attempt

    def on_response(self, event: ResponseReceived, now: float) -> bool:
        """Hand a response to whom it belongs; False if it is nobody's here."""
        pending = self._pending.get(event.transaction)
        if pending is None:
            return False
        response = pending.attempt.on_response(event.response, now)
        if response is None:
            del self._pending[event.transaction]
            self._pending[pending.attempt.transaction] = pending
            return True
        if response.is_success and pending.attempt.request.method == "INVITE":
            # RFC 6026 §7.2: copies and other forks' 2xx come until timer M.
            self._lingering.set(event.transaction, now + TIMEOUT + 1)
        elif response.is_final:
            del self._pending[event.transaction]
        pending.handler(response, now)
        return True

    def on_failure(self, event: TransactionTimedOut | TransactionTransportFailed, now: float) -> bool:
        """Hand a failure to whom it belongs; False if it is nobody's here."""
        pending = self._pending.pop(event.transaction, None)
        if pending is None:
            return False
        failure = Failure.TIMEOUT if isinstance(event, TransactionTimedOut) else Failure.TRANSPORT
        pending.handler(failure, now)
        return True

    # --- flows ---------------------------------------------------------------------------------------------

    def _way_of(self, dialog: Dialog | None) -> Way | None:
        standby = self.standby
        return standby if standby is not None and dialog is not None and dialog.flow == standby.flow else None

    def flow_of(self, dialog: Dialog | None) -> FlowId | None:
        """The flow a dialog is on: the one it came by while that is there, or the one that serves."""
        way = self._way_of(dialog)
        return self.flow if way is None else way.flow

    def is_secure(self, dialog: Dialog | None) -> bool:
        """Whether that flow is encrypted."""
        way = self._way_of(dialog)
        return self.secure_signalling if way is None else way.secure

    # --- timers --------------------------------------------------------------------------------------------

    def forget_requests(self, now: float) -> None:
        """Let go of INVITE transactions that are over."""
        for transaction in self._lingering.due(now):
            self._pending.pop(transaction, None)

    def next_timeout(self) -> float | None:
        """The earliest deadline, or None."""
        times = [at for at in (self.timers.next(), self._lingering.next()) if at is not None]
        return min(times, default=None)

    def resumed(self, gap_s: float) -> None:
        """Put off what counts our own time by the length of a sleep."""
        self.timers.shift(gap_s, keep=lambda key: key[1] in SESSION_TIMERS)
        self._lingering.shift(gap_s)

    # --- headers -------------------------------------------------------------------------------------------

    @property
    def named_everywhere(self) -> bool:
        """Whether our Contact is a GRUU: it leads to us by whatever flow there is (RFC 5627)."""
        return self.contact is not None and self.contact.uri.param("gr") is not None

    def add_contact(self, message: Request | Response, dialog: Dialog | None = None) -> None:
        """Put our Contact, of the flow of ``dialog``, into a message that needs one (§8.1.1.8)."""
        way = self._way_of(dialog)
        contact = self.contact if way is None else way.contact
        if contact is not None:
            message.headers.set("Contact", str(contact))

    def describe(self, message: Request | Response) -> None:
        """Say what we can do: Allow and Supported (§13.2.1, §13.3.1.4)."""
        message.headers.set("Allow", ALLOW)
        # RFC 5627 §4.4: "a UA MUST include the 'gruu' option tag in a Supported header field" where it uses one.
        message.headers.set("Supported", f"{SUPPORTED}, gruu" if self.named_everywhere else SUPPORTED)


def set_body(message: Request | Response, body: bytes, content_type: str = SDP) -> None:
    """Give a message a body with its type."""
    message.body = body
    message.headers.set("Content-Type", content_type)


def sdp_of(message: Request | Response) -> bytes | None:
    """The session description in a message; None where there is none or the body is something else."""
    if not message.body:
        return None
    content_type = message.content_type
    if content_type is None or content_type.essence != SDP:
        return None
    return message.body
