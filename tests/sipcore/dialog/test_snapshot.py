"""Calls that another process goes on with: one dies with a call up, the next has nothing but the snapshot."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcore.dialog.snapshot import RESERVED_CSEQS, CallSnapshot, CallsSnapshot, DialogSnapshot, FarewellSnapshot
from sipcore.errors import LocalProtocolError, ParseError
from sipcore.events import CallEnded, CallState, EndedBy, MediaNegotiated, VerbFailed
from sipcore.media import (
    CryptoKey,
    Direction,
    Fingerprint,
    IceCredentials,
    LocalMedia,
    MediaParameters,
    Profile,
)
from sipcore.message.message import Request
from sipcore.sdp.offer_answer import OfferAnswer
from sipcore.sdp.parse import parse
from sipcore.sdp.snapshot import NegotiationSnapshot
from tests.sipcore.dialog.pair import MEDIA, OTHER_MEDIA, Agent
from tests.sipcore.dialog.solo import Solo

NEW_SSRC = dataclasses.replace(MEDIA, ssrc=77, cname="after")
KEY = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
OTHER_KEY = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
SUITE = "AES_CM_128_HMAC_SHA1_80"
PRINT = Fingerprint("sha-256", ":".join(["AB"] * 32))
OTHER_PRINT = Fingerprint("sha-256", ":".join(["CD"] * 32))
PASSWORD = "aPasswordOfIce000000000000"


def sdes(media: LocalMedia, key: str) -> LocalMedia:
    return dataclasses.replace(media, profile=Profile.RTP_SAVP, crypto=(CryptoKey(1, SUITE, key),))


def dtls(media: LocalMedia, fingerprint: Fingerprint, ufrag: str) -> LocalMedia:
    return dataclasses.replace(
        media,
        profile=Profile.UDP_TLS_RTP_SAVPF,
        fingerprint=fingerprint,
        rtcp_mux=True,
        ice=IceCredentials(ufrag, PASSWORD),
    )


def restart(solo: Solo, media: LocalMedia = NEW_SSRC, *, seed: int = 2) -> CallsSnapshot:
    """Alice's process dies, another begins with what was kept, and is not connected yet."""
    kept = solo.alice.calls.snapshot()
    flow = solo.alice.flow
    solo.take()
    solo.alice = Agent("alice", seed=seed)
    solo.alice.flow = flow
    for call in kept.calls:
        solo.alice.calls.restore_call(call, media, solo.now)
    for farewell in kept.farewells:
        solo.alice.calls.restore_farewell(farewell, solo.now)
    solo.flush()
    assert solo.sent == []
    return kept


def recover(solo: Solo) -> None:
    solo.alice.connect(solo.now, recovered=True)
    solo.flush()


def negotiated(solo: Solo) -> list[MediaParameters]:
    return [event.parameters for event in solo.alice.seen(MediaNegotiated)]


def secure_call(solo: Solo, ours: LocalMedia, theirs: LocalMedia) -> Request:
    """A call whose media is encrypted; returns its INVITE."""
    solo.alice.calls.set_flow(solo.alice.flow, solo.alice.calls._core.contact, solo.now, secure=True)
    solo.alice.calls.dial("bob", ours, solo.now)
    invite = solo.request("INVITE")
    solo.reply(invite, 200, sdp=encrypted_answer(solo, invite, theirs))
    solo.take()
    return invite


def encrypted_answer(solo: Solo, invite: Request, theirs: LocalMedia) -> bytes:
    negotiation = OfferAnswer(solo.ids, allow_sdes=True)
    negotiation.receive_offer(invite.body)
    return negotiation.create_answer(theirs)[0]


# --- the same dialog ---------------------------------------------------------------------------------------


