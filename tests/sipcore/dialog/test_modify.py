"""Session changes both ways: hold, re-INVITE, UPDATE, glare (RFC 3261 §14, RFC 3264 §8, RFC 3311)."""

from dataclasses import replace

import pytest

from sipcore.events import CallEnded, CallId, EndedBy, HoldChanged, MediaNegotiated, VerbFailed
from sipcore.media import Direction, Fingerprint, Profile
from sipcore.message.message import Request, Response
from sipcore.sdp.offer_answer import OfferAnswer
from tests.sipcore.dialog.pair import MEDIA, MOVED_MEDIA, OTHER_MEDIA, Pair
from tests.sipcore.dialog.solo import Solo


def origin(body: bytes) -> tuple[str, int]:
    """Session id and version of the o= line."""
    line = next(line for line in body.decode().splitlines() if line.startswith("o="))
    return line.split()[1], int(line.split()[2])


class Peer:
    """Bob's half of a call with Alice, with a negotiation that lives on."""

    def __init__(self, solo: Solo) -> None:
        self.solo = solo
        self.call, invite = solo.dial()
        self.sdp = OfferAnswer(solo.ids)
        self.sdp.receive_offer(invite.body)
        self.invite = invite
        self.ok = solo.reply(invite, 200, sdp=self.sdp.create_answer(OTHER_MEDIA)[0])
        solo.take()

    def accept(self, invite: Request, wanted: Direction = Direction.SENDRECV) -> Response:
        """Answer a re-INVITE of Alice's."""
        self.sdp.receive_offer(invite.body)
        return self.solo.reply(invite, 200, sdp=self.sdp.create_answer(OTHER_MEDIA, wanted)[0])

    def reinvite(self, direction: Direction = Direction.SENDRECV) -> Request:
        """A re-INVITE of Bob's with an offer, sent."""
        invite = self.solo.within("INVITE", self.ok, sdp=self.sdp.create_offer(OTHER_MEDIA, direction))
        self.solo.receive(invite)
        return invite

    def ack(self, response: Response, sdp: bytes | None = None) -> None:
        """Bob's ACK of a 200 of Alice's."""
        self.solo.receive(self.solo.within("ACK", response, cseq=response.cseq.number, sdp=sdp))


def hold_events(solo: Solo) -> list[tuple[bool, bool]]:
    """(local, remote) of each change."""
    return [(event.local, event.remote) for event in solo.alice.seen(HoldChanged)]


# --- hold and resume ----------------------------------------------------------------------------------------


def test_hold_is_a_sendonly_offer_with_the_same_session_and_the_next_version() -> None:
    """RFC 3264 §8.4, §8."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    invite = solo.request("INVITE")
    session, version = origin(peer.invite.body)
    assert origin(invite.body) == (session, version + 1)
    assert b"a=sendonly" in invite.body
    assert (invite.to.tag, invite.cseq.number) == ("bob", 2)
    assert str(invite.uri) == "sip:bob@peer.example.com"
    assert hold_events(solo) == []
    peer.accept(invite)
    ack = solo.request("ACK")
    assert ack.cseq.number == 2
    assert hold_events(solo) == [(True, False)]
    assert solo.alice.seen(MediaNegotiated)[-1].parameters.direction is Direction.SENDONLY
    solo.alice.calls.resume(peer.call, solo.now)
    resumed = solo.request("INVITE")
    assert origin(resumed.body) == (session, version + 2)
    peer.accept(resumed)
    assert hold_events(solo) == [(True, False), (False, False)]


def test_holding_what_is_held_sends_nothing() -> None:
    """And resuming what is not."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.resume(peer.call, solo.now)
    assert solo.take() == []
    solo.alice.calls.hold(peer.call, solo.now)
    peer.accept(solo.request("INVITE"))
    solo.take()
    solo.alice.calls.hold(peer.call, solo.now)
    assert solo.take() == []


