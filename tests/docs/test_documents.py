"""What the documents tell users is accepted by the program: keys, settings, command lines, numbers, files."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from audio.codec import g722, registry
from phone.cli import entry
from phone.config import Options, load
from phone.config_schema import SCHEMA
from phone.protocol import events as ev
from tui.actions import ACTIONS, BY_ID, key_label, keymap

ROOT = Path(__file__).resolve().parents[2]
README, GUIDE, RESILIENCE, SOUND = (
    ROOT / name for name in ("README.md", "docs/guide.md", "docs/resilience.md", "docs/sound.md")
)
DOCUMENTS = (README, GUIDE, RESILIENCE, SOUND)

LABELS = {key_label(key.strip()): action.id for action in ACTIONS for key in action.keys.split(",")}
NOT_ACTIONS = {"Ctrl+P", "Enter", "Tab", "Esc", "Escape"}
"""Keys that mean something without an action."""


def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def blocks(document: Path) -> list[str]:
    """The indented blocks."""
    found = re.findall(r"(?:^(?: {4}.*| *)\n)+", text(document) + "\n", re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip("\n") for block in found if block.strip()]


def codes(document: Path) -> list[str]:
    """What stands between backticks within a line."""
    return re.findall(r"`([^`\n]+)`", text(document))


def settings_blocks() -> list[tuple[Path, str]]:
    ours = re.compile(rf"\[({'|'.join(SCHEMA)})[.\]]")
    return [(document, block) for document in DOCUMENTS for block in blocks(document) if ours.match(block)]


def commands() -> list[tuple[str, str]]:
    """Every command line of ours in every document, with where it stands."""
    found = []
    for document in DOCUMENTS:
        lines = [line for block in blocks(document) for line in block.split("\n")]
        for line in (*lines, *codes(document)):
            command = re.sub(r"(^PULSE_SERVER=\S+ )|( +#.*$)|( +&( +#.*)?$)", "", line.strip())
            if re.match(r"(offhook|make)\b(?!\.)", command):
                found.append((document.name, command))
    return found


# --- sound ------------------------------------------------------------------------------------------------------------


def test_the_guides_table_of_codecs_is_what_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the offer, G.722 being the one that needs something."""
    rows = re.findall(r"^\| [^|]+ \| (\d+), `([^`]+)` \| [^|]+ \| ([^|]*)\|$", text(GUIDE), re.MULTILINE)
    for installed, wanted in ((True, rows), (False, [row for row in rows if not row[2].strip()])):
        monkeypatch.setattr(g722, "installed", lambda installed=installed: installed)
        listed = [(str(codec.payload_type), f"{codec.encoding}/{codec.clock_rate}") for codec in registry.offered()]
        assert [(number, name) for number, name, _ in wanted] == listed
    assert [row[2].strip() for row in rows if row[2].strip()] == ["`pip install 'offhook[g722]'`"]


# --- keys -------------------------------------------------------------------------------------------------------------


def test_the_guides_table_of_keys_is_that_of_the_program() -> None:
    """Every key of the table acts, and every action is in the table with all its keys."""
    table = re.search(r"\| key \| does \|\n\|[-|]+\n((?:\|.*\n)+)", text(GUIDE))
    assert table is not None
    listed: set[str] = set()
    for row in table[1].strip().split("\n"):
        keys = row.split("|")[1].split()
        if keys[0] in ("0-9", "Enter", "Ctrl+P"):
            continue
        assert all(key in LABELS for key in keys), row
        assert len({LABELS[key] for key in keys}) == 1, row
        listed |= set(keys)
    assert listed == set(LABELS)


def test_the_guide_names_every_action() -> None:
    named = {code for code in codes(GUIDE) if re.fullmatch(r"(app|call|conn|demo|sound)\.\w+", code)}
    assert named == set(BY_ID)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_key_in_the_text_acts(document: Path) -> None:
    without_commands = re.sub(r"^ {4}.*$", "", text(document), flags=re.MULTILINE)
    for key in re.findall(r"\b(?:Ctrl\+\w|F\d{1,2})\b", without_commands):
        assert key in LABELS or key in NOT_ACTIONS, key


def test_the_readmes_sentence_of_keys() -> None:
    told = {"F2": "answers", "F3": "hangs up", "F4": "holds", "F5": "mutes", "F6": "transfers", "F9": "redials"}
    for key, verb in told.items():
        assert f"{key} {verb}" in text(README)
        assert LABELS[key].startswith("call.")


# --- settings ---------------------------------------------------------------------------------------------------------


def test_there_are_settings_to_check() -> None:
    assert {document.name for document, _ in settings_blocks()} >= {"README.md", "guide.md"}


