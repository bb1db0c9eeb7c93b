"""Two flows that serve as one (RFC 5626; docs/resilience.md "Two flows"), on virtual time against the simulated PBX."""

from __future__ import annotations

import functools
import itertools

import pytest

from sipcore import events as ev
from sipcore.auth.credentials import Credentials
from sipcore.message.message import Request
from sipcore.message.parse import parse_message
from tests.sim.world import End
from tests.sipcore.resilience.two_flows import A, B, Lab

both = pytest.mark.parametrize("outbound", ["gruu", "ob"])


# --- negotiation ---------------------------------------------------------------------------------------------------


def test_two_bindings_of_one_instance_over_two_first_hops() -> None:
    lab = Lab()
    assert lab.reg_ids == ["1", "2"]
    assert len({binding.call_id for binding in lab.pbx.bindings.values()}) == 1
    assert lab.phone.stack.server == A
    assert lab.is_served()


def test_the_second_flow_waits_for_the_confirmation_and_is_no_news() -> None:
    lab = Lab()
    lab.phone.run(lab.phone.stack.shutdown)
    lab.wait(60.0)
    assert lab.phone.stack.finished
    lab.begin()
    lab.phone.run(lab.phone.stack.start)
    lab.wait(2.0)
    assert len(lab.of(ev.Registered)) == len(lab.of(ev.RegistrationAttempt)) == len(lab.of(ev.KeepAliveStarted)) == 1
    assert [request.contacts[0].param("reg-id") for _, request in lab.sent("REGISTER")][-1] == "2"
    assert [effect.server for effect in lab.of(ev.OpenFlow)] == [A, B]


def test_one_server_gets_both() -> None:
    lab = Lab("gruu", A)
    assert lab.reg_ids == ["1", "2"]
    assert len(lab.flows) == 2


def test_without_require_there_is_one_flow_and_no_name_but_the_old_one() -> None:
    lab = Lab("")
    assert lab.flows == [1]
    lab.talk()
    lab.connection(1).reset()
    lab.wait(3.0)
    assert "ReconnectionAttempting" in [type(thing).__name__ for thing in lab.news]
    _, refresh = lab.sent("INVITE")[0]
    assert refresh.contacts[0].uri.param("ob") is None


def test_the_setting_turns_it_off() -> None:
    lab = Lab(outbound=False)
    assert lab.flows == [1]
    lab.talk()
    lab.phone.run(lambda now: lab.phone.stack.retry_now(now))
    lab.wait(600.0)
    assert lab.flows == [1]


def test_a_second_first_hop_without_outbound_is_left_alone() -> None:
    """439 to the second flow: no binding without reg-id, which would ring the phone twice."""
    lab = Lab()
    lab.connection(2).reset()
    lab.pbx.script.answers = [(439, {})]
    lab.wait(10.0)
    assert (lab.reg_ids, lab.flows) == (["1"], [1])
    assert [request.contacts[0].param("reg-id") for _, request in lab.sent("REGISTER")] == ["2"]
    assert lab.news == []
    lab.wait(1800.0)
    assert lab.reg_ids == ["1", "2"]


def test_a_first_hop_without_outbound_gets_the_registration_without_reg_id() -> None:
    """439 to the only flow there is (RFC 5626 §11.6)."""
    lab = Lab()
    lab.pbx.script.answers = [(439, {})]
    lab.phone.run(lambda now: lab.phone.stack.retry_now(now))
    lab.wait(5.0)
    assert lab.is_served()
    assert lab.flows == [1]
    assert [request.contacts[0].param("reg-id") for _, request in lab.sent("REGISTER")] == ["1", None, "2"]


def test_a_registrar_that_stops_confirming_gets_one_flow() -> None:
    """The lead's refresh comes back without Require: the second binding is removed."""
    lab = Lab()
    lab.pbx.manner.outbound = ""
    lab.phone.run(lambda now: lab.phone.stack.retry_now(now))
    lab.wait(5.0)
    assert lab.flows == [1]
    assert lab.is_served()


