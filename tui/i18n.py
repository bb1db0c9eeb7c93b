"""The message catalogue: English sentences are the keys, GNU gettext holds the translations.

    _("Reconnected")                        a text
    _n("{n} call", "{n} calls", n)          with a plural
    set_language("es")                      at run time; a region falls back to its language, then to English

Only whole sentences are translated and every parameter has a name, so that a language can order them.
``pseudo`` is a made-up language that marks each text which went through the catalogue.
"""

from __future__ import annotations

import gettext
import locale
import os
from pathlib import Path

DOMAIN = "offhook"
PSEUDO = "pseudo"
LANGUAGES = {"en": "English", "es": "Español"}

_DIRECTORY = Path(__file__).with_name("locale")
_PSEUDO_LETTERS = str.maketrans("aeiouAEIOUcnsy", "áéíóúÁÉÍÓÚçñšý")


class _PseudoTranslations(gettext.NullTranslations):
    """Accents every vowel and lengthens by a third, leaving ``{parameters}`` alone."""

    def gettext(self, message: str) -> str:
        pieces = message.replace("{", "\0{").replace("}", "}\0").split("\0")
        accented = "".join(p if p.startswith("{") else p.translate(_PSEUDO_LETTERS) for p in pieces)
        return f"⟦{accented}{'·' * (len(message) // 3)}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


class Catalogue:
    """One language's texts; replaced in place when the language changes, so every holder follows."""

    def __init__(self) -> None:
        self.language = "en"
        self._translations: gettext.NullTranslations = gettext.NullTranslations()

    def use(self, language: str) -> None:
        """Switch to ``language`` (``es``, ``es-419``, ``pt_BR.UTF-8``, ``pseudo``); unknown ones mean English."""
        if language == PSEUDO:
            self.language, self._translations = PSEUDO, _PseudoTranslations()
            return
        wanted = language.split(".")[0].replace("_", "-")
        names = [name for name in (wanted, wanted.split("-")[0]) if name in LANGUAGES]
        self.language = names[0] if names else "en"
        self._translations = gettext.translation(
            DOMAIN, _DIRECTORY, languages=[name.replace("-", "_") for name in names], fallback=True
        )

    def text(self, message: str) -> str:
        """The translation of ``message``."""
        return self._translations.gettext(message)

    def plural(self, one: str, many: str, n: int) -> str:
        """The translation for ``n`` things, with ``{n}`` filled in."""
        return self._translations.ngettext(one, many, n).format(n=n)


_catalogue = Catalogue()


def _(message: str) -> str:
    """The text in the language of the moment."""
    return _catalogue.text(message)


def _n(one: str, many: str, n: int) -> str:
    """The text for ``n`` things in the language of the moment."""
    return _catalogue.plural(one, many, n)


def set_language(language: str) -> None:
    """Change the language of every text made from now on."""
    _catalogue.use(language or system_language())


def language() -> str:
    """The language in use."""
    return _catalogue.language


def system_language() -> str:
    """What the environment asks for (LC_ALL, LC_MESSAGES, LANG), else English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "en" if value in ("C", "POSIX", "C.UTF-8") else value
    return locale.getlocale()[0] or "en"
