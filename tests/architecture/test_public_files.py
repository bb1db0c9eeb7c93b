"""What is committed speaks of the project alone: no machine, no package registry, nothing unfinished."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import PROJECT, project_files

# Written in pieces, so that this file does not find itself.
PATHS = [rf"/{name}/" for name in ("work", "root", "Users")]
REGISTRIES = [
    r"py" + r"pi\.(org|io)",
    r"python" + r"hosted",
    r"npm" + r"js\.(com|org)",
    r"(deb|security|ftp)[.\w]*\.deb" + r"ian\.org",
    r"archive\.ubu" + r"ntu",
    r"crates" + r"\.io",
    r"--(extra-)?index" + r"-url",
]
UNFINISHED = [rf"\b{word}\b" for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X")] + ["raise NotImplemented" + "Error"]


def texts() -> list[tuple[str, str]]:
    """Name and text of each text file."""
    found = []
    for path in project_files():
        data = path.read_bytes()
        if b"\0" not in data[:4096]:
            found.append((str(path.relative_to(PROJECT)), data.decode("utf-8", "replace")))
    return found


@pytest.mark.parametrize("pattern", [*PATHS, *REGISTRIES])
def test_no_machine_and_no_registry_is_named(pattern: str) -> None:
    regex = re.compile(pattern)
    hits = [f"{name}: {match[0]}" for name, text in texts() if (match := regex.search(text))]
    assert hits == []


@pytest.mark.parametrize("pattern", UNFINISHED)
def test_nothing_is_left_unfinished(pattern: str) -> None:
    regex = re.compile(pattern)
    code = [(name, text) for name, text in texts() if name.endswith((".py", ".toml", ".tcss"))]
    assert [f"{name}: {match[0]}" for name, text in code if (match := regex.search(text))] == []


def test_every_dependency_is_pinned() -> None:
    """constraints.txt has one exact version for each name, so that two installations are the same."""
    lines = [line for line in (PROJECT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+( ?;.*)?", line)] == []
    names = [re.split("==", line)[0].lower().replace("_", "-") for line in lines]
    assert len(names) == len(set(names))