def test_a_second_binding_that_is_being_removed_takes_nothing_over() -> None:
    """Its un-REGISTER is never answered, and meanwhile the lead is lost."""
    lab = Lab()
    lab.phone.wire.kernel_gives_up = False
    lab.connection(2).cut = True
    lab.pbx.manner.outbound = ""
    lab.phone.run(lab.phone.stack.register)
    lab.wait(1.0)
    lab.connection(1).reset()
    lab.wait(30.0)
    assert lab.is_served()
    assert lab.pbx.reachable("1001")


# --- one flow dies -------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("flow", [1, 2])
def test_nobody_notices(outbound: str, flow: int) -> None:
    """Not the user, not the call, whichever flow it is; and it is formed anew at once."""
    lab = Lab(outbound)
    line = lab.talk()
    lab.connection(flow).reset()
    lab.wait(5.0)
    assert lab.news == []
    assert lab.is_served()
    assert lab.reg_ids == ["1", "2"]
    assert lab.flows == [3 - flow, 3]
    assert list(lab.phone.lines.values()) == [line]
    lab.phone.hang_up(line)
    lab.wait(1.0)
    assert lab.pbx.byes
    assert not lab.pbx.dialogs


@both
def test_the_far_ends_bye_arrives(outbound: str) -> None:
    lab = Lab(outbound)
    line = lab.talk()
    lab.connection(1).reset()
    lab.wait(0.2)
    lab.pbx.switch.hang_up(lab.pbx.dialogs[line.sip])
    lab.wait(1.0)
    assert [event.by for event in lab.of(ev.CallEnded)] == [ev.EndedBy.REMOTE]


def test_a_gruu_stays_and_the_far_end_is_asked_once_whether_it_knows_the_call() -> None:
    """RFC 5627: it leads to the other flow already; but the flow may have died of a PBX that has forgotten the call."""
    lab = Lab("gruu")
    line = lab.talk()
    named = lab.pbx.dialogs[line.sip].target
    lab.connection(1).reset()
    lab.wait(2.0)
    assert [(flow, str(request.contacts[0].uri)) for flow, request in lab.sent("INVITE")] == [(2, named)]


def test_a_call_the_pbx_has_forgotten_ends_with_its_word() -> None:
    lab = Lab("gruu")
    lab.talk()
    lab.pbx.switch.forget_all()
    lab.connection(1).reset()
    lab.wait(2.0)
    assert [event.status for event in lab.of(ev.CallEnded)] == [481]


@both
def test_a_call_that_came_by_the_standby_is_told_when_that_dies(outbound: str) -> None:
    """Ringing or up: what the far end knows is the flow of its INVITE."""
    lab = Lab(outbound)
    lab.pbx.manner.cancels_on_close = False
    lab.phone.picks_up = lambda _: 3.0
    lab.phone.refusing.add(B)
    binding = lab.pbx.bindings["1001;2"]
    lab.pbx.switch.ring("1001", binding.gruu or binding.contact, lab.connection(2))
    lab.wait(1.0)
    lab.connection(2).reset()
    lab.wait(4.0)
    assert len(lab.phone.calls) == 1
    assert not [call for call in lab.pbx.dialogs.values() if call.unacked]
    assert {call.connection.flow for call in lab.pbx.dialogs.values()} == {1}
    assert lab.news == []


