"""Line numbers of keys."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from phone.toml_lines import key_lines, line_of

DOCUMENT = '''# a comment
[account] # the account
server = "ws://x" # not = a key
"quoted key" = 1
dotted.key = 2
text = """
[not.a.table]
fake = 1
"""
literal = \'\'\'
# fake = 2\'\'\'
list = [
  "a # b", # comment ]
  "c",
]
table = { a = 1, b = "}" }

[ audio ]
input="none"
[[many]]
x = 1
[a."b.c".d]
y = 2
'''


def test_every_key_has_its_line() -> None:
    lines = key_lines(DOCUMENT)
    assert lines[("account",)] == 2
    assert lines[("account", "server")] == 3
    assert lines[("account", "quoted key")] == 4
    assert lines[("account", "dotted")] == lines[("account", "dotted", "key")] == 5
    assert lines[("account", "text")] == 6
    assert lines[("account", "literal")] == 10
    assert lines[("account", "list")] == 12
    assert lines[("account", "table")] == 16
    assert lines[("audio",)] == 18
    assert lines[("audio", "input")] == 19
    assert lines[("many", "x")] == 21
    assert lines[("a", "b.c", "d")] == 22
    assert lines[("a", "b.c", "d", "y")] == 23
    assert not any("fake" in path for path in lines)
    assert tomllib.loads(DOCUMENT)["audio"] == {"input": "none"}


def test_an_unknown_path_falls_back_to_what_is_around_it() -> None:
    lines = key_lines("\n[account]\nserver = { a = 1 }\n")
    assert line_of(lines, ("account", "server", "a")) == 3
    assert line_of(lines, ("nowhere", "x")) == 1


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    key_lines(text)


_KEYS = st.text("abcdefghij_-", min_size=1, max_size=8)
_VALUES = st.one_of(
    st.integers().map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.text(max_size=20).filter(lambda text: "'" not in text and text.isprintable()).map(lambda text: f"'{text}'"),
    st.lists(st.integers(), max_size=3).map(lambda items: "[\n" + "".join(f"{item},\n" for item in items) + "]"),
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_lines_of_generated_documents(values: dict[str, str]) -> None:
    text, expected = "[section]\n", {}
    for key, value in values.items():
        expected["section", key] = text.count("\n") + 1
        text += f"{key} = {value}\n"
    assert set(tomllib.loads(text)["section"]) == set(values)
    lines = key_lines(text)
    assert {path: line for path, line in lines.items() if len(path) == 2} == expected
