"""The tree keeps its shape: empty packages, tests that mirror it, no files that collect whatever is left over."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import PROJECT, ROOMS, modules


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_have_empty_inits(room: str) -> None:
    """A re-export there would load the whole room for whoever wants one name of it."""
    assert (PROJECT / room / "__init__.py").read_text() == ""
    assert (PROJECT / room / "py.typed").exists()


@pytest.mark.parametrize("room", ROOMS)
def test_inner_packages_only_re_export(room: str) -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr)
    for path in (PROJECT / room).rglob("*/__init__.py"):
        statements = ast.parse(path.read_text()).body
        assert all(isinstance(statement, allowed) for statement in statements), f"{path} defines something"


@pytest.mark.parametrize("room", ROOMS)
def test_every_folder_of_code_is_a_package(room: str) -> None:
    folders = {path.parent for path in (PROJECT / room).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_file_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "misc", "common"}
    assert [name for room in ROOMS for name in modules(room) if name.rsplit(".", 1)[-1] in drawers] == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_tests_mirror_the_tree(room: str) -> None:
    """tests/sipcore/message/test_uri.py is about something in sipcore/message."""
    orphans = [
        path.relative_to(PROJECT)
        for path in (PROJECT / "tests" / room).rglob("test_*.py")
        if not (PROJECT / path.parent.relative_to(PROJECT / "tests")).is_dir()
        and not (PROJECT / path.parent.relative_to(PROJECT / "tests")).with_suffix(".py").is_file()
    ]
    assert orphans == []


def test_test_folders_are_namespaces() -> None:
    """Two tests of one name live in two folders; an __init__ would make importlib mode name them twice."""
    assert list((PROJECT / "tests").rglob("__init__.py")) == []
