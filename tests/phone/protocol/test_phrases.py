"""What the engine says crosses the socket as English text with its id and parameters beside it."""

from __future__ import annotations

import ast
import copy
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phone.protocol import events as ev
from phone.protocol.phrases import Phrase, phrase_from_json, said
from phone.state import PhoneState, apply, changes, reduce
from phone.translate import worded
from sipcore import errors
from sipcore.errors import TransportError

ROOT = Path(__file__).resolve().parents[3]

# --- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phrase", [Phrase, errors.Phrase])
def test_a_phrase_is_its_english_text(phrase: type[Phrase]) -> None:
    text = phrase("No answer in {seconds:g} s from {who!r:.3}.", seconds=6.0, who="alice")
    assert text == "No answer in 6 s from 'al."
    assert text.parameters == {"seconds": 6.0, "who": "alice"}
    assert hash(text) == hash("No answer in 6 s from 'al.")
    assert json.dumps(text) == json.dumps("No answer in 6 s from 'al.")


@pytest.mark.parametrize("phrase", [Phrase, errors.Phrase])
def test_a_phrase_survives_an_exception_a_copy_and_a_pickle(phrase: type[Phrase]) -> None:
    text = phrase("{a} and {b}", a="{x}", b=2)
    for other in (str(TransportError(text)), str(text), copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert other == "{x} and 2"
        assert isinstance(other, phrase)
        assert other.parameters == {"a": "{x}", "b": 2}


def test_what_does_not_fit_is_a_mistake_at_once() -> None:
    with pytest.raises(KeyError):
        Phrase("{who} is gone")


# --- across the socket ---------------------------------------------------------------------------------------------

_plain = st.text(max_size=8) | st.integers(-9, 9)
_phrases = st.recursive(
    st.builds(lambda value: Phrase("It was {what}.", what=value), _plain),
    lambda inner: st.builds(lambda value: Phrase("{what}: so {what}", what=value), inner),
    max_leaves=3,
)


@given(_phrases)
def test_round_trip(phrase: Phrase) -> None:
    back = phrase_from_json(str(phrase), json.loads(json.dumps(said(phrase))))
    assert back == phrase
    assert said(back) == said(phrase)


@pytest.mark.parametrize(
    "data",
    [None, 3, {}, {"id": 7}, {"id": "{who}"}, {"id": "{0}"}, {"id": "{x.y}", "with": {"x": 1}}, {"id": "{x!q}"}],
)
def test_nonsense_leaves_the_text(data: object) -> None:
    assert phrase_from_json("as it is", data) == "as it is"
    assert not isinstance(phrase_from_json("as it is", data), Phrase)


def test_an_event_says_its_reason_twice() -> None:
    reason = Phrase("No route to {where}: check the network connection.", where="pbx:5060")
    event = ev.TransportDisconnected(at=1.0, server="ws://pbx", reason=reason)
    data = json.loads(json.dumps(ev.event_to_json(event)))
    assert data["reason"] == "No route to pbx:5060: check the network connection."
    assert data["reason_said"] == {
        "id": "No route to {where}: check the network connection.",
        "with": {"where": "pbx:5060"},
    }
    back = ev.event_from_json(data)
    assert isinstance(back, ev.TransportDisconnected)
    assert isinstance(back.reason, Phrase)
    assert back.reason.parameters == {"where": "pbx:5060"}


def test_words_of_the_network_have_no_id() -> None:
    event = ev.RegistrationFailed(at=1.0, attempt=1, max=3, status=403, reason="Forbidden")
    assert "reason_said" not in ev.event_to_json(event)


def test_the_state_keeps_what_was_said() -> None:
    lost = ev.TransportDisconnected(at=1.0, server="s", reason=Phrase("{where} broke the connection.", where="pbx"))
    before = PhoneState()
    after = apply(before, json.loads(json.dumps(changes(before, reduce(before, lost)))))
    assert isinstance(after.transport.reason, Phrase)


# --- from the cores ------------------------------------------------------------------------------------------------


def test_a_phrase_of_a_core_is_taken_over_with_clean_parameters() -> None:
    said_by_core = errors.Phrase("The certificate of {host} was refused: {why}.", host="p\x1b]0;x", why="a\nb")
    taken = worded(said_by_core)
    assert isinstance(taken, Phrase)
    assert taken.parameters == {"host": "p ]0;x", "why": "a b"}
    assert taken == "The certificate of p ]0;x was refused: a b."


def test_a_phrase_in_a_phrase_is_taken_over_too() -> None:
    inner = errors.Phrase("handshake failed")
    taken = worded(errors.Phrase("no: {why}", why=inner))
    assert isinstance(taken, Phrase)
    assert isinstance(taken.parameters["why"], Phrase)


# --- no sentence of the engine is without an id ---------------------------------------------------------------------

SPOKEN = {
    "AudioProblem",
    "CommandRefused",
    "DeviceFailure",
    "EngineGone",
    "LocalProtocolError",
    "MediaSecurityFailed",
    "NoEngine",
    "NoMediaPort",
    "TransportError",
    "Unacceptable",
    "blame",
    "closed",
    "_fail",
    "_refuse",
    "reform",
}
"""Whose strings reach a user of the console."""

NOT_FOR_USERS = {
    # A mistake of a programmer, and of nobody who uses the phone.
    "{…} is no refusal",
    "there is no call {…}",
    "there is a call {…} already",
    "a 408 does not answer a non-INVITE request",
    "call {…} has media already",
    "nothing was agreed yet that could be offered unchanged",
    "there is no remote offer to answer",
    "an answer came without an offer of ours",
    "{…} is no DTMF digit",
    "the method is no token",
    "the start line holds a line break",
    "the value of {…} holds a line break",
    "{…} is no header name",
    # Before there is a console: the command line tells it.
    "tls_ca: {…} cannot be read as certificates in PEM form.",
}


def _text(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{…}" for part in parts)
        case _:
            return None


def bare_sentences(source: str) -> list[str]:
    """The sentences in calls of :data:`SPOKEN` that no catalogue could know."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in SPOKEN:
            values = [*call.args, *(keyword.value for keyword in call.keywords)]
            found += [text for value in values if (text := _text(value)) is not None and " " in text.strip()]
    return found


def test_the_check_finds_what_it_looks_for() -> None:
    source = 'raise CommandRefused("x", "No such thing.")\nx.blame(1, f"no {y}")\nEngineGone(Phrase("It is gone."))'
    assert bare_sentences(source) == ["No such thing.", "no {…}"]


@pytest.mark.parametrize("room", ["sipcore", "audio", "phone"])
def test_no_sentence_is_without_an_id(room: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in (ROOT / room).rglob("*.py")
        if path.relative_to(ROOT).parts[:2] not in {("phone", "cli"), ("phone", "demo"), ("sipcore", "pbx")}
        for text in bare_sentences(path.read_text(encoding="utf-8"))
        if text not in NOT_FOR_USERS
    }
    assert found == set()