@both
def test_a_call_that_came_by_the_standby_stays_with_it(outbound: str) -> None:
    """RFC 5626 §5.3.1: a first hop sends what holds another flow's token down that flow, our BYE back to ourselves."""
    lab = Lab(outbound)
    lab.phone.picks_up = lambda _: 1.0
    binding = lab.pbx.bindings["1001;2"]
    name = binding.gruu or binding.contact
    lab.pbx.switch.ring("1001", name, lab.connection(2))
    lab.wait(3.0)
    (line,) = lab.phone.lines.values()
    lab.phone.hold(line, hold=True)
    lab.wait(1.0)
    assert lab.pbx.dialogs[line.sip].direction == "sendonly"
    assert lab.pbx.dialogs[line.sip].target.partition(";")[0] == name.partition(";")[0]
    lab.connection(1).reset()
    lab.wait(3.0)
    assert len(lab.sent("INVITE")) == 1  # who knows the flow that is left need not be told of it
    lab.phone.hang_up(line)
    lab.wait(1.0)
    assert not lab.pbx.dialogs
    assert {flow for method in ("INVITE", "ACK", "BYE") for flow, _ in lab.sent(method)} == {2}
    assert lab.news == []


@both
@pytest.mark.parametrize("how", ["lost", "left"])
@pytest.mark.parametrize("verb", ["hold", "hang_up"])
def test_what_was_under_way_on_the_standby_is_done_on_the_lead(outbound: str, how: str, verb: str) -> None:
    """Whether the second flow breaks, or is given up since the registrar confirms it no more."""
    lab = Lab(outbound)
    lab.phone.picks_up = lambda _: 1.0
    binding = lab.pbx.bindings["1001;2"]
    call_id = lab.pbx.switch.ring("1001", binding.gruu or binding.contact, lab.connection(2))
    lab.wait(3.0)
    (line,) = lab.phone.lines.values()
    swallowed = functools.partial(setattr, lab.pbx.switch, "on_request")
    serve = lab.pbx.switch.on_request
    swallowed(lambda *_: None)
    lab.phone.hold(line, hold=True) if verb == "hold" else lab.phone.hang_up(line)
    lab.wait(0.1)
    swallowed(serve)
    if how == "lost":
        lab.connection(2).reset()
    else:
        lab.pbx.manner.outbound = ""
        lab.phone.run(lab.phone.stack.register)
    lab.wait(5.0)
    if verb == "hold":
        assert lab.pbx.dialogs[call_id].direction == "sendonly"
        assert {flow for flow, _ in lab.sent("INVITE")} == {1, 2}
    else:
        assert not lab.pbx.dialogs


def test_a_contact_of_one_flow_is_replaced_by_that_of_the_other() -> None:
    """RFC 5626 §4.3: one re-INVITE on the flow that is left, with its own Contact, the description as it was."""
    lab = Lab("ob")
    line = lab.talk()
    before = lab.pbx.dialogs[line.sip].sdp
    lab.connection(1).reset()
    lab.wait(2.0)
    (flow, refresh) = lab.sent("INVITE")[0]
    assert flow == 2
    assert refresh.body == before
    contact = refresh.contacts[0].uri
    assert contact.param("ob") == ""
    assert contact.host in lab.pbx.bindings["1001;2"].contact


def test_dialogs_name_the_gruu_and_say_that_it_is_understood() -> None:
    lab = Lab("gruu")
    lab.phone.dial()
    lab.wait(1.0)
    _, invite = lab.sent("INVITE")[-1]
    assert invite.contacts[0].uri.param("gr") is not None
    assert "gruu" in invite.supported


@both
def test_calls_begin_on_the_flow_that_is_left(outbound: str) -> None:
    """At once, both ways, while the other one stays away."""
    lab = Lab(outbound)
    lab.phone.refusing.add(A)
    lab.connection(1).reset()
    lab.wait(0.1)
    line = lab.phone.dial()
    assert line is not None
    lab.wait(2.0)
    assert line.active
    lab.phone.picks_up = lambda _: 1.0
    assert lab.pbx.ring("1001") is not None
    lab.wait(3.0)
    assert len(lab.phone.calls) == 2
    assert {flow for flow, _ in lab.sent("INVITE")} == {2}
    assert lab.news == []


