"""The catalogue is fresh and complete, its compiled form matches, and no translation loses a parameter."""

from __future__ import annotations

import gettext
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from phone.config_schema import LANGUAGES as CONFIGURABLE
from tui.i18n import DOMAIN, LANGUAGES, _, _n, language, set_language

if TYPE_CHECKING:
    from collections.abc import Iterator

    from babel.messages.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "tui" / "locale"
KEYWORDS = {"_": None, "_n": (1, 2), "_mark": None, "mark": None, "Phrase": None}
TRANSLATED = [name for name in LANGUAGES if name != "en"]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    set_language("en")


def texts(catalogue: Catalog) -> set[str]:
    return {message.id if isinstance(message.id, str) else message.id[0] for message in catalogue if message.id}


def template() -> Catalog:
    with (LOCALE / f"{DOMAIN}.pot").open("rb") as file:
        return read_po(file)


def translation(name: str) -> Catalog:
    with (LOCALE / name / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        return read_po(file)


def extracted() -> set[str]:
    found = [
        message
        for room in ("sipcore", "audio", "phone", "tui")
        for _, _, message, _, _ in extract_from_dir(str(ROOT / room), keywords=KEYWORDS)
    ]
    return {message if isinstance(message, str) else message[0] for message in found}


def plain(catalogue: Catalog) -> dict[str, list[str]]:
    def listed(value: object) -> list[str]:
        return [str(item) for item in value] if isinstance(value, tuple | list) else [str(value)]

    return {" | ".join(listed(message.id)): listed(message.string) for message in catalogue if message.id}


def parameters(text: str | None) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text or "") if name is not None}


def test_the_template_is_fresh() -> None:
    assert texts(template()) == extracted(), "run make i18n"


@pytest.mark.parametrize("name", TRANSLATED)
def test_every_text_is_translated(name: str) -> None:
    catalogue = translation(name)
    assert texts(catalogue) == texts(template())
    missing = [message.id for message in catalogue if message.id and not message.string]
    missing += [message.id for message in catalogue if isinstance(message.string, tuple) and not all(message.string)]
    assert missing == []
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []


@pytest.mark.parametrize("name", TRANSLATED)
def test_no_translation_loses_a_parameter(name: str) -> None:
    for message in translation(name):
        originals = message.id if isinstance(message.id, tuple | list) else (message.id,)
        translations = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for text in translations:
            assert any(parameters(text) == parameters(original) for original in originals), message.id


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_compiled_catalogue_is_that_of_the_text(name: str) -> None:
    with (LOCALE / name / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
        compiled = read_mo(file)
    assert plain(compiled) == plain(translation(name))


def test_languages_can_be_configured_and_are_there() -> None:
    assert set(CONFIGURABLE) == {"auto", *LANGUAGES}
    for name in TRANSLATED:
        assert gettext.find(DOMAIN, str(LOCALE), [name])


@pytest.mark.parametrize(
    ("asked", "used"),
    [("es", "es"), ("es_MX.UTF-8", "es"), ("es-419", "es"), ("xx", "en"), ("en_GB", "en"), ("pseudo", "pseudo")],
)
def test_a_region_falls_back_to_its_language(asked: str, used: str) -> None:
    set_language(asked)
    assert language() == used


def test_texts_follow_the_language_at_run_time() -> None:
    set_language("es")
    assert _("Reconnected") == "Conectado de nuevo"
    assert _n("{n} call is up.", "{n} calls are up.", 1) == "Hay 1 llamada."
    assert _n("{n} call is up.", "{n} calls are up.", 3) == "Hay 3 llamadas."
    set_language("en")
    assert _("Reconnected") == "Reconnected"


def test_the_environment_decides_where_nobody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "es_ES.UTF-8")
    set_language("")
    assert language() == "es"
    monkeypatch.setenv("LC_ALL", "C")
    set_language("")
    assert language() == "en"


def test_the_made_up_language_keeps_parameters() -> None:
    set_language("pseudo")
    assert _("After {n} attempts: {why}").format(n=3, why="x").startswith("⟦")
    assert "{n}" in _("After {n} attempts: {why}")
    assert _n("{n} call is up.", "{n} calls are up.", 2).startswith("⟦2")
