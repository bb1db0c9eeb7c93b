"""All calls of an account behind one contract (RFC 3261 §11 to §15).

    verbs: dial ring answer reject hang_up hold resume … ─▶ ┌───────┐ ─▶ events
    on_request, on_response, on_failure ──────────────────▶ │ Calls │ ─▶ the transaction layer
    set_flow, flow_lost, flow_recovered ──────────────────▶ └───────┘ ─▶ next_timeout

A call outlives its signalling: after ``flow_lost`` it goes on, what the user wants is remembered, and after
``flow_recovered`` one re-INVITE per call with unchanged SDP and the new Contact restores its routing. Verbs raise
LocalProtocolError where they do not fit, and change nothing then.
"""

from dataclasses import replace

from sipcore.auth.authenticator import Authenticator
from sipcore.config import Account
from sipcore.dialog.core import CallSettings, Core, Timer, Way
from sipcore.dialog.dialog import Dialog
from sipcore.dialog.inbound import Inbound
from sipcore.dialog.info import DIGITS
from sipcore.dialog.invite_out import OutgoingInvite
from sipcore.dialog.registry import Registry
from sipcore.dialog.session import Input, State
from sipcore.dialog.snapshot import CallSnapshot, CallsSnapshot, FarewellSnapshot
from sipcore.dialog.targets import target_uri
from sipcore.dialog.transfer import replacing_uri
from sipcore.dialog.usage import Usage
from sipcore.errors import LocalProtocolError, ParseError, Phrase
from sipcore.events import CallId, CallState, EndedBy, Event, FlowId
from sipcore.ids import IdSource
from sipcore.media import LocalMedia
from sipcore.message.uri import NameAddr
from sipcore.transaction.events import (
    AckReceived,
    RequestReceived,
    ResponseReceived,
    TransactionTimedOut,
    TransactionTransportFailed,
)
from sipcore.transaction.layer import TransactionLayer


