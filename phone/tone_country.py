"""Whose tones a phone plays that was not told: those of the territory the system's language settings name.

    LC_ALL, else LC_TELEPHONE, else LANG:   en_GB.UTF-8 ─▶ GB ─▶ uk        C, POSIX, none ─▶ us

Countries without figures of their own here get the plan of ITU-T E.180 (425 Hz), which most of the world is near to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = ("LC_ALL", "LC_TELEPHONE", "LANG")
"""In POSIX order; the one in the middle is glibc's category for telephone numbers."""

_TERRITORY = re.compile(r"[a-z]{2,3}_([A-Z]{2})(?:[.@].*)?")
_TONES = {
    **dict.fromkeys(("US", "CA", "PR", "VI", "GU"), "us"),
    **dict.fromkeys(("GB", "GG", "IM", "JE", "IE"), "uk"),
    **dict.fromkeys(("AU", "NZ"), "au"),
    **dict.fromkeys(("FR", "MC"), "fr"),
    "JP": "jp",
}
_NO_TERRITORY = "us"
_ELSEWHERE = "eu"


def tone_country(environ: Mapping[str, str]) -> str:
    """One of ``us uk eu au fr jp``."""
    locale = next((environ[name] for name in _VARIABLES if environ.get(name)), "")
    match = _TERRITORY.fullmatch(locale)
    return _NO_TERRITORY if match is None else _TONES.get(match[1], _ELSEWHERE)
