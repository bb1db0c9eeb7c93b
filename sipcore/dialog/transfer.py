"""Transfers by REFER (RFC 3515, RFC 5589): we ask the peer to call somebody else, and NOTIFYs say how that went.

REFER ──202──▶ SUBSCRIBED ──NOTIFY sipfrag 1xx──▶ SUBSCRIBED ──sipfrag 2xx──▶ done, our call ends
                   └──sipfrag 3xx-6xx, terminated, silence──▶ done, our call goes on
"""

import re
from typing import TYPE_CHECKING

from sipcore.dialog.call import Call
from sipcore.dialog.core import Failure, Outcome, Timer
from sipcore.dialog.dialog import Dialog
from sipcore.dialog.session import Input, State
from sipcore.errors import LocalProtocolError, ParseError, Phrase
from sipcore.events import TransferProgress, VerbFailed
from sipcore.message.fields import Event, Replaces, SubscriptionState
from sipcore.message.message import Request, Response
from sipcore.message.uri import NameAddr, Uri

if TYPE_CHECKING:
    from sipcore.transaction.authenticated import AuthenticatedRequest

# RFC 3420: a sipfrag starts with a status line.
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]{0,200}))?", re.IGNORECASE)


class Transfer:
    """The REFERs of one call, one at a time."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._active = False
        self._attempt: AuthenticatedRequest | None = None
        self._status, self._reason = 100, ""

    def start(self, target: Uri, now: float) -> None:
        """Send the REFER. Raises LocalProtocolError unless the call is up and no transfer is under way."""
        call = self._call
        if call.state is not State.CONFIRMED or call.dialog is None:
            raise LocalProtocolError(Phrase("only a call that was answered can be transferred"))
        if self._active:
            raise LocalProtocolError(Phrase("a transfer of this call is under way"))
        refer = call.dialog.request("REFER")
        refer.headers.add("Refer-To", str(NameAddr(uri=target)))
        # RFC 3892 §2.1: who asked for it.
        refer.headers.add("Referred-By", str(NameAddr(uri=Uri.parse(call.core.account.address_of_record))))
        call.core.add_contact(refer, call.dialog)
        self._active = True
        self._status, self._reason = 100, ""
        self._attempt = call.core.request(
            refer, self._on_outcome, now, dialog=call.dialog, next_cseq=call.dialog.next_cseq
        )

    def on_notify(self, notify: Request, now: float) -> Response:
        """The response to a NOTIFY of a refer subscription; raises ParseError."""
        event = Event.parse(notify.headers.get("Event") or "")
        state = SubscriptionState.parse(notify.headers.get("Subscription-State") or "")
        if not self._active or self._attempt is None:
            return notify.response(481)
        # RFC 3515 §2.4.6: the id is the REFER's CSeq number; without one it is the first REFER's.
        if event.id and event.id != str(self._attempt.request.cseq.number):
            return notify.response(481)
        if match := _STATUS_LINE.match(notify.body):
            self._status = int(match[1])
            self._reason = (match[2] or b"").decode("utf-8", "replace")
        done = state.state == "terminated" or self._status >= 200
        self._news(done=done, now=now)
        return notify.response(200)

    def on_timer(self, now: float) -> None:
        """Nothing was heard for too long."""
        if self._active:
            self._status, self._reason = 408, Phrase("nothing more was heard of the transfer")
            self._news(done=True, now=now)

    def call_ended(self) -> None:
        """The call is over, which for many PBXs is how a transfer succeeds: the last news was the last."""
        if self._active:
            self._active = False
            self._call.report(TransferProgress(self._call.id, self._status, self._reason, done=True))

    def _on_outcome(self, outcome: Outcome, now: float) -> None:
        call = self._call
        match outcome:
            case Failure.TIMEOUT:
                self._fail(408, Phrase("no answer"))
            case Failure.TRANSPORT:
                self._fail(503, Phrase("the connection to the server broke"))
            case Response() if outcome.is_provisional:
                pass
            case Response() if outcome.is_success:
                if self._active:
                    call.start(Timer.REFER, now + call.core.settings.transfer_timeout)
            case Response():
                self._fail(outcome.status, outcome.reason)

    def _fail(self, status: int, reason: str) -> None:
        if self._active:
            self._active = False
            self._call.report(VerbFailed(self._call.id, "transfer", status, reason))

    def _news(self, *, done: bool, now: float) -> None:
        call = self._call
        call.report(TransferProgress(call.id, self._status, self._reason, done=done))
        if not done:
            call.start(Timer.REFER, now + call.core.settings.transfer_timeout)
            return
        self._active = False
        call.stop(Timer.REFER)
        if 200 <= self._status <= 299:
            # RFC 5589 §6.1: the transferor ends its call with the transferee once the transfer has succeeded.
            call.feed(Input.HANG_UP, now)


def replacing_uri(other: Dialog) -> Uri:
    """The Refer-To of an attended transfer: call the peer of ``other`` and take that call over (RFC 5589 §7).

    The tags are as that peer sees them: its own is the To tag.
    """
    if other.remote.tag is None or other.local.tag is None:
        raise LocalProtocolError(Phrase("the other call was not answered"))
    replaces = Replaces(other.call_id, to_tag=other.remote.tag, from_tag=other.local.tag)
    return other.remote.uri.with_header("Replaces", str(replaces))


def event_package(notify: Request) -> str:
    """The package of a NOTIFY in lower case; raises ParseError."""
    raw = notify.headers.get("Event")
    if raw is None:
        raise ParseError("a NOTIFY without Event", status_hint=489)
    return Event.parse(raw).package.lower()
