"""Requests from the network: to their call, or answered here (RFC 3261 §8.2, §9.2, §11, §12.2.2).

request ─┬─ To tag ─▶ its call ─▶ usage, or 481
         ├─ INVITE ─▶ a new call
         └─ CANCEL, OPTIONS, NOTIFY message-summary, the rest
"""

from sipcore.dialog.core import Core
from sipcore.dialog.info import parse_message_summary_untrusted
from sipcore.dialog.invite_in import IncomingInvite
from sipcore.dialog.modify_in import not_acceptable
from sipcore.dialog.registry import Registry, dialog_id_of
from sipcore.dialog.screening import ALLOW_EVENTS, capabilities, refusal_of, refusal_of_offer
from sipcore.dialog.session import State
from sipcore.dialog.transfer import event_package
from sipcore.dialog.usage import Usage
from sipcore.errors import ParseError
from sipcore.message.fields import Replaces
from sipcore.message.message import Request, Response
from sipcore.sdp.offer_answer import Unacceptable
from sipcore.transaction.events import AckReceived, RequestReceived


class Inbound:
    """Serves every request; nothing in one can raise."""

    def __init__(self, core: Core, registry: Registry) -> None:
        self._core = core
        self._registry = registry

    def on_request(self, event: RequestReceived, now: float) -> None:
        """Answer a request, now or, for an INVITE, when the user has decided."""
        try:
            response = self._serve(event, now)
        except ParseError as error:
            # §21.4.1: "The Reason-Phrase SHOULD identify the syntax problem in more detail".
            response = event.request.response(error.status_hint, _phrase(error))
        if response is not None:
            self._respond(event, response, now)

    def on_ack(self, event: AckReceived, now: float) -> None:
        """Take the ACK of a 2xx; one that nobody waits for is dropped."""
        try:
            wanted = dialog_id_of(event.request)
            found = None if wanted is None else self._registry.find(wanted)
            if found is not None:
                found[0].on_ack(event.request, now)
        except ParseError:
            pass  # an ACK cannot be answered; the 2xx goes on being sent

    def _respond(self, event: RequestReceived, response: Response, now: float) -> None:
        to = response.headers.get("To")
        if to is not None and "tag=" not in to.lower():
            # §8.2.6.2: "the UAS MUST add a tag to the To header field in the response".
            response.headers.set("To", f"{to};tag={self._core.ids.tag()}")
        self._core.layer.respond(event.transaction, response, now)

    def _serve(self, event: RequestReceived, now: float) -> Response | None:
        request = event.request
        if request.method == "CANCEL":
            return self._on_cancel(event, now)
        if refusal := refusal_of(request):
            return refusal
        if wanted := dialog_id_of(request):
            if found := self._registry.find(wanted):
                return found[0].on_request(event.transaction, request, found[1], now)
            return self._on_leftover(request, now)
        match request.method:
            case "INVITE":
                return self._on_invite(event, now)
            case "OPTIONS":
                return capabilities(request)
            case "NOTIFY":
                return self._on_notify(request)
            case _:
                return request.response(481)

    def _on_leftover(self, request: Request, now: float) -> Response:
        """A request of a dialog without a call: BYEs that cross are fine, everything else is too late."""
        wanted = dialog_id_of(request)
        farewell = None if wanted is None else self._registry.farewell_of(wanted)
        if farewell is not None and request.method == "BYE":
            farewell.heard(now)
            return request.response(200)
        return request.response(481)

    def _on_cancel(self, event: RequestReceived, now: float) -> Response:
        if event.cancels is None:
            return event.request.response(481)
        for usage in list(self._registry.calls.values()):
            if usage.incoming is not None and usage.incoming.is_cancelled_by(event.cancels):
                # §9.2: the To tag of the 200 "and the response to the original request SHOULD be the same".
                usage.on_cancel(event.request, now)
                return event.request.response(200, to_tag=usage.incoming.tag)
        return event.request.response(200)

    def _on_invite(self, event: RequestReceived, now: float) -> Response | None:
        invite = event.request
        replaced: Usage | None = None
        if raw := invite.headers.get("Replaces"):
            replaced = self._registry.replaced_by(replaces := Replaces.parse(raw))
            if refusal := _refusal_of_takeover(invite, replaces, replaced):
                return refusal
        if len(self._registry.calls) >= self._core.settings.max_calls:
            return invite.response(486)
        usage = self._registry.begin(State.INCOMING)
        try:
            if refusal := refusal_of_offer(invite, usage.call.timer):
                self._registry.ended(usage.call.id)
                return refusal
            usage.incoming = IncomingInvite(usage.call, event.transaction, invite, event.flow)
            usage.incoming.receive_offer()
            usage.incoming.announce(now, replaced.call.id if replaced else None)
        except Unacceptable as error:
            self._registry.ended(usage.call.id)
            return not_acceptable(invite, error)
        except ParseError:
            self._registry.ended(usage.call.id)
            raise
        usage.replaced = replaced
        return None

    def _on_notify(self, notify: Request) -> Response:
        """An unsolicited NOTIFY: PBXs send voicemail indications so (RFC 3842 as practised)."""
        package = event_package(notify)
        if package == "message-summary":
            if waiting := parse_message_summary_untrusted(notify.body):
                self._core.events.append(waiting)
            return notify.response(200)
        if package == "refer":
            return notify.response(481)
        response = notify.response(489)
        response.headers.add("Allow-Events", ALLOW_EVENTS)
        return response


def _refusal_of_takeover(invite: Request, replaces: Replaces, replaced: Usage | None) -> Response | None:
    """RFC 3891 §3: what an INVITE with Replaces gets where it cannot take a call over."""
    if replaced is None:
        return invite.response(481)
    if replaced.call.over or replaced.call.state is State.LEAVING:
        return invite.response(603)
    if replaces.early_only and replaced.call.up:
        return invite.response(486)
    # "If the Replaces header field matches an early dialog that was not initiated by this UA, it returns a 481".
    return None if replaced.call.up or replaced.call.outgoing else invite.response(481)


def _phrase(error: ParseError) -> str | None:
    text = str(error)
    return text[:100] if text.isprintable() and text.isascii() else None
