"""Our tones and those of Asterisk's indications.conf, whose authors read the same tables of the ITU and of networks."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

import pytest

from audio.stream.tones import TONES, Country, ToneKind
from tests.lab import root
from tests.lab.evidence import require

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.lab

_ELEMENT = re.compile(r"!?(\d+)(?:\+(\d+))?/(\d+)")
# Asterisk has no Europe; Italy has all of the common plan but for its call-waiting tone.
_SECTIONS = {country: "it" if country is Country.EU else country.value for country in Country}
_NAMES = {
    ToneKind.RINGBACK: ("ring",),
    ToneKind.BUSY: ("busy",),
    ToneKind.ERROR: ("congestion",),
    ToneKind.CALL_WAITING: ("callwaiting", "callwait"),
}
# A number that cannot be obtained is told apart in Australia (AS/CA S002 §5.3.4.1 d), and we take that.
_OTHER_NAMES = {(Country.AU, ToneKind.ERROR): ("info",)}


@pytest.fixture(scope="module")
def indications() -> configparser.ConfigParser:
    """The file as Asterisk ships it."""
    require(root.why_unavailable())
    parser = configparser.ConfigParser(
        strict=False, interpolation=None, delimiters=("=",), inline_comment_prefixes=(";",)
    )
    parser.read(root.ensure_root() / "etc/asterisk/indications.conf")
    return parser


def published(section: Mapping[str, str], names: tuple[str, ...]) -> tuple[set[float], tuple[float, ...]]:
    """Frequencies, and the cadence in seconds."""
    text = next(section[name] for name in names if name in section)
    elements = [match.groups() for match in map(_ELEMENT.fullmatch, text.split(",")) if match is not None]
    assert len(elements) == text.count(",") + 1
    frequencies = {float(tone) for one, other, _ in elements for tone in (one, other) if tone not in (None, "0")}
    return frequencies, tuple(int(milliseconds) / 1000 for _, _, milliseconds in elements)


_COMPARABLE = [
    (country, kind)
    for country in Country
    for kind in _NAMES
    # No country of Asterisk's has the call-waiting tone of 3GPP TS 22.001.
    if (country, kind) != (Country.EU, ToneKind.CALL_WAITING)
]


@pytest.mark.parametrize(("country", "kind"), _COMPARABLE)
def test_our_figures_are_those_asterisk_has(
    indications: configparser.ConfigParser, country: Country, kind: ToneKind
) -> None:
    tone = TONES[country][kind]
    frequencies, cadence = published(indications[_SECTIONS[country]], _OTHER_NAMES.get((country, kind), _NAMES[kind]))
    assert tone.cadence == pytest.approx(cadence)
    if tone.modulation:
        # Asterisk stands in for modulation with two tones.
        assert any(abs(frequency - tone.frequencies[0]) <= 13 for frequency in frequencies)
    else:
        assert set(tone.frequencies) == frequencies


@pytest.mark.parametrize("country", list(Country))
def test_our_bell_rings_as_often_as_the_country_s(indications: configparser.ConfigParser, country: Country) -> None:
    cadence = tuple(int(part) / 1000 for part in indications[_SECTIONS[country]]["ringcadence"].split(","))
    assert TONES[country][ToneKind.RING].cadence == pytest.approx(cadence)
