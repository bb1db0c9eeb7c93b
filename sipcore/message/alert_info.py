"""What Alert-Info says of a caller: a colleague, or somebody from outside (RFC 3261 §20.4, RFC 7462).

    <urn:alert:source:internal>             RFC 7462
    <http://pbx>;info=alert-internal        what PBXs have sent for long, the URI for show
    info=internal                           the same without one

Only these words are read. A URI is never fetched: whoever calls could have the phone ask any server for anything.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sipcore.errors import ParseError
from sipcore.events import AlertSource
from sipcore.message.grammar import LWS, Params, find_param, format_params, parse_params, split_list

_MAX_LENGTH = 512
_MAX_VALUES = 16
# LAQUOT absoluteURI RAQUOT; what is between the brackets is looked at and never used.
_URI_RE = re.compile(r'<([^<>"\x00-\x20\x7f]*)>[ \t]*(?=;|$)')
_SOURCE = "urn:alert:source:"


@dataclass(frozen=True, slots=True)
class AlertInfo:
    """One value: where the sound would be, if anything, and parameters."""

    uri: str
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `LAQUOT absoluteURI RAQUOT *(SEMI generic-param)`, or the parameters alone as many PBXs write them."""
        text = text.strip(LWS)
        if len(text) > _MAX_LENGTH:
            raise ParseError("Alert-Info is too long")
        if match := _URI_RE.match(text):
            return cls(match[1], parse_params(text, match.end()))
        if text.startswith("<"):
            raise ParseError("malformed Alert-Info")
        return cls("", parse_params(text if text.startswith(";") else f";{text}"))

    @property
    def source(self) -> AlertSource | None:
        """Who calls; None where the value is about something else."""
        uri = self.uri.lower()
        if uri.startswith(_SOURCE):
            # RFC 7462: what follows a further colon refines the indication.
            return _source(uri.removeprefix(_SOURCE).partition(":")[0])
        info = find_param(self.params, "info")
        return None if info is None else _source(info.lower().removeprefix("alert-"))

    def __str__(self) -> str:
        written = format_params(self.params)
        return f"<{self.uri}>{written}" if self.uri else written.removeprefix(";")


def alert_source(values: Iterable[str]) -> AlertSource | None:
    """The first answer of all Alert-Info lines of a request; what cannot be read counts as absent."""
    for line in list(values)[:_MAX_VALUES]:
        try:
            found = [AlertInfo.parse(part) for part in split_list(line[: _MAX_LENGTH * 2])[:_MAX_VALUES]]
        except ParseError:
            continue
        for value in found:
            if value.source is not None:
                return value.source
    return None


def _source(word: str) -> AlertSource | None:
    try:
        return AlertSource(word)
    except ValueError:
        return None