def test_wishes_during_a_reinvite_wait_for_its_end() -> None:
    """§14.1: "a UAC MUST NOT initiate a new INVITE transaction within a dialog while another [...] is in progress"."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    first = solo.request("INVITE")
    solo.alice.calls.resume(peer.call, solo.now)
    solo.alice.calls.update_media(peer.call, MOVED_MEDIA, solo.now)
    assert solo.take() == []
    peer.accept(first)
    second = solo.request("INVITE")
    assert b"a=sendrecv" in second.body
    assert b"198.51.100.7" in second.body
    peer.accept(second)
    assert solo.ladder() == ["ACK"]
    assert hold_events(solo) == [(True, False), (False, False)]


def test_a_hold_of_both_is_inactive() -> None:
    """RFC 3264 §8.4; each resumes on its own."""
    pair = Pair()
    alice, bob = pair.connect_call()
    pair.alice.calls.hold(alice, pair.now)
    pair.settle()
    pair.bob.calls.hold(bob, pair.now)
    pair.settle()
    assert [e.parameters.direction for e in pair.alice.seen(MediaNegotiated)][-1] is Direction.INACTIVE
    pair.alice.calls.resume(alice, pair.now)
    pair.settle()
    assert [e.parameters.direction for e in pair.alice.seen(MediaNegotiated)][-1] is Direction.RECVONLY
    pair.bob.calls.resume(bob, pair.now)
    pair.settle()
    for agent in (pair.alice, pair.bob):
        assert agent.seen(MediaNegotiated)[-1].parameters.direction is Direction.SENDRECV
        last = agent.seen(HoldChanged)[-1]
        assert (last.local, last.remote) == (False, False)


@pytest.mark.parametrize("status", [488, 500, 503, 603])
def test_a_refused_reinvite_leaves_the_session_as_it_was(status: int) -> None:
    """§14.1: "the session parameters MUST remain unchanged, as if no re-INVITE had been issued"."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    refused = solo.request("INVITE")
    solo.reply(refused, status)
    (failed,) = solo.alice.seen(VerbFailed)
    assert (failed.verb, failed.status) == ("hold", status)
    assert hold_events(solo) == []
    assert len(solo.alice.seen(MediaNegotiated)) == 1
    assert solo.alice.ended is None
    solo.take()
    solo.alice.calls.hold(peer.call, solo.now)
    again = solo.request("INVITE")
    assert origin(again.body) == origin(refused.body)
    peer.accept(again)
    assert hold_events(solo) == [(True, False)]


@pytest.mark.parametrize("status", [404, 408, 481])
def test_a_peer_that_knows_no_such_call_ends_it(status: int) -> None:
    """§12.2.1.2: a 481 or 408 on the wire; the BYE is best effort."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    solo.reply(solo.request("INVITE"), status)
    solo.reply(solo.request("BYE"), 481)
    assert solo.alice.ended == CallEnded(
        call=peer.call,
        by=EndedBy.ERROR,
        status=status,
        reason=solo.alice.ended.reason if solo.alice.ended else "",
        answered=True,
    )


def test_a_change_that_cannot_even_be_offered_is_a_failed_verb() -> None:
    """The kind of protection stays as agreed (here: keys), and new media must bring what that needs."""
    solo = Solo()
    keyed = replace(MEDIA, profile=Profile.UDP_TLS_RTP_SAVPF, fingerprint=Fingerprint("sha-256", "AB:" * 31 + "AB"))
    call = solo.alice.calls.dial("bob", keyed, solo.now)
    invite = solo.request("INVITE")
    solo.reply(invite, 200, sdp=solo.answer_to(invite, keyed))
    solo.take()
    solo.alice.calls.update_media(call, MEDIA, solo.now)
    assert solo.take() == []
    assert [event.verb for event in solo.alice.seen(VerbFailed)] == ["update_media"]
    solo.alice.calls.hold(call, solo.now)
    assert solo.ladder() == ["INVITE"]


def test_progress_of_a_reinvite_is_no_news() -> None:
    """A 100 or 180 within a call."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    invite = solo.request("INVITE")
    shown = len(solo.alice.log)
    solo.reply(invite, 100, tag="")
    solo.reply(invite, 180)
    assert len(solo.alice.log) == shown
    peer.accept(invite)
    assert hold_events(solo) == [(True, False)]


