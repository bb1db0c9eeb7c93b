"""The registry of actions: every key is known once, remapping is checked, help and hints follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tui.actions import ACTIONS, BY_ID, bindings, key_label, keymap, keys_of, types_text, use_keys
from tui.bridge import Bridge
from tui.console import ConsoleApp
from tui.dialogs.help import help_text
from tui.widgets.key_hints import hints_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def default_keys() -> Iterator[None]:
    yield
    use_keys({})


def test_every_action_has_a_verb(tmp_path: Path) -> None:
    app = ConsoleApp(Bridge(tmp_path / "engine.sock"))
    assert set(app._actions) == set(BY_ID)


def test_no_key_is_given_twice() -> None:
    keys = [key for key, _ in bindings()]
    assert len(keys) == len(set(keys))


def test_a_remapped_key_is_bound_shown_and_explained() -> None:
    use_keys({"call.answer": "f12,y"})
    assert keys_of("call.answer") == "F12"
    assert ("f12", BY_ID["call.answer"]) in bindings()
    assert "f2" not in dict(bindings())
    assert "F12 y" in help_text()
    assert "F12" in [text for text, _ in hints_row(80)]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"call.mute": "f2"}, "f2 is given to both call.answer and call.mute"),
        ({"call.fly": "f2"}, "no action called call.fly"),
        ({"call.mute": "enter"}, "enter cannot be given to call.mute"),
        ({"call.mute": "5"}, "5 is not a key"),
        ({"call.mute": "ctrl-m"}, "ctrl-m is not a key"),
    ],
)
def test_a_clash_is_a_sentence_and_changes_nothing(overrides: dict[str, str], words: str) -> None:
    before = bindings()
    with pytest.raises(ValueError, match=words):
        use_keys(overrides)
    assert bindings() == before


def test_two_actions_may_swap_their_keys() -> None:
    swapped = keymap({"call.answer": "f5,m", "call.mute": "f2,a"})
    assert (swapped["call.answer"], swapped["call.mute"]) == ("f5,m", "f2,a")


def test_an_action_may_have_no_key() -> None:
    use_keys({"call.transfer": ""})
    assert keys_of("call.transfer") == ""


@pytest.mark.parametrize(
    ("key", "label"),
    [("f2", "F2"), ("ctrl+r", "Ctrl+R"), ("question_mark", "?"), ("a", "a"), ("ctrl+up", "Ctrl+Up"), ("comma", ",")],
)
def test_keys_as_written_for_people(key: str, label: str) -> None:
    assert key_label(key) == label


def test_letters_type_and_function_keys_do_not() -> None:
    assert types_text("a")
    assert types_text("slash")
    assert not types_text("f2")
    assert not types_text("ctrl+r")


def test_the_help_has_every_action() -> None:
    text = help_text("ringing")
    assert all(action.title in text for action in ACTIONS)
    assert text.startswith("Somebody calls.")