@both
def test_what_is_under_way_is_done_on_the_other_flow(outbound: str) -> None:
    """A hold whose re-INVITE was swallowed, and a BYE that was."""
    lab = Lab(outbound)
    line = lab.talk()
    lab.connection(1).cut = True
    lab.phone.hold(line, hold=True)
    lab.connection(1).cut = False
    lab.connection(1).reset()
    lab.wait(5.0)
    assert lab.pbx.dialogs[line.sip].direction == "sendonly"
    lab.wait(5.0)
    last = lab.flows[0]
    lab.connection(last).cut = True
    lab.phone.hang_up(line)
    lab.connection(last).cut = False
    lab.connection(last).reset()
    lab.wait(5.0)
    assert lab.pbx.byes
    assert not lab.pbx.dialogs
    assert lab.news == []


@both
def test_a_phone_that_rings_is_answered_on_the_other_flow(outbound: str) -> None:
    lab = Lab(outbound)
    lab.phone.picks_up = lambda _: 4.0
    lab.pbx.manner.cancels_on_close = False
    lab.pbx.ring("1001")
    lab.wait(1.0)
    lab.connection(1).reset()
    lab.wait(6.0)
    assert len(lab.phone.calls) == 1
    assert len(lab.of(ev.IncomingCall)) == 1
    assert not [call for call in lab.pbx.dialogs.values() if call.unacked]


def test_an_invite_by_both_flows_rings_once() -> None:
    """RFC 3261 §8.2.2.2: the second is the same request by another path."""
    lab = Lab()
    lab.phone.picks_up = lambda _: 20.0
    call_id = lab.pbx.ring("1001")
    assert call_id is not None
    invite = lab.pbx.dialogs[call_id].invite
    lab.wait(1.0)
    copy = parse_message(bytes(invite))
    copy.headers.set("Via", "SIP/2.0/WS pbx.sim;branch=z9hG4bKanotherpath")
    lab.connection(2).send(End.PBX, bytes(copy))
    lab.wait(2.0)
    assert len(lab.of(ev.IncomingCall)) == 1
    statuses = {(flow, message.status) for flow, end, message in lab.messages if not isinstance(message, Request)}
    assert (2, 482) in statuses
    assert (1, 180) in statuses


def test_a_flow_that_swallows_everything_is_left_and_the_other_is_asked() -> None:
    """Found by its pings within 25 s; whether the other one lives is not taken for granted."""
    lab = Lab()
    lab.talk()
    lab.phone.wire.kernel_gives_up = False
    lab.connection(1).cut = True
    lab.wait(25.5)
    assert lab.news == []
    assert [effect.flow for effect in lab.of(ev.PingFlow)][-1] == 2
    assert lab.phone.stack.server == B
    lab.wait(3.0)
    assert lab.reg_ids == ["1", "2"]


def test_a_register_nobody_answers_moves_the_phone() -> None:
    """The lead's refresh is lost: that flow is formed anew, while the other serves."""
    lab = Lab()
    lab.pbx.script.lose = 1
    lab.phone.run(lambda now: lab.phone.stack.register(now))
    lab.begin()
    lab.wait(10.0)
    assert lab.is_served()
    assert lab.phone.stack.server == B
    assert lab.news == []
    lab.wait(90.0)
    assert lab.reg_ids == ["1", "2"]


def test_a_registration_that_expires_moves_the_phone() -> None:
    """The lead's refreshes are all refused; the flow itself is open, and the other one's binding is good."""
    lab = Lab("gruu", A)
    line = lab.talk()
    judge, lead = lab.pbx._judge, lab.connection(1)
    lab.pbx._judge = lambda connection, request: (  # type: ignore[method-assign]
        request.response(500, to_tag="reg") if connection is lead else judge(connection, request)
    )
    lab.wait(700.0)
    assert lab.phone.calls == {line.call}
    assert lab.is_served()
    assert lab.reg_ids == ["1", "2"]
    assert [news for news in lab.news if not isinstance(news, ev.RegistrationRefused | ev.RetryScheduled)] == []


# --- the way back --------------------------------------------------------------------------------------------------