def test_a_restarted_call_goes_on_in_its_dialog_with_one_reinvite() -> None:
    """RFC 3261 §12.2.1.1: the same Call-ID and tags, a higher CSeq; RFC 3264 §8: the same o=, one version on."""
    solo = Solo()
    call, invite, ok = solo.connect_call()
    restart(solo)
    assert solo.alice.calls.live == (call,)
    assert solo.alice.calls.urgent
    recover(solo)
    again = solo.request("INVITE")
    assert (again.call_id, again.from_.tag, again.to.tag) == (invite.call_id, invite.from_.tag, ok.to.tag)
    assert again.uri == ok.contacts[0].uri
    assert again.cseq.number > invite.cseq.number
    assert str(again.contacts[0].uri) == "sip:alice@alice2.invalid;transport=ws"
    before, after = parse(invite.body).origin, parse(again.body).origin
    assert (after.session_id, after.connection) == (before.session_id, before.connection)
    assert after.session_version == before.session_version + 1
    assert b"a=ssrc:77 cname:after" in again.body
    solo.reply(again, 200, sdp=ok.body)
    assert solo.ladder() == ["ACK"]
    solo.run(600)
    assert solo.ladder() == []
    assert solo.alice.states == []  # it was active all along


def test_either_side_can_end_a_restarted_call() -> None:
    """A BYE arrives, and a BYE leaves."""
    solo = Solo()
    _, invite, ok = solo.connect_call()
    restart(solo)
    recover(solo)
    solo.reply(solo.request("INVITE"), 200, sdp=ok.body)
    solo.take()
    solo.receive(solo.within("BYE", ok))
    assert solo.ladder() == ["200 BYE"]
    assert solo.alice.ended is not None
    assert (solo.alice.ended.by, solo.alice.ended.answered) == (EndedBy.REMOTE, True)

    solo = Solo()
    call, invite, ok = solo.connect_call()
    restart(solo)
    recover(solo)
    solo.reply(solo.request("INVITE"), 200, sdp=ok.body)
    solo.take()
    solo.alice.calls.hang_up(call, solo.now)
    bye = solo.request("BYE")
    assert bye.call_id == invite.call_id
    solo.reply(bye, 200)
    assert solo.alice.calls.live == ()


def test_an_incoming_call_restarts_like_one_of_ours() -> None:
    """RFC 3261 §12.1.1: the roles of From and To are those of the dialog, not of the INVITE."""
    solo = Solo()
    invite = solo.invite(sdp=solo.offer())
    solo.receive(invite)
    solo.take()
    call = solo.alice.incoming
    solo.alice.calls.answer(call, MEDIA, solo.now)
    ok = solo.response(200)
    solo.receive(solo.within("ACK", ok, cseq=invite.cseq.number))
    kept = restart(solo)
    assert not kept.calls[0].outgoing
    recover(solo)
    again = solo.request("INVITE")
    assert again.from_.tag == ok.to.tag
    assert again.to.tag == invite.from_.tag
    assert parse(again.body).origin.session_id == parse(ok.body).origin.session_id


def test_a_call_whose_ack_never_came_restarts_too() -> None:
    """The peer sent its ACK into the connection that died."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    solo.alice.calls.answer(solo.alice.incoming, MEDIA, solo.now)
    solo.take()
    restart(solo)
    recover(solo)
    assert solo.ladder() == ["INVITE"]


@pytest.mark.parametrize("status", [491, 500])
def test_a_peer_that_waits_for_the_ack_of_a_reinvite_gets_it(status: int) -> None:
    """RFC 3261 §14.2: it refuses every other INVITE meanwhile, and ends the call after 64*T1."""
    solo = Solo()
    call, _, ok = solo.connect_call()
    solo.alice.calls.hold(call, solo.now)
    lost = solo.request("INVITE")  # its 200 never came
    restart(solo)
    recover(solo)
    headers = (("Retry-After", "5"),) if status == 500 else ()
    solo.reply(solo.request("INVITE"), status, headers=headers)
    acks = [message for message in solo.take() if isinstance(message, Request)]
    assert [ack.method for ack in acks] == ["ACK", "ACK"]
    assert lost.cseq.number in [ack.cseq.number for ack in acks]
    solo.run(0.2)
    again = solo.request("INVITE")
    assert b"a=sendonly" in again.body
    solo.reply(again, status, headers=headers)
    assert solo.ladder() == ["ACK"]  # once is enough; it is glare, then
    solo.run(6)
    solo.reply(solo.request("INVITE"), 200, sdp=ok.body)
    assert solo.ladder() == ["ACK"]
    assert solo.alice.calls.live == (call,)


def test_calls_nobody_answered_are_not_kept() -> None:
    """What rings here is the peer's to give up; what rings there for nobody is ended by a BYE (§15)."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    assert solo.alice.calls.snapshot() == CallsSnapshot()
    _, invite = solo.dial()
    solo.reply(invite, 180)
    kept = solo.alice.calls.snapshot()
    assert kept.calls == ()
    assert [farewell.dialog.call_id for farewell in kept.farewells] == [invite.call_id]