@pytest.mark.parametrize(("document", "block"), settings_blocks(), ids=lambda value: getattr(value, "name", ""))
def test_every_snippet_of_settings_is_accepted(tmp_path: Path, document: Path, block: str) -> None:
    file = tmp_path / "config.toml"
    account = "" if "[account]" in block else '[account]\nserver = "wss://pbx.example.com"\nusername = "1001"\n'
    file.write_text(account + block + "\n")
    configuration = load(Options(config=file), {"HOME": str(tmp_path)})
    assert configuration.account is not None
    keymap(configuration.console.keys)


NOT_SETTINGS = {"max_contacts", "remove_existing", "enable_linger"}
"""Words with an underscore that are somebody else's."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_setting_named_exists(document: Path) -> None:
    known = {name for section in SCHEMA.values() for name in section}
    for code in codes(document):
        if assigned := re.fullmatch(r"([a-z_]+) = (\S+)", code):
            assert assigned[1] in known, code
        elif re.fullmatch(r"[a-z]+(_[a-z]+)+", code):
            assert code in known | NOT_SETTINGS, code


def test_every_value_of_a_setting_is_accepted(tmp_path: Path) -> None:
    """``media = "auto"``, ``preset = "mobile"``, ``fleet_spread = 12``."""
    for document in DOCUMENTS:
        for code in codes(document):
            if (assigned := re.fullmatch(r"([a-z_]+) = (\S+)", code)) is None:
                continue
            section = next(section for section, keys in SCHEMA.items() if assigned[1] in keys)
            lines = {"account": ['server = "wss://pbx.example.com"', 'username = "1001"']}
            lines.setdefault(section, []).append(code)
            written = "\n".join(f"[{name}]\n" + "\n".join(values) for name, values in lines.items())
            file = tmp_path / "config.toml"
            file.write_text(written + "\n")
            load(Options(config=file), {"HOME": str(tmp_path)})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_environment_variable_exists(document: Path) -> None:
    known = {key.environment for section in SCHEMA.values() for key in section.values()} | {"OFFHOOK_PASSWORD"}
    assert set(re.findall(r"\bOFFHOOK_[A-Z_]+\b", text(document))) <= known


def test_every_event_named_exists() -> None:
    named = {code for code in codes(RESILIENCE) if re.fullmatch(r"[a-z]+[A-Z]\w+", code)}
    assert named
    assert named <= set(ev.EVENTS)


# --- command lines ----------------------------------------------------------------------------------------------------


def accepts(command: str) -> bool:
    """Whether the program's own parser takes a command line; nothing is carried out."""
    words = shlex.split(command)[1:]
    filled = ["600" if word in ("NUMBER", "TARGET") else "1" if word == "ID" else word for word in words]
    parser = entry._parser(frozenset(filled))
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser.parse_args(filled)
        except SystemExit as end:
            return end.code in (0, None)
    return True


def test_the_check_of_command_lines_finds_what_is_wrong() -> None:
    assert accepts("offhook ctl dial 600")
    assert not accepts("offhook ctl fly 600")
    assert not accepts("offhook --no-such-option")


@pytest.mark.parametrize(
    ("document", "command"), [pair for pair in commands() if pair[1].startswith("offhook")], ids=lambda value: value
)
def test_every_command_line_is_accepted(document: str, command: str) -> None:
    assert accepts(command), f"{document}: {command}"


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", text(ROOT / "Makefile"), re.MULTILINE))
    named = {command.split()[1] for _, command in commands() if command.startswith("make ")}
    assert {"demo", "test"} <= named
    assert named <= targets


# --- numbers, files, pictures -----------------------------------------------------------------------------------------


def test_the_demos_numbers_are_there() -> None:
    source = ast.parse(text(ROOT / "phone" / "demo" / "pbx.py"))
    routed = {
        str(case.pattern.value.value)
        for node in ast.walk(source)
        if isinstance(node, ast.Match)
        for case in node.cases
        if isinstance(case.pattern, ast.MatchValue) and isinstance(case.pattern.value, ast.Constant)
    }
    told = re.search(r"In the demo, call (.*?)\.\n", text(README), re.DOTALL)
    assert told is not None
    numbers = set(re.findall(r"\b6\d\d\b", told[1]))
    assert numbers
    assert numbers <= routed


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_and_pictures_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text(document)):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_files_stand_where_the_guide_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from phone import paths

    environ = {"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/7"}
    assert "~/.config/offhook/config.toml" in text(GUIDE)
    assert paths.user_config_file(environ) == Path("/home/u/.config/offhook/config.toml")
    assert "~/.local/state/offhook/" in text(GUIDE)
    assert paths.state_directory(environ) == Path("/home/u/.local/state/offhook")
    assert "$XDG_RUNTIME_DIR/offhook/default.sock" in text(GUIDE)
    assert paths.socket_path(environ) == Path("/run/user/7/offhook/default.sock")


def test_the_documents_speak_of_the_project_alone() -> None:
    for document in DOCUMENTS:
        assert str(ROOT) not in text(document)
        assert sys.prefix not in text(document)