class Calls:
    """The calls of one account; ``transactions`` is the stack's layer, which the stack also drains."""

    def __init__(
        self,
        account: Account,
        ids: IdSource,
        transactions: TransactionLayer,
        authenticator: Authenticator,
        settings: CallSettings | None = None,
    ) -> None:
        self._core = Core(account, ids, transactions, authenticator, settings or CallSettings())
        self._registry = Registry(self._core)
        self._inbound = Inbound(self._core, self._registry)

    # --- signalling ----------------------------------------------------------------------------------------

    def set_flow(self, flow: FlowId | None, contact: NameAddr | None, now: float, *, secure: bool = False) -> None:
        """Send on ``flow`` from now on, with ``contact`` as our Contact; None: signalling is lost.

        ``secure``: the flow is encrypted, so that SDES keys may travel in SDP (RFC 4568 §7).
        """
        self._core.flow, self._core.contact = flow, contact
        self._core.secure_signalling = secure and flow is not None

    def reachable_at(self, contact: NameAddr) -> None:
        """A flow is open, not registered yet: what answers the requests that come by it says where we are.

        Nothing of our own is sent before :meth:`flow_recovered`.
        """
        self._core.contact = contact

    def flow_lost(self, now: float) -> None:
        """Signalling is lost. No call ends; calls of ours that nobody answered yet do, by their transactions."""
        self.set_flow(None, None, now)
        for usage in self._registry.calls.values():
            usage.call.reach.flow_lost(now)

    def flow_recovered(self, flow: FlowId, contact: NameAddr, now: float, *, secure: bool = False) -> None:
        """Signalling is back and registered: refresh each call once, and say the goodbyes that were kept."""
        self.set_flow(flow, contact, now, secure=secure)
        for farewell in self._registry.farewells():
            farewell.flow_recovered(now)
        for usage in list(self._registry.calls.values()):
            usage.flow_recovered(now)
        self._registry.sweep()

    def flow_moved(self, flow: FlowId, contact: NameAddr, now: float, *, secure: bool = False) -> None:
        """The flow is gone, and ``flow`` serves in its place, registered: for nobody signalling was ever lost."""
        self.set_flow(flow, contact, now, secure=secure)
        self._core.standby = None
        for farewell in self._registry.farewells():
            farewell.flow_recovered(now)
        for usage in list(self._registry.calls.values()):
            if not usage.is_on(flow):
                usage.flow_moved(now)
        self._registry.sweep()

    def standby_ready(self, flow: FlowId, contact: NameAddr, *, secure: bool = False) -> None:
        """Another flow is registered: what comes by it is answered, and goes on, by it."""
        self._core.standby = Way(flow, contact, secure)

    def standby_lost(self, flow: FlowId, now: float) -> None:
        """A flow besides ours is gone: the calls that came by it are told of ours."""
        if self._core.standby is not None and self._core.standby.flow == flow:
            self._core.standby = None
        if self._core.flow is not None:
            for farewell in self._registry.farewells():
                farewell.flow_recovered(now)
            for usage in list(self._registry.calls.values()):
                if usage.is_on(flow):
                    usage.flow_moved(now)
        self._registry.sweep()

    # --- verbs ---------------------------------------------------------------------------------------------

    def dial(self, target: str, media: LocalMedia, now: float, *, fallback: bool = False) -> CallId:
        """Call an extension, a number, or a sip:, sips: or tel: address.

        ``fallback``: where the peer refuses the media (488, 415, 606), OfferRefused asks for :meth:`offer_again`.
        What was agreed on shows in MediaNegotiated.
        """
        uri = target_uri(target, self._core.account.domain)
        if self._core.flow is None:
            raise LocalProtocolError(Phrase("there is no connection to the server"))
        if len(self._registry.calls) >= self._core.settings.max_calls:
            raise LocalProtocolError(Phrase("there are too many calls"))
        usage = self._registry.begin(State.CALLING)
        usage.out = OutgoingInvite(usage.call, uri, media, self._registry.end_dialog, fallback=fallback)
        try:
            usage.out.start(now)
        except LocalProtocolError:
            self._registry.ended(usage.call.id)
            raise
        usage.call.show(CallState.CALLING)
        return usage.call.id

    def offer_again(self, call: CallId, media: LocalMedia | None, now: float) -> None:
        """Answer OfferRefused with another offer, or with None: there is no other, and the call ends as refused."""
        usage = self._usage(call)
        if usage.out is None:
            raise LocalProtocolError(Phrase("no other offer is wanted now"))
        usage.out.offer_again(media, now)

    def ring(self, call: CallId, now: float) -> None:
        """Tell the caller that the phone rings."""
        usage = self._usage(call)
        if usage.incoming is None:
            raise LocalProtocolError(Phrase("only an incoming call can ring here"))
        usage.incoming.ring(now)

    def answer(self, call: CallId, media: LocalMedia, now: float) -> None:
        """Accept an incoming call. Raises sipcore.sdp's Unacceptable where ``media`` does not fit the offer."""
        usage = self._usage(call)
        if usage.incoming is None:
            raise LocalProtocolError(Phrase("only an incoming call can be answered"))
        usage.incoming.answer(media, now)

    def reject(self, call: CallId, status: int, reason: str, now: float) -> None:
        """Refuse an incoming call with a final response of 300 to 699; an empty ``reason`` is the usual phrase."""
        usage = self._usage(call)
        if usage.incoming is None or usage.call.state is not State.INCOMING:
            raise LocalProtocolError(Phrase("only a call that is not answered yet can be rejected"))
        if not 300 <= status <= 699:
            raise LocalProtocolError(f"{status} is no refusal")
        usage.incoming.refuse_with(status, reason)
        usage.call.blame(EndedBy.LOCAL, status, reason)
        usage.call.feed(Input.REJECT, now)

    def hang_up(self, call: CallId, now: float) -> None:
        """End a call in whatever state it is: CANCEL, 486 or BYE. During an outage the BYE is sent afterwards."""
        self._usage(call).call.feed(Input.HANG_UP, now)

    def hold(self, call: CallId, now: float) -> None:
        """Hold; HoldChanged or VerbFailed follows."""
        self._answered(call).modifier.hold(now, hold=True)

    def resume(self, call: CallId, now: float) -> None:
        """End our hold; HoldChanged or VerbFailed follows."""
        self._answered(call).modifier.hold(now, hold=False)

    def update_media(self, call: CallId, media: LocalMedia, now: float) -> None:
        """Offer another address or key; MediaNegotiated or VerbFailed follows."""
        self._answered(call).modifier.update_media(media, now)

    def move_media(self, call: CallId, media: LocalMedia, now: float) -> None:
        """Our sound is at another address: that and the ICE credentials are taken from ``media``, no more.

        A re-INVITE says so as soon as signalling is up; MediaNegotiated or VerbFailed follows.
        """
        self._answered(call).modifier.move_media(media, now)

    def media_silent(self, call: CallId, since: float | None) -> None:
        """Nothing has been heard of the peer since then although it may speak; None: it is heard again.

        Where signalling is lost as well, both for ``media_timeout``, the call is given up.
        """
        if (usage := self._registry.calls.get(call)) is not None:
            usage.call.reach.silent(since)

    def send_info_dtmf(self, call: CallId, digit: str, now: float, *, duration_ms: int = 160) -> None:
        """Send one digit by INFO (application/dtmf-relay), during an outage afterwards; only VerbFailed may follow."""
        if len(digit) != 1 or digit.upper() not in DIGITS:
            raise LocalProtocolError(Phrase("{digit!r} is no DTMF digit", digit=digit))
        self._answered(call).send_dtmf(digit.upper(), duration_ms, now)

    def transfer(self, call: CallId, target: str, now: float) -> None:
        """Blind transfer to ``target``; TransferProgress follows, or VerbFailed. Success ends the call."""
        self._answered(call).transfer.start(target_uri(target, self._core.account.domain), now)

    def attended_transfer(self, call: CallId, other: CallId, now: float) -> None:
        """Connect the peer of ``call`` with the peer of ``other``, which replaces our call with that one."""
        consulted = self._answered(other).call.dialog
        if call == other or consulted is None:
            raise LocalProtocolError(Phrase("an attended transfer needs two calls"))
        self._answered(call).transfer.start(replacing_uri(consulted), now)

    # --- another process's calls -----------------------------------------------------------------------------

    def snapshot(self) -> CallsSnapshot:
        """Everything a peer believes to have with us, to be kept before what is to be sent is sent."""
        calls: list[CallSnapshot] = []
        dialogs = [farewell.dialog for farewell in self._registry.farewells() if not farewell.over]
        for usage in self._registry.calls.values():
            kept = usage.call.snapshot()
            if kept is not None:
                calls.append(replace(kept, holding=usage.modifier.hold_wanted))
            elif usage.call.state in (State.LEAVING, State.ACCEPTED) and usage.call.dialog is not None:
                dialogs.append(usage.call.dialog)
            elif usage.out is not None and not usage.call.over:
                dialogs += usage.out.dialogs  # nobody will take the answer: the far end shall not ring on
        farewells = tuple(FarewellSnapshot(dialog=dialog.snapshot()) for dialog in dialogs)
        return CallsSnapshot(calls=tuple(calls), farewells=farewells)

    def restore_call(self, kept: CallSnapshot, media: LocalMedia, now: float) -> None:
        """Go on with an answered call of another process, its sound through ``media``, already bound.

        A re-INVITE tells the peer of both as soon as signalling is up; a refusal ends the call where there is no
        sound without. What can be said of the media before is reported as MediaNegotiated. Raises ParseError for a
        snapshot that is damaged.
        """
        if kept.id in self._registry.calls:
            raise LocalProtocolError(Phrase("call {call} is there already", call=kept.id))
        usage = self._registry.adopt(kept.id)
        try:
            usage.call.adopt_untrusted(kept, media)
        except ParseError:
            self._registry.ended(kept.id)
            raise
        usage.call.reach.flow_lost(now)
        if kept.negotiation.keying != "none":
            usage.modifier.vital = True
            usage.call.reach.silent(now)
        usage.modifier.update_media(media, now)

    def restore_farewell(self, kept: FarewellSnapshot, now: float) -> None:
        """Say the BYE another process owed, as soon as signalling is up; raises ParseError."""
        self._registry.owe_farewell(Dialog.restored_untrusted(kept.dialog), now)

    # --- network and clock ---------------------------------------------------------------------------------

    def on_request(self, event: RequestReceived | AckReceived, now: float) -> bool:
        """Serve a request from the network. Always True: calls are the last in line, they refuse what nobody wants."""
        match event:
            case AckReceived():
                self._inbound.on_ack(event, now)
            case RequestReceived():
                self._inbound.on_request(event, now)
        self._registry.sweep()
        return True

    def on_response(self, event: ResponseReceived, now: float) -> bool:
        """Take a response to a request of a call; False if the transaction is nobody's here."""
        mine = self._core.on_response(event, now)
        self._registry.sweep()
        return mine

    def on_failure(self, event: TransactionTimedOut | TransactionTransportFailed, now: float) -> bool:
        """Take the failure of a transaction; False if it is nobody's here."""
        mine = self._core.on_failure(event, now)
        self._registry.sweep()
        return mine

    def handle_timeout(self, now: float) -> None:
        """Run every timer due at ``now``."""
        for key, timer in self._core.timers.due(now):
            if timer is Timer.BYE:
                if farewell := self._registry.farewell(key):
                    farewell.heard(now)
            elif usage := self._registry.calls.get(key):
                usage.on_timer(timer, now)
        self._core.forget_requests(now)
        self._registry.sweep()

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` is due, or None."""
        return self._core.next_timeout()

    def resumed(self, gap_s: float) -> None:
        """The machine slept for ``gap_s``: put off all deadlines but those of session timers.

        A session that ran out meanwhile ends only once the peer was asked.
        """
        self._core.resumed(gap_s)
        for usage in self._registry.calls.values():
            usage.call.slept = True

    def events(self) -> list[Event]:
        """Drain what the owner must know, in order."""
        drained, self._core.events = self._core.events, []
        return drained

    # --- what there is -------------------------------------------------------------------------------------

    @property
    def live(self) -> tuple[CallId, ...]:
        """The calls that have not ended, oldest first."""
        return tuple(self._registry.calls)

    @property
    def urgent(self) -> bool:
        """Whether a call is up or rings here, so that lost signalling is urgent."""
        return any(usage.call.up or usage.call.state is State.INCOMING for usage in self._registry.calls.values())

    @property
    def pending_farewells(self) -> int:
        """How many BYEs were not heard yet."""
        return len(self._registry.farewells())

    def _usage(self, call: CallId) -> Usage:
        usage = self._registry.calls.get(call)
        if usage is None:
            raise LocalProtocolError(f"there is no call {call}")
        return usage

    def _answered(self, call: CallId) -> Usage:
        usage = self._usage(call)
        if not usage.call.up:
            raise LocalProtocolError(Phrase("the call is not answered"))
        return usage