# --- what the media hears of it ----------------------------------------------------------------------------


def test_plain_sound_flows_before_signalling_does() -> None:
    """Where to and in which format, as it was."""
    solo = Solo()
    solo.connect_call()
    before = negotiated(solo)[-1]
    restart(solo)
    (after,) = negotiated(solo)
    assert dataclasses.replace(after, negotiation=before.negotiation) == before


def test_a_held_call_stays_held() -> None:
    """Also in what the sound engine is told, and in the re-INVITE."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    solo.alice.calls.hold(call, solo.now)
    hold = solo.request("INVITE")
    solo.reply(hold, 200, sdp=solo.answer_to(hold))
    restart(solo)
    assert negotiated(solo)[-1].direction is Direction.SENDONLY
    recover(solo)
    again = solo.request("INVITE")
    assert b"a=sendonly" in again.body
    solo.reply(again, 200, sdp=solo.answer_to(again))
    solo.alice.calls.resume(call, solo.now)
    assert b"a=sendrecv" in solo.request("INVITE").body


@pytest.mark.parametrize(
    ("ours", "after", "theirs"),
    [
        (sdes(MEDIA, KEY), sdes(NEW_SSRC, OTHER_KEY), sdes(OTHER_MEDIA, OTHER_KEY)),
        (dtls(MEDIA, PRINT, "aaaa"), dtls(NEW_SSRC, OTHER_PRINT, "bbbb"), dtls(OTHER_MEDIA, PRINT, "cccc")),
    ],
    ids=["sdes", "dtls"],
)
def test_encrypted_sound_waits_for_new_keys(ours: LocalMedia, after: LocalMedia, theirs: LocalMedia) -> None:
    """Nothing flows in the clear meanwhile, and no secret was kept."""
    solo = Solo()
    secure_call(solo, ours, theirs)
    kept = restart(solo, after)
    text = repr(kept)
    assert not any(secret in text for secret in (KEY, OTHER_KEY, PASSWORD, "inline:", "ice-pwd"))
    assert negotiated(solo) == []
    recover(solo)
    again = solo.request("INVITE")
    assert (OTHER_KEY.encode() in again.body) == bool(after.crypto)
    assert (OTHER_PRINT.value.encode() in again.body) == (after.fingerprint is not None)
    assert (b"a=ice-ufrag:bbbb" in again.body) == (after.ice is not None)
    solo.reply(again, 200, sdp=encrypted_answer(solo, again, theirs))
    (agreed,) = negotiated(solo)
    assert (agreed.local_crypto is not None) == bool(after.crypto)
    assert (agreed.dtls_role is not None) == (after.fingerprint is not None)
    assert agreed.local_ice == after.ice


def test_a_dtls_call_may_leave_ice_out_at_first_and_take_it_up_again() -> None:
    """The second offer is the first one's successor: one version on, under the same fingerprint."""
    ours, theirs = dtls(NEW_SSRC, OTHER_PRINT, "bbbb"), dtls(OTHER_MEDIA, PRINT, "cccc")
    solo = Solo()
    secure_call(solo, dtls(MEDIA, PRINT, "aaaa"), theirs)
    (call,) = restart(solo, dataclasses.replace(ours, ice=None)).calls
    recover(solo)
    first = solo.request("INVITE")
    assert b"ice-ufrag" not in first.body
    solo.reply(first, 200, sdp=encrypted_answer(solo, first, theirs))
    assert negotiated(solo)[-1].local_ice is None
    solo.take()
    solo.alice.calls.update_media(call.id, ours, solo.now)
    second = solo.request("INVITE")
    assert b"a=ice-ufrag:bbbb" in second.body
    assert parse(second.body).origin.session_version == parse(first.body).origin.session_version + 1
    solo.reply(second, 200, sdp=encrypted_answer(solo, second, theirs))
    assert negotiated(solo)[-1].local_ice == ours.ice
    solo.take()
    solo.alice.calls.hold(call.id, solo.now)
    assert b"a=ice-ufrag:bbbb" in solo.request("INVITE").body


