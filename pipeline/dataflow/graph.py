"""A picture of chains, made from the stages that they are made of: as Mermaid, or as SVG."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Any, Final, NamedTuple

from pipeline.dataflow.stage import Chain, Step

__all__ = ["mermaid", "svg"]

WIDTH, HEIGHT, GAP, LANE, ROW, EDGE, LETTERS = 112, 36, 22, 58, 196, 16, 13
"""Of the SVG: boxes, the room between them, and how many letters fit."""

FAILS: Final = frozenset({"source", "items", "sink"})
"""The kinds of steps at which an item may fail."""

OF_STEP: Final = {"source": "from", "sink": "to", "dead_letters": "letters"}
"""What a step of this kind works with."""

STORES: Final = frozenset(OF_STEP.values())


class _Box(NamedTuple):
    key: str
    text: str
    kind: str

    @property
    def is_store(self) -> bool:
        return self.kind in STORES


def mermaid(chains: Sequence[tuple[str, Chain[Any]]]) -> str:
    """The chains, each under its name, as one Mermaid flowchart."""
    lines = ["flowchart LR"]
    for name, chain in chains:
        boxes = _boxes(chain.steps, name.rpartition(".")[2])
        lines.append(f'    subgraph {name.rpartition(".")[2]} ["{name}"]')
        lines += [f"        {box.key}{_shape(box)}" for box in boxes]
        lines += [f"        {one} {arrow} {two}" for one, arrow, two in _arrows(boxes)]
        lines.append("    end")
    return "\n".join(lines) + "\n"


def svg(chains: Sequence[tuple[str, Chain[Any]]]) -> str:
    """The same as a picture on its own, a row a chain."""
    rows = [(name, _boxes(chain.steps, name)) for name, chain in chains]
    longest = max(len(_way(boxes)) for _, boxes in rows)
    width = 2 * EDGE + longest * (WIDTH + GAP) - GAP
    parts = [_svg_row(EDGE + number * ROW, name, boxes) for number, (name, boxes) in enumerate(rows)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {2 * EDGE + len(rows) * ROW - GAP}" '
        'font-family="sans-serif" font-size="13">\n'
        '<rect width="100%" height="100%" rx="8" fill="#fff"/>\n'  # on a dark page, too
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>\n' + "".join(parts) + "</svg>\n"
    )


def _boxes(steps: Sequence[Step], prefix: str) -> list[_Box]:
    """The steps in their order, and what the first, the sink and the dead letters work with."""
    boxes = [_Box(f"{prefix}_{step.name}", step.name.replace("_", " "), step.kind) for step in steps]
    for step in steps:
        store = OF_STEP.get(step.kind)
        if store is not None and step.end is not None:
            boxes.append(_Box(f"{prefix}_{store}", step.end.title, store))
    return boxes


def _way(boxes: Sequence[_Box]) -> list[_Box]:
    """The straight way: where items come from, and the steps."""
    return [box for box in boxes if box.kind == "from"] + [box for box in boxes if not box.is_store]


def _arrows(boxes: Sequence[_Box]) -> Iterator[tuple[str, str, str]]:
    way = _way(boxes)
    yield from ((one.key, "-->", two.key) for one, two in pairwise(way))
    keys = {box.kind: box.key for box in boxes}
    for box in way:
        if box.kind == "sink" and "to" in keys:
            yield box.key, "-- writes -->", keys["to"]
        if box.kind in FAILS and "dead_letters" in keys:
            yield box.key, "-. fails .->", keys["dead_letters"]
        if box.kind == "dead_letters" and "letters" in keys:
            yield box.key, "-- writes -->", keys["letters"]
        if box.kind == "settle" and "from" in keys:
            yield box.key, "-. acks .->", keys["from"]


def _shape(box: _Box) -> str:
    text = box.text.replace('"', "'")
    return f'[("{text}")]' if box.is_store else f'["{text}"]'


def _svg_row(top: int, name: str, boxes: Sequence[_Box]) -> str:
    """Three lanes: where items go, above; the way; the letters, below."""
    above, middle, below = top + 20, top + 20 + LANE, top + 20 + 2 * LANE
    way = _way(boxes)
    x_of = {box.key: EDGE + number * (WIDTH + GAP) for number, box in enumerate(way)}
    step_of = {box.kind: box.key for box in way}
    out = [f'<text x="{EDGE}" y="{top + 10}" font-weight="bold">{escape(name)}</text>\n']
    for one, two in pairwise(way):
        y = middle + HEIGHT // 2
        out.append(_line(f"M{x_of[one.key] + WIDTH} {y}H{x_of[two.key]}"))
    for box in boxes:
        if box.kind == "to":
            x_of[box.key] = x_of[step_of["sink"]]
            out.append(_line(f"M{x_of[box.key] + WIDTH // 2} {middle}V{above + HEIGHT}"))
            out.append(_box(x_of[box.key], above, box))
        elif box.kind == "letters":
            x = x_of[box.key] = x_of[step_of["dead_letters"]]
            out.append(_line(f"M{x + WIDTH // 2} {middle + HEIGHT}V{below}"))
            for failing in (one for one in way if one.kind in FAILS):
                bend = f"M{x_of[failing.key] + WIDTH // 2} {middle + HEIGHT}V{below + HEIGHT // 2}H{x}"
                out.append(_line(bend, stroke="#a33", dashes=' stroke-dasharray="4 3"'))
            out.append(_box(x, below, box))
    out += [_box(x_of[box.key], middle, box) for box in way]
    return "".join(out)


def _line(path: str, *, stroke: str = "#555", dashes: str = "") -> str:
    return f'<path d="{path}" fill="none" stroke="{stroke}"{dashes} marker-end="url(#tip)"/>\n'


def _box(x: int, y: int, box: _Box) -> str:
    fill, corner = ("#fdf3d8", 18) if box.is_store else ("#e8f0fa", 4)
    text = box.text if len(box.text) <= LETTERS else f"…{box.text[1 - LETTERS :]}"
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{corner}" fill="{fill}" stroke="#555"/>'
        f'<text x="{x + WIDTH // 2}" y="{y + HEIGHT // 2 + 4}" text-anchor="middle">{escape(text)}'
        f"<title>{escape(box.text)}</title></text>\n"
    )