def test_silence_is_no_end() -> None:
    """Nobody said the call is gone: only a message on the wire ends it."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    solo.run(33)
    (failed,) = solo.alice.seen(VerbFailed)
    assert (failed.verb, failed.status) == ("hold", 408)
    assert solo.alice.ended is None


@pytest.mark.parametrize("body", [None, b"nonsense"])
def test_a_2xx_without_a_usable_answer_changes_nothing(body: bytes | None) -> None:
    """It is acknowledged all the same."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    solo.reply(solo.request("INVITE"), 200, sdp=body)
    assert solo.ladder() == ["ACK"]
    assert solo.alice.seen(VerbFailed)[0].verb == "hold"
    assert hold_events(solo) == []


def test_a_copy_of_the_2xx_is_acknowledged_again() -> None:
    """§13.2.2.4; even a late copy of an earlier re-INVITE's, which is no answer to a later one."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    first = peer.accept(solo.request("INVITE"))
    (ack,) = solo.take()
    solo.receive(first)
    assert bytes(solo.take()[0]) == bytes(ack)
    solo.alice.calls.resume(peer.call, solo.now)
    second = solo.request("INVITE")
    solo.receive(first)
    assert bytes(solo.take()[0]) == bytes(ack)
    peer.accept(second)
    assert hold_events(solo) == [(True, False), (False, False)]


def test_a_2xx_that_crosses_our_bye_is_acknowledged_and_changes_nothing() -> None:
    """The call is over."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    invite = solo.request("INVITE")
    solo.alice.calls.hang_up(peer.call, solo.now)
    solo.take()
    peer.accept(invite)
    assert solo.ladder() == ["ACK"]
    assert hold_events(solo) == []
    refused = Solo()
    peer = Peer(refused)
    refused.alice.calls.hold(peer.call, refused.now)
    invite = refused.request("INVITE")
    refused.alice.calls.hang_up(peer.call, refused.now)
    refused.reply(invite, 488)
    assert refused.alice.seen(VerbFailed) == []


def test_the_target_follows_the_contact_of_a_2xx() -> None:
    """§12.2.1.2: target refresh; an unreadable Contact leaves it."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    invite = solo.request("INVITE")
    peer.sdp.receive_offer(invite.body)
    solo.reply(invite, 200, sdp=peer.sdp.create_answer(OTHER_MEDIA)[0], contact="sip:bob@new.example.com")
    assert str(solo.request("ACK").uri) == "sip:bob@new.example.com"
    solo.alice.calls.resume(peer.call, solo.now)
    invite = solo.request("INVITE")
    assert str(invite.uri) == "sip:bob@new.example.com"
    peer.sdp.receive_offer(invite.body)
    solo.reply(invite, 200, sdp=peer.sdp.create_answer(OTHER_MEDIA)[0], contact="tel:1")
    assert str(solo.request("ACK").uri) == "sip:bob@new.example.com"


def test_new_media_is_offered_and_used_from_then_on() -> None:
    """update_media: another address, the same session, the next version."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.update_media(peer.call, MOVED_MEDIA, solo.now)
    invite = solo.request("INVITE")
    assert b"198.51.100.7" in invite.body
    assert origin(invite.body)[1] == origin(peer.invite.body)[1] + 1
    peer.accept(invite)
    solo.take()
    peer.reinvite()
    assert b"198.51.100.7" in solo.response(200).body