def test_a_refused_reinvite_ends_a_call_only_where_there_is_no_sound_without_it() -> None:
    """Plain sound flows whatever the peer says; encrypted sound cannot."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    restart(solo)
    recover(solo)
    solo.reply(solo.request("INVITE"), 488)
    assert solo.alice.calls.live == (call,)
    assert solo.alice.seen(VerbFailed)

    solo = Solo()
    secure_call(solo, sdes(MEDIA, KEY), sdes(OTHER_MEDIA, OTHER_KEY))
    restart(solo, sdes(NEW_SSRC, OTHER_KEY))
    recover(solo)
    solo.reply(solo.request("INVITE"), 488)
    assert solo.ladder() == ["ACK", "BYE"]
    solo.run(40)
    assert solo.alice.ended is not None
    assert (solo.alice.ended.by, solo.alice.ended.status) == (EndedBy.ERROR, 488)


def test_encrypted_sound_that_never_gets_new_keys_is_given_up() -> None:
    """A call nobody hears, at a PBX nobody reaches."""
    solo = Solo()
    secure_call(solo, sdes(MEDIA, KEY), sdes(OTHER_MEDIA, OTHER_KEY))
    restart(solo, sdes(NEW_SSRC, OTHER_KEY))
    solo.run(31)
    assert solo.alice.calls.live
    solo.run(2)
    assert not solo.alice.calls.live
    assert solo.alice.calls.pending_farewells == 1


def test_a_call_the_peer_has_given_up_meanwhile_ends() -> None:
    """481 is its word."""
    solo = Solo()
    solo.connect_call()
    restart(solo)
    recover(solo)
    solo.reply(solo.request("INVITE"), 481)
    solo.run(40)
    assert solo.alice.calls.live == ()


# --- goodbyes ----------------------------------------------------------------------------------------------


def test_a_bye_owed_is_said_by_the_next_process() -> None:
    """Hung up while signalling was lost, then the process died."""
    solo = Solo()
    call, invite, _ = solo.connect_call()
    solo.alice.disconnect(solo.now)
    solo.alice.calls.hang_up(call, solo.now)
    kept = restart(solo)
    assert kept.calls == ()
    assert len(kept.farewells) == 1
    recover(solo)
    bye = solo.request("BYE")
    assert bye.call_id == invite.call_id
    solo.reply(bye, 200)
    assert solo.alice.calls.pending_farewells == 0
    assert solo.alice.calls.snapshot() == CallsSnapshot()


def test_a_bye_nobody_confirmed_is_said_again_with_a_higher_number() -> None:
    """RFC 3261 §12.2.2: a lower one would be refused."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    solo.alice.calls.hang_up(call, solo.now)
    first = solo.request("BYE")
    restart(solo)
    recover(solo)
    assert solo.request("BYE").cseq.number > first.cseq.number


def test_a_restarted_process_keeps_the_same_of_its_calls() -> None:
    """It may die again; only the reserve of numbers is another."""
    solo = Solo()
    solo.connect_call(headers=(("Session-Expires", "600;refresher=uac"),))
    kept = restart(solo, MEDIA)
    (before,), (after,) = kept.calls, solo.alice.calls.snapshot().calls
    assert before.session_interval == 600
    assert after.dialog.local_cseq > before.dialog.local_cseq
    number = before.dialog.local_cseq
    assert dataclasses.replace(after, dialog=dataclasses.replace(after.dialog, local_cseq=number)) == before


