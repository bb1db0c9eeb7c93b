"""A row of figures with its target, and the table of them."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number. ``target`` is ``>= 4.1``, ``<= 85``, or empty where there is none."""

    title: str
    value: float | None
    unit: str = ""
    target: str = ""
    digits: int = 2
    note: str = ""
    others: Mapping[str, float | None] = field(default_factory=dict)
    """What other phones took in the same run, by title."""

    @property
    def good(self) -> bool | None:
        """Whether the target is met; ``None`` without one."""
        if not self.target:
            return None
        compare, bound = self.target.split()
        return self.value is not None and _COMPARE[compare](round(self.value, self.digits), float(bound))

    def as_json(self) -> dict[str, object]:
        """Everything, for a file."""
        return {
            "title": self.title,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "good": self.good,
            "note": self.note,
            "others": dict(self.others),
        }


def line(figure: Figure, peers: Sequence[str] = ()) -> str:
    """One line of the table."""
    mark = {True: "yes", False: "NO", None: ""}[figure.good]
    others = "".join(f"{_value(figure, figure.others.get(peer), '–'):>12}" for peer in peers)
    value = _value(figure, figure.value, "not measured")
    return f"{figure.title:<55} {value:>14}{others}  {figure.target:>8}  {mark:<3}  {figure.note}".rstrip()


def heading(text: str, peers: Sequence[str] = ()) -> str:
    """The line above a group of rows."""
    return f"\n{text:<55} {'Offhook':>14}{''.join(f'{peer:>12}' for peer in peers)}  {'target':>8}  met"


def markdown(groups: Mapping[str, Sequence[Figure]], peers: Sequence[str]) -> str:
    """The same for a document."""
    lines = []
    for title, figures in groups.items():
        shown = peers if any(figure.others for figure in figures) else ()
        lines += [f"### {title}", "", _row(["", "target", "Offhook", *shown, ""]), _row(["---"] * (4 + len(shown)))]
        for figure in figures:
            value = _value(figure, figure.value, "not measured") + (" **missed**" if figure.good is False else "")
            others = [_value(figure, figure.others.get(peer), "–") for peer in shown]
            target = figure.target.replace("<=", "≤").replace(">=", "≥")
            lines.append(_row([figure.title, target, value, *others, figure.note]))
        lines.append("")
    return "\n".join(lines)


def _value(figure: Figure, value: float | None, absent: str) -> str:
    return absent if value is None else f"{value:.{figure.digits}f} {figure.unit}".rstrip()


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def missed(figures: Iterable[Figure]) -> list[Figure]:
    """Those whose target was not met."""
    return [figure for figure in figures if figure.good is False]
