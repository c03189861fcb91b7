"""Small charts, drawn by us as SVG: where each bar, line and label goes. Pure."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

__all__ = ["Bar", "Chart", "Column", "Tick", "chart", "top_of"]

WIDTH, HEIGHT = 240.0, 120.0
LEFT, RIGHT, ABOVE, BELOW = 36.0, 2.0, 8.0, 20.0
"""What is left for the labels, in the units of the drawing."""
STEPS: Final = (1, 2, 4, 6, 8, 10)
"""What a scale may end with, times a power of ten: its half is a whole number, from 2 on."""
THICKEST: Final = 20.0


class Column(Struct, frozen=True):
    """What one bar stands for: a day, a run."""

    label: str
    value: int
    title: str
    """For whoever points at it."""
    bad: int = 0
    """The part of ``value`` that is drawn as bad."""


class Bar(Struct, frozen=True):
    """One bar as it is drawn."""

    column: Column
    x: float
    y: float
    width: float
    height: float
    bad_y: float
    bad_height: float
    middle: float
    """Where its label goes."""


class Tick(Struct, frozen=True):
    """One line of the scale."""

    y: float
    label: str


class Chart(Struct, frozen=True, kw_only=True):
    """All of a chart."""

    name: str
    """What is counted."""
    kind: str = ""
    """Whether it is of what is bad."""
    total: int
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    floor: float = HEIGHT - BELOW

    @property
    def said(self) -> str:
        """The whole chart in words."""
        return f"{self.name}: " + ", ".join(bar.column.title for bar in self.bars)


def chart(name: str, columns: Sequence[Column], *, kind: str = "", width: float = WIDTH) -> Chart:
    """The chart of these columns, ``width`` units wide."""
    top = top_of(max((column.value for column in columns), default=0))
    floor, room = HEIGHT - BELOW, HEIGHT - BELOW - ABOVE
    step = (width - LEFT - RIGHT) / max(len(columns), 1)
    thick = min(step * 0.62, THICKEST)
    bars = []
    for at, column in enumerate(columns):
        middle = LEFT + step * (at + 0.5)
        height, bad = _tall(column.value, top, room), _tall(column.bad, top, room)
        bars.append(
            Bar(
                column=column,
                x=round(middle - thick / 2, 1),
                y=round(floor - height, 1),
                width=round(thick, 1),
                height=height,
                bad_y=round(floor - bad, 1),
                bad_height=bad,
                middle=round(middle, 1),
            )
        )
    marks = [0, top // 2, top] if top > 1 else [0, top]
    ticks = [Tick(round(floor - room * mark / top, 1), _short(mark)) for mark in marks]
    total = sum(column.value for column in columns)
    return Chart(name=name, kind=kind, total=total, bars=bars, ticks=ticks, width=width)


def top_of(most: int) -> int:
    """The end of a scale on which ``most`` has room."""
    power = 1
    while True:
        for step in STEPS:
            if step * power >= most and step * power > 0:
                return step * power
        power *= 10


def _tall(value: int, top: int, room: float) -> float:
    """How tall a bar is; one that is there at all can be seen."""
    return max(1.5, round(room * value / top, 1)) if value else 0.0


def _short(value: int) -> str:
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return str(value)