def test_what_is_kept_changes_once_in_many_requests() -> None:
    """The numbers are reserved ahead."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    seen = set()
    for _ in range(2 * RESERVED_CSEQS):
        solo.alice.calls.send_info_dtmf(call, "1", solo.now)
        sent = solo.request("INFO").cseq.number
        (kept,) = solo.alice.calls.snapshot().calls
        assert sent < kept.dialog.local_cseq <= sent + RESERVED_CSEQS
        seen.add(kept)
    assert len(seen) == 3


def test_a_session_timer_that_ran_out_meanwhile_is_left_to_the_refresh() -> None:
    """RFC 4028 §10 wants a BYE; the re-INVITE finds out whether there is anybody to send it to."""
    solo = Solo()
    call, _, _ = solo.connect_call(headers=(("Session-Expires", "90;refresher=uac"),))
    solo.now += 100
    restart(solo)
    solo.run(5)
    assert solo.alice.calls.live == (call,)
    recover(solo)
    assert solo.ladder() == ["INVITE"]


# --- a journal is nobody's word ----------------------------------------------------------------------------


def test_a_call_is_restored_once() -> None:
    """The second would send into the first one's dialog."""
    solo = Solo()
    solo.connect_call()
    (kept,) = restart(solo).calls
    with pytest.raises(LocalProtocolError):
        solo.alice.calls.restore_call(kept, MEDIA, solo.now)


@given(st.data())
def test_a_damaged_snapshot_is_refused_or_harmless(data: st.DataObject) -> None:
    """ParseError and nothing else; whatever is restored can be refreshed and kept again."""
    solo = Solo()
    solo.connect_call()
    (whole,) = solo.alice.calls.snapshot().calls
    damaged = data.draw(_damaged(whole))
    agent = Agent("alice", seed=3)
    try:
        agent.calls.restore_call(damaged, NEW_SSRC, 2000.0)
    except ParseError:
        assert agent.calls.live == ()
        return
    agent.connect(2000.0, recovered=True)
    for sent in agent.pump(2000.0):
        assert sent.count(b"\r\n\r\n") == 1
    assert agent.calls.snapshot().calls


def _damaged(whole: CallSnapshot) -> st.SearchStrategy[CallSnapshot]:
    texts = st.text(max_size=40)
    numbers = st.integers(-(2**70), 2**70)

    def cut(text: str) -> st.SearchStrategy[str]:
        return st.one_of(texts, st.integers(0, len(text)).map(lambda n: text[:n]), texts.map(lambda t: text + t))

    dialog, negotiation = whole.dialog, whole.negotiation
    return st.builds(
        CallSnapshot,
        id=st.just(whole.id),
        outgoing=st.booleans(),
        dialog=st.one_of(
            st.just(dialog),
            st.builds(
                DialogSnapshot,
                call_id=cut(dialog.call_id),
                local=cut(dialog.local),
                remote=cut(dialog.remote),
                remote_target=cut(dialog.remote_target),
                route_set=st.lists(texts, max_size=3).map(tuple),
                local_cseq=numbers,
                invite_cseq=numbers,
                remote_cseq=st.one_of(st.none(), numbers),
                remote_allow=st.lists(texts, max_size=3).map(tuple),
            ),
        ),
        negotiation=st.builds(
            NegotiationSnapshot,
            local_sdp=st.one_of(st.just(negotiation.local_sdp), cut(negotiation.local_sdp)),
            remote_sdp=st.one_of(st.just(negotiation.remote_sdp), cut(negotiation.remote_sdp)),
            version=numbers,
            address=texts,
            rtp_port=numbers,
            remote_address=texts,
            keying=st.sampled_from(("none", "dtls", "sdes")),
        ),
        holding=st.booleans(),
        session_interval=numbers,
        we_refresh=st.booleans(),
        expires_at=st.one_of(st.none(), st.floats(0, 1e9)),
    )


def test_a_farewell_that_is_damaged_is_refused() -> None:
    """Nothing is sent to nobody."""
    agent = Agent("alice")
    dialog = DialogSnapshot(call_id="a b", local="<sip:a@b>;tag=1", remote="", remote_target="sip:x", local_cseq=1)
    with pytest.raises(ParseError):
        agent.calls.restore_farewell(FarewellSnapshot(dialog=dialog), 1.0)
    assert agent.calls.pending_farewells == 0


def test_ended_calls_are_told_once() -> None:
    """A restarted call that ends says so like any other, with the state it was in."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    restart(solo)
    solo.alice.calls.hang_up(call, solo.now)
    solo.flush()
    assert solo.alice.states == [CallState.ENDING]
    assert [event.answered for event in solo.alice.seen(CallEnded)] == [True]