def test_the_waits_of_a_flow_that_does_not_come_back() -> None:
    """RFC 5626 §4.5 with "base-time-not-failed" 90 s and "max-time" 1800 s: at once, then 50 to 100 % of the bound."""
    lab = Lab()
    lab.phone.refusing.add(B)
    lab.connection(2).reset()
    opened: list[float] = []
    for _ in range(40_000):
        lab.wait(0.25)
        opened += [lab.world.now for _ in lab.of(ev.OpenFlow)]
        lab.seen.clear()
    gaps = [after - before for before, after in itertools.pairwise(opened)]
    assert opened[0] - 1002.0 < 2.0
    for gap, bound in zip(gaps, (180.0, 360.0, 720.0, 1440.0, 1800.0, 1800.0), strict=False):
        assert bound / 2 - 1 <= gap <= bound + 1
    assert len(gaps) >= 6
    assert lab.is_served()
    lab.phone.refusing.clear()
    lab.phone.run(lambda now: lab.phone.stack.retry_now(now))
    lab.wait(2.0)
    assert lab.reg_ids == ["1", "2"]


def test_the_flows_take_turns() -> None:
    """As often as one of them dies, as long as the other is there."""
    lab = Lab("ob")
    line = lab.talk()
    for _ in range(6):
        lab.connection(lab.flows[0]).reset()
        lab.wait(5.0)
        assert lab.reg_ids == ["1", "2"]
    assert lab.phone.calls == {line.call}
    assert lab.news == []


def test_two_flows_keep_to_two_servers() -> None:
    """Also where the lead is told to go elsewhere, by an error that another server might not give."""
    lab = Lab()
    lab.pbx.script.answers = [(503, {})]
    lab.phone.run(lambda now: lab.phone.stack.register(now))
    lab.wait(95.0)
    assert lab.is_served()
    assert lab.reg_ids == ["1", "2"]
    servers = {effect.flow: effect.server for effect in lab.of(ev.OpenFlow)} | {1: A, 2: B}
    assert {servers[flow] for flow in lab.flows} == {A, B}


# --- both, and none ------------------------------------------------------------------------------------------------


@both
def test_both_die(outbound: str) -> None:
    """Then the story is that of a lone flow, from the loss to "reconnected"; after it both are there again."""
    lab = Lab(outbound)
    line = lab.talk()
    lab.pbx.up = False
    for flow in (1, 2):
        lab.connection(flow).reset()
    lab.wait(3.0)
    names = [type(thing).__name__ for thing in lab.news]
    assert names.count("Unregistered") == 1
    assert "ReconnectionAttempting" in names
    assert [event.up for event in lab.of(ev.SignallingChanged)] == [False]
    lab.pbx.up = True
    lab.wait(10.0)
    assert len(lab.of(ev.ReconnectionSuccess)) == 1
    assert [event.up for event in lab.of(ev.SignallingChanged)] == [False, True]
    assert lab.reg_ids == ["1", "2"]
    assert lab.phone.calls == {line.call}


def test_a_fleet_that_comes_back_does_not_come_twice_at_once() -> None:
    """A PBX that restarts has its phones to take first; their second flows follow within seconds, spread out."""
    waits = []
    for seed in range(20):
        lab = Lab(seed=seed)
        lab.pbx.stop(silently=False)
        lab.wait(1.0)
        lab.pbx.start()
        lab.wait(10.0)
        assert lab.reg_ids == ["1", "2"]
        at = [when for when, _, status in lab.pbx.registers if status == 200][-2:]
        waits.append(at[1] - at[0])
    assert max(waits) <= 6.0
    assert sum(wait > 1.0 for wait in waits) >= 10


def test_the_network_goes_and_comes_with_another_address() -> None:
    """S4 is what it was, twice."""
    lab = Lab()
    line = lab.talk()
    lab.phone.network(False)
    lab.wait(1.0)
    lab.phone.network(True, "192.0.2.77")
    lab.wait(3.0)
    assert [type(event).__name__ for event in lab.seen if isinstance(event, ev.NetworkOffline | ev.NetworkOnline)] == [
        "NetworkOffline",
        "NetworkOnline",
    ]
    assert lab.reg_ids == ["1", "2"]
    assert lab.phone.calls == {line.call}