def test_a_reinvite_is_challenged_like_any_request() -> None:
    """§22.2; the dialog counts the numbers."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    first = solo.request("INVITE")
    solo.reply(first, 407, headers=(("Proxy-Authenticate", 'Digest realm="x", nonce="n", qop="auth"'),))
    again = solo.request("INVITE")
    assert again.cseq.number == first.cseq.number + 1
    assert again.body == first.body
    peer.accept(again)
    ack = solo.request("ACK")
    assert ack.cseq.number == again.cseq.number
    assert "Proxy-Authorization" in ack.headers
    solo.alice.calls.hang_up(peer.call, solo.now)
    assert solo.request("BYE").cseq.number == again.cseq.number + 1


# --- their changes ------------------------------------------------------------------------------------------


def test_a_reinvite_with_an_offer_is_answered_at_once() -> None:
    """§14.2; the far end holds."""
    solo = Solo()
    peer = Peer(solo)
    peer.reinvite(Direction.SENDONLY)
    response = solo.response(200)
    assert b"a=recvonly" in response.body
    assert response.contacts
    assert peer.sdp.receive_answer(response.body).direction is Direction.SENDONLY
    peer.ack(response)
    assert hold_events(solo) == [(False, True)]
    assert solo.alice.seen(MediaNegotiated)[-1].parameters.on_hold_by_peer
    solo.run(60)
    assert solo.take() == []


def test_its_2xx_is_sent_again_until_the_ack_and_a_lost_ack_ends_no_call() -> None:
    """§14.2 leaves the session up."""
    solo = Solo()
    peer = Peer(solo)
    peer.reinvite()
    solo.run(33)
    assert solo.ladder().count("200 INVITE") == 11
    assert solo.alice.ended is None
    solo.alice.calls.hold(peer.call, solo.now)
    assert solo.ladder() == ["INVITE"]


def test_a_reinvite_without_an_offer_gets_ours_and_the_ack_answers() -> None:
    """§14.2: delayed offer."""
    solo = Solo()
    peer = Peer(solo)
    solo.receive(solo.within("INVITE", peer.ok))
    response = solo.response(200)
    assert b"192.0.2.1" in response.body
    rounds = len(solo.alice.seen(MediaNegotiated))
    peer.sdp.receive_offer(response.body)
    peer.ack(response, peer.sdp.create_answer(MOVED_MEDIA)[0])
    assert len(solo.alice.seen(MediaNegotiated)) == rounds + 1
    assert solo.alice.seen(MediaNegotiated)[-1].parameters.remote_address == "198.51.100.7"


@pytest.mark.parametrize("sdp", [None, b"nonsense"])
def test_an_ack_without_the_answer_leaves_the_session_as_it_was(sdp: bytes | None) -> None:
    """Unlike at the start of a call, there is media to go on with."""
    solo = Solo()
    peer = Peer(solo)
    solo.receive(solo.within("INVITE", peer.ok))
    peer.ack(solo.response(200), sdp)
    assert solo.alice.ended is None
    solo.alice.calls.hold(peer.call, solo.now)
    assert solo.ladder() == ["INVITE"]


def test_while_an_answer_is_due_in_an_ack_nothing_else_is_negotiated() -> None:
    """RFC 3261 §14.2, RFC 3311 §5.2: 500 with Retry-After, 491; our own wishes wait."""
    solo = Solo()
    peer = Peer(solo)
    solo.receive(solo.within("INVITE", peer.ok))
    response = solo.response(200)
    solo.alice.calls.hold(peer.call, solo.now)
    assert solo.take() == []
    solo.receive(solo.within("INVITE", peer.ok, sdp=peer.sdp.create_offer(OTHER_MEDIA)))
    assert "Retry-After" in solo.response(500).headers
    peer.sdp.rollback()
    solo.receive(solo.within("UPDATE", peer.ok, sdp=peer.sdp.create_offer(OTHER_MEDIA)))
    peer.sdp.rollback()
    assert solo.ladder() == ["491 UPDATE"]
    peer.sdp.receive_offer(response.body)
    peer.ack(response, peer.sdp.create_answer(OTHER_MEDIA)[0])
    assert solo.ladder() == ["INVITE"]


def test_a_second_reinvite_proves_that_the_first_2xx_arrived() -> None:
    """Its ACK was lost or overtaken (RFC 5407 §3.1.4)."""
    solo = Solo()
    peer = Peer(solo)
    peer.reinvite()
    first = solo.response(200)
    peer.sdp.receive_answer(first.body)
    peer.reinvite()
    second = solo.response(200)
    peer.ack(second)
    solo.run(60)
    assert solo.take() == []


def test_an_offer_that_cannot_be_accepted_changes_nothing() -> None:
    """§14.2: 488, and the session stays; so does the target."""
    solo = Solo()
    peer = Peer(solo)
    bad = peer.sdp.create_offer(OTHER_MEDIA).replace(b"m=audio", b"m=video")
    invite = solo.within("INVITE", peer.ok, sdp=bad)
    invite.headers.set("Contact", "<sip:bob@elsewhere.example.com>")
    solo.receive(invite)
    assert "Warning" in solo.response(488).headers
    solo.receive(solo.within("INVITE", peer.ok, sdp=b"nonsense"))
    assert solo.ladder() == ["400 INVITE"]
    solo.alice.calls.hold(peer.call, solo.now)
    assert str(solo.request("INVITE").uri) == "sip:bob@peer.example.com"


def test_bodies_that_are_no_sdp_and_numbers_that_are_old() -> None:
    """§8.2.3, §12.2.2."""
    solo = Solo()
    peer = Peer(solo)
    strange = solo.within("INVITE", peer.ok, headers=(("Content-Type", "text/plain"),))
    strange.body = b"hello"
    solo.receive(strange)
    solo.receive(solo.within("INVITE", peer.ok, sdp=peer.sdp.create_offer(OTHER_MEDIA), cseq=strange.cseq.number))
    assert solo.ladder() == ["415 INVITE", "500 INVITE"]


def test_an_update_is_answered_without_an_ack() -> None:
    """RFC 3311 §5.2, with and without an offer."""
    solo = Solo()
    peer = Peer(solo)
    solo.receive(solo.within("UPDATE", peer.ok, sdp=peer.sdp.create_offer(OTHER_MEDIA, Direction.SENDONLY)))
    response = solo.response(200)
    assert b"a=recvonly" in response.body
    assert hold_events(solo) == [(False, True)]
    solo.receive(solo.within("UPDATE", peer.ok))
    assert solo.response(200).body == b""
    bad = solo.within("UPDATE", peer.ok, headers=(("Content-Type", "text/plain"),))
    bad.body = b"x"
    solo.receive(bad)
    assert solo.ladder() == ["415 UPDATE"]
    solo.run(60)
    assert solo.take() == []


def test_changes_of_a_call_that_is_ending_come_too_late() -> None:
    """481."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hang_up(peer.call, solo.now)
    solo.take()
    solo.receive(solo.within("INVITE", peer.ok, sdp=peer.sdp.create_offer(OTHER_MEDIA)))
    solo.receive(solo.within("UPDATE", peer.ok))
    assert solo.ladder() == ["481 INVITE", "481 UPDATE"]


