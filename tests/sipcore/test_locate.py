"""RFC 3263 §4.2 and RFC 2782 as questions and answers."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sipcore.config import ServerAddress
from sipcore.ids import IdSource
from sipcore.locate import AddressQuestion, Answer, Question, SrvQuestion, SrvRecord, Target, locate, order


def ids(seed: int = 1) -> IdSource:
    return IdSource(random.Random(seed))


def resolve(server: str, answers: dict[Question, Answer]) -> tuple[list[Target], list[Question]]:
    """The targets, and what was asked for them; what has no answer has no records."""
    questions = locate(ServerAddress.parse(server), ids())
    asked: list[Question] = []
    try:
        question = next(questions)
        while True:
            asked.append(question)
            question = questions.send(answers.get(question, []))
    except StopIteration as end:
        return end.value, asked


@pytest.mark.parametrize("server", ["wss://192.0.2.1:8089/ws", "udp:192.0.2.1", "tls:[2001:db8::1]"])
def test_an_address_needs_no_question(server: str) -> None:
    targets, asked = resolve(server, {})
    assert not asked
    assert len(targets) == 1
    assert "[" not in targets[0].address


@pytest.mark.parametrize("server", ["ws://pbx.example/ws", "wss://pbx.example:8089/ws", "tcp:pbx.example:5070"])
def test_a_websocket_or_a_given_port_asks_for_addresses_only(server: str) -> None:
    port = ServerAddress.parse(server).port
    targets, asked = resolve(server, {AddressQuestion("pbx.example"): ["192.0.2.1", "2001:db8::1"]})
    assert asked == [AddressQuestion("pbx.example")]
    assert targets == [
        Target("192.0.2.1", port, "pbx.example"),
        Target("2001:db8::1", port, "pbx.example"),
    ]


@pytest.mark.parametrize(
    ("server", "name"),
    [("udp:example.com", "_sip._udp"), ("tcp:example.com", "_sip._tcp"), ("tls:example.com", "_sips._tcp")],
)
def test_srv_by_transport(server: str, name: str) -> None:
    targets, asked = resolve(
        server,
        {
            SrvQuestion(f"{name}.example.com"): [
                SrvRecord(20, 0, 5080, "backup.example.com."),
                SrvRecord(10, 0, 5070, "main.example.com."),
            ],
            AddressQuestion("main.example.com"): ["192.0.2.1"],
            AddressQuestion("backup.example.com"): ["192.0.2.2"],
        },
    )
    assert asked[0] == SrvQuestion(f"{name}.example.com")
    assert [(target.address, target.port) for target in targets] == [("192.0.2.1", 5070), ("192.0.2.2", 5080)]
    assert {target.name for target in targets} == {"example.com"}, "the certificate is the domain's (RFC 5922 §4)"


def test_without_srv_records_the_name_itself_is_asked_for() -> None:
    targets, asked = resolve("udp:example.com", {AddressQuestion("example.com"): ["192.0.2.1"]})
    assert asked == [SrvQuestion("_sip._udp.example.com"), AddressQuestion("example.com")]
    assert targets == [Target("192.0.2.1", 5060, "example.com")]


def test_a_root_target_means_no_service() -> None:
    targets, asked = resolve("udp:example.com", {SrvQuestion("_sip._udp.example.com"): [SrvRecord(0, 0, 0, ".")]})
    assert not targets
    assert len(asked) == 1


def test_an_unknown_name_leads_nowhere() -> None:
    assert resolve("wss://nowhere.example/ws", {})[0] == []


def test_the_number_of_targets_is_bounded() -> None:
    records = [SrvRecord(0, 1, 5060, f"h{number}.example.com") for number in range(100)]
    answers: dict[Question, Answer] = {SrvQuestion("_sip._udp.example.com"): records}
    answers |= {AddressQuestion(record.target): ["192.0.2.1", "192.0.2.2"] for record in records}
    targets, asked = resolve("udp:example.com", answers)
    assert len(targets) == 16
    assert len(asked) == 9


def test_weights_share_the_load() -> None:
    """RFC 2782: 60 : 20 : 20, and 0 hardly ever first."""
    records = [SrvRecord(1, weight, 5060, str(weight) + name) for weight, name in ((60, "a"), (20, "b"), (20, "c"))]
    records.append(SrvRecord(1, 0, 5060, "never"))
    first = Counter(order(records, ids(seed))[0].target for seed in range(2000))
    assert 0.5 < first["60a"] / 2000 < 0.7
    assert 0.12 < first["20b"] / 2000 < 0.28
    assert first["never"] < 20
    assert len(order(records, ids())) == 4