def test_both_bindings_are_removed_at_the_end() -> None:
    lab = Lab()
    lab.phone.run(lab.phone.stack.shutdown)
    lab.wait(5.0)
    assert lab.pbx.bindings == {}
    assert lab.phone.stack.finished
    assert lab.phone.stack.next_timeout() is None


def test_unregistering_ends_both_and_registering_begins_both() -> None:
    lab = Lab()
    lab.phone.run(lab.phone.stack.unregister)
    lab.wait(5.0)
    assert (lab.pbx.bindings, lab.flows) == ({}, [])
    lab.phone.run(lambda now: lab.phone.stack.register(now))
    lab.wait(5.0)
    assert lab.reg_ids == ["1", "2"]


def test_another_process_refreshes_both_bindings() -> None:
    """After ``kill -9``: one Call-ID that goes on, or the registrar would take the second for a reboot."""
    lab = Lab()
    before = {key: binding.call_id for key, binding in lab.pbx.bindings.items()}
    lab.phone.crash(1.0)
    lab.wait(5.0)
    assert {key: binding.call_id for key, binding in lab.pbx.bindings.items()} == before
    assert lab.reg_ids == ["1", "2"]


def test_a_wrong_password_is_tried_once_by_the_second_flow() -> None:
    """Three attempts are the lead's, so that two flows do not get a phone banned."""
    lab = Lab()
    lab.pbx.passwords["1001"] = "new"
    lab.connection(2).reset()
    lab.wait(60.0)
    assert len(lab.pbx.wrong) <= 2
    assert lab.news == []
    assert lab.is_served()


def test_a_wrong_password_is_tried_no_oftener_than_by_one_flow() -> None:
    """Typed in, or changed at the PBX: neither is the second binding removed with it."""
    rejected: dict[str, list[int]] = {}
    wrong = Credentials("1001", "typo")
    for outbound in ("", "gruu"):
        typed, changed = Lab(outbound), Lab(outbound)
        typed.phone.run(functools.partial(typed.phone.stack.set_credentials, wrong))
        changed.pbx.passwords["1001"] = "new"
        changed.phone.run(changed.phone.stack.register)
        for lab in (typed, changed):
            lab.wait(60.0)
            assert lab.phone.stack.registration_state is ev.RegistrationState.FAILED
            assert lab.flows == []
        rejected[outbound] = [len(lab.pbx.rejected) for lab in (typed, changed)]
    assert rejected["gruu"] == rejected[""]


def test_a_retry_after_outlives_the_loss_of_both() -> None:
    """Told to the second flow, whose binding is begun anew with the next registration: not before."""
    lab = Lab()
    lab.pbx.script.answers = [(503, {"Retry-After": "8"})]
    lab.connection(2).reset()
    lab.wait(2.0)
    lab.connection(1).reset()
    lab.wait(4.0)
    assert lab.is_served()
    assert lab.reg_ids == ["1"]
    lab.wait(4.0)
    assert lab.reg_ids == ["1", "2"]


def test_the_status_names_the_server_that_serves() -> None:
    lab = Lab()
    lab.connection(1).reset()
    lab.wait(1.0)
    assert [(event.state, event.server) for event in lab.of(ev.TransportChanged)] == [(ev.TransportState.CONNECTED, B)]


def test_news_of_the_same_address_disturb_neither_flow() -> None:
    """They ask for a sign of life, each."""
    lab = Lab()
    address = lab.phone.wire.address
    lab.phone.run(lambda now: lab.phone.stack.network_changed(True, now, source_address=address))
    lab.wait(5.0)
    assert sorted(effect.flow for effect in lab.of(ev.PingFlow)) == [1, 2]
    assert lab.flows == [1, 2]