def test_a_change_before_the_first_ack_acknowledges_the_2xx() -> None:
    """RFC 5407 §3.1.4: the re-INVITE overtook the ACK."""
    solo = Solo()
    theirs = OfferAnswer(solo.ids)
    invite = solo.invite(sdp=theirs.create_offer(OTHER_MEDIA))
    solo.receive(invite)
    solo.alice.calls.answer(solo.alice.incoming, MEDIA, solo.now)
    first = solo.response(200)
    theirs.receive_answer(first.body)
    solo.receive(solo.within("INVITE", first, sdp=theirs.create_offer(MOVED_MEDIA)))
    second = solo.response(200)
    solo.receive(solo.within("ACK", second, cseq=second.cseq.number))
    solo.run(60)
    assert solo.take() == []
    assert solo.alice.ended is None


def test_an_update_before_the_answer_waits_for_it() -> None:
    """RFC 3311 §5.2: their offer is not answered yet: 500 with Retry-After."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    solo.alice.calls.ring(solo.alice.incoming, solo.now)
    ringing = solo.response(180)
    solo.receive(solo.within("UPDATE", ringing, sdp=solo.offer()))
    assert "Retry-After" in solo.response(500).headers
    solo.receive(solo.within("INVITE", ringing, sdp=solo.offer()))
    assert solo.ladder() == ["481 INVITE"]


# --- glare --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "low", "high"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_a_491_is_tried_again_after_the_wait_of_the_rfc(ours: bool, low: float, high: float) -> None:
    """§14.1: the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s."""
    solo = Solo()
    call: CallId
    if ours:
        call = Peer(solo).call
    else:
        invite = solo.invite(sdp=solo.offer())
        solo.receive(invite)
        call = solo.alice.incoming
        solo.alice.calls.answer(call, MEDIA, solo.now)
        response = solo.response(200)
        solo.receive(solo.within("ACK", response, cseq=invite.cseq.number))
    solo.alice.calls.hold(call, solo.now)
    solo.reply(solo.request("INVITE"), 491)
    assert solo.ladder() == ["ACK"]
    start = solo.now
    while not (sent := solo.ladder()):
        solo.run(0.01)
    assert sent == ["INVITE"]
    assert low - 0.02 <= solo.now - start <= high + 0.02
    assert solo.alice.seen(VerbFailed) == []


def test_glare_without_end_is_given_up() -> None:
    """Somebody always says 491."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    for _ in range(20):
        invites = [m for m in solo.take() if isinstance(m, Request) and m.method == "INVITE"]
        if invites:
            solo.reply(invites[0], 491)
        solo.run(5)
    (failed,) = solo.alice.seen(VerbFailed)
    assert (failed.verb, failed.status) == ("hold", 491)


