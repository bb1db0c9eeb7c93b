"""The quality line of the current call: codec, MOS in figures and dots, loss, jitter, round trip, breaks of the sound
devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

from tui.i18n import _
from tui.widgets.rows import Row, Rows

if TYPE_CHECKING:
    from phone.protocol.snapshots import CallMedia, CallSlice

_GRADES = (
    (4.2, "excellent", "ok"),
    (4.0, "good", "ok"),
    (3.6, "fair", "warn"),
    (3.1, "poor", "warn"),
    (0.0, "bad", "error"),
)

STANDS_S = 10.0

_ALWAYS = 0
"""The rank of what is never left out."""


def grade(mos: float) -> tuple[str, str]:
    """A word and its role for a mean opinion score."""
    words = {
        "excellent": _("excellent"),
        "good": _("good"),
        "fair": _("fair"),
        "poor": _("poor"),
        "bad": _("bad"),
    }
    word, role = next((word, role) for least, word, role in _GRADES if mos >= least)
    return words[word], role


def quality_row(call: CallSlice | None, *, width: int = 1000) -> Row:
    """Empty without a call that has media. Where ``width`` cells are too few, what matters least is left out whole."""
    if call is None or call.codec is None:
        return []
    parts: list[tuple[int, Row]] = [(_ALWAYS, [(call.codec, "strong")])]
    if call.security:
        parts += [(_ALWAYS, [(" " + call.security.upper(), "ok")])]
    if call.media is not None:
        parts += _figures(call.media)
    while sum(_cells(part) for _rank, part in parts) > width and (least := max(rank for rank, _part in parts)):
        parts = [(rank, part) for rank, part in parts if rank != least]
    return [piece for _rank, part in parts for piece in part]


def _figures(media: CallMedia) -> list[tuple[int, Row]]:
    """Each with how soon it is left out: the higher the sooner."""
    parts: list[tuple[int, Row]] = []
    if media.mos is not None:
        word, role = grade(media.mos)
        filled = max(0, min(5, round(media.mos)))
        mos = _("  MOS {mos}").format(mos=f"{media.mos:.1f}")
        parts += [(_ALWAYS, [(mos + " ", ""), ("●" * filled + "○" * (5 - filled), role)]), (4, [(" " + word, role)])]
    parts += [(1, [(_("  loss {percent} %").format(percent=f"{100 * media.loss:.1f}"), "")])]
    parts += [(2, [(_("  jitter {ms} ms").format(ms=round(media.jitter_ms)), "")])]
    if media.rtt_ms is not None:
        parts += [(3, [(_("  rtt {ms} ms").format(ms=round(media.rtt_ms)), "")])]
    if broken := media.underruns + media.overruns:
        parts += [(_ALWAYS, [(_("  device breaks {count}").format(count=broken), "warn")])]
    return parts


def _cells(row: Row) -> int:
    return sum(cell_len(text) for text, _role in row)


class QualityLine(Rows):
    """See :func:`quality_row`.

    Figures that flicker tell nothing and cost bytes: they stand for some seconds, unless the grade or the call changes.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._drawn_at = float("-inf")
        self._about: tuple[object, ...] = ()

    def update_from(self, call: CallSlice | None, *, now: float) -> None:
        """Show how ``call`` sounds; ``now`` in seconds."""
        width = self.size.width or 80
        about: tuple[object, ...] = ()
        if call is not None:
            mos = None if call.media is None else call.media.mos
            worth = None if mos is None else grade(mos)
            about = (call.id, call.codec, call.security, call.media is None, worth, width)
        if about != self._about or not 0 <= now - self._drawn_at < STANDS_S:
            self._about, self._drawn_at = about, now
            self.show([quality_row(call, width=width)])
