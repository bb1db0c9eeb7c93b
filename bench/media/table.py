"""A row of figures with its target, and the table of them."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
        }


def line(figure: Figure) -> str:
    """One line of the table."""
    value = "not measured" if figure.value is None else f"{figure.value:.{figure.digits}f} {figure.unit}".rstrip()
    mark = {True: "yes", False: "NO", None: ""}[figure.good]
    return f"{figure.title:<44} {value:>14}  {figure.target:>8}  {mark:<3}  {figure.note}".rstrip()


def heading(text: str) -> str:
    """The line above a group of rows."""
    return f"\n{text:<44} {'Offhook':>14}  {'target':>8}  met"


def missed(figures: Iterable[Figure]) -> list[Figure]:
    """Those whose target was not met."""
    return [figure for figure in figures if figure.good is False]
