"""Whose tones a phone plays that was not told."""

from __future__ import annotations

import pytest

from phone.config_schema import TONE_COUNTRIES
from phone.tone_country import tone_country


@pytest.mark.parametrize(
    ("environ", "country"),
    [
        ({}, "us"),
        ({"LANG": "C.UTF-8"}, "us"),
        ({"LANG": "POSIX"}, "us"),
        ({"LANG": "en_US.UTF-8"}, "us"),
        ({"LANG": "fr_CA.UTF-8"}, "us"),
        ({"LANG": "en_GB.UTF-8"}, "uk"),
        ({"LANG": "fr_FR"}, "fr"),
        ({"LANG": "ja_JP.eucJP"}, "jp"),
        ({"LANG": "en_NZ"}, "au"),
        ({"LANG": "de_DE@euro"}, "eu"),
        ({"LANG": "es_MX.UTF-8"}, "eu"),
        ({"LANG": "en_US.UTF-8", "LC_TELEPHONE": "en_GB.UTF-8"}, "uk"),
        ({"LANG": "en_US.UTF-8", "LC_TELEPHONE": "en_GB.UTF-8", "LC_ALL": "C"}, "us"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": ""}, "us"),
        ({"LANG": "../../x_YY/"}, "us"),
    ],
)
def test_the_locale_names_the_country(environ: dict[str, str], country: str) -> None:
    assert tone_country(environ) == country
    assert country in TONE_COUNTRIES