def test_a_wish_that_lapses_during_the_wait_is_not_sent() -> None:
    """Held, refused for now, and resumed again."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    solo.reply(solo.request("INVITE"), 491)
    solo.alice.calls.resume(peer.call, solo.now)
    solo.run(10)
    assert solo.ladder() == ["ACK"]


@pytest.mark.parametrize(("retry_after", "waits"), [("3", True), ("3600", True), ("x", False), (None, False)])
def test_a_500_with_retry_after_is_tried_again(retry_after: str | None, waits: bool) -> None:
    """§14.2: the peer has an INVITE of its own under way; never longer than the 10 s it may ask for."""
    solo = Solo()
    peer = Peer(solo)
    solo.alice.calls.hold(peer.call, solo.now)
    headers = () if retry_after is None else (("Retry-After", retry_after),)
    solo.reply(solo.request("INVITE"), 500, headers=headers)
    solo.run(10.1)
    assert solo.ladder() == (["ACK", "INVITE"] if waits else ["ACK"])
    assert len(solo.alice.seen(VerbFailed)) == (0 if waits else 1)


def test_when_both_change_the_session_at_once_both_changes_come_true() -> None:
    """§14.1 glare, from both sides."""
    pair = Pair()
    alice, bob = pair.connect_call()
    pair.alice.calls.hold(alice, pair.now)
    pair.bob.calls.hold(bob, pair.now)
    pair.settle()
    assert len(pair.responses("INVITE", 491)) == 2
    pair.run(5)
    for agent in (pair.alice, pair.bob):
        last = agent.seen(HoldChanged)[-1]
        assert (last.local, last.remote) == (True, True)
        assert agent.seen(VerbFailed) == []
        assert agent.seen(MediaNegotiated)[-1].parameters.direction is Direction.INACTIVE


def test_a_change_that_overtakes_an_ack_goes_before_our_own_wish() -> None:
    """Their offer is answered first; ours waits for the ACK."""
    solo = Solo()
    peer = Peer(solo)
    peer.reinvite()
    peer.sdp.receive_answer(solo.response(200).body)
    solo.alice.calls.hold(peer.call, solo.now)
    assert solo.take() == []
    peer.reinvite()
    (second,) = solo.take()
    assert isinstance(second, Response)
    assert second.status == 200
    peer.sdp.receive_answer(second.body)
    peer.ack(second)
    peer.accept(solo.request("INVITE"))
    assert hold_events(solo) == [(True, False)]
