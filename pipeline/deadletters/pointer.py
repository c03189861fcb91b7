"""Where in a payload a reason points: a line and a column, found by its JSON path or its byte offset."""

import json
import re
from collections.abc import Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]  # there, but not in the stubs
from typing import Final, NamedTuple

from pipeline.errors import Reason

__all__ = ["Mark", "Shown", "lines_around", "locate", "readable"]

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[([0-9]+)\]")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()
CUT: Final = 160
"""Longer lines are cut around the mark."""


class Mark(NamedTuple):
    """A stretch of a payload's text: characters ``start`` to ``end``; ``line`` and ``column`` from 1."""

    start: int
    end: int
    line: int
    column: int


class Shown(NamedTuple):
    """One line of a payload, cut to be looked at; ``marks`` are the stretches of ``text`` that are marked."""

    number: int
    text: str
    marks: tuple[tuple[int, int], ...] = ()


def readable(payload: bytes) -> str:
    """The payload as text; bytes that are no UTF-8 as escapes."""
    return payload.decode(errors="backslashreplace")


def locate(payload: bytes, reason: Reason) -> Mark | None:
    """Where ``reason`` points; the object that a missing field should be in; None where nothing can be pointed at."""
    text = readable(payload)
    if reason.offset is not None:
        start = len(readable(payload[: reason.offset]))
        return _mark(text, start, start + 1)
    if reason.path == "$" or not text.strip():
        return None
    try:
        steps = [key or int(index) for key, index in _STEP.findall(reason.path)]
        span = _find(text, _skip(text, 0), steps)
    except (ValueError, IndexError, RecursionError):
        return None
    return _mark(text, *span)


def lines_around(payload: bytes, marks: list[Mark], *, context: int = 2) -> list[Shown]:
    """The lines with marks and ``context`` lines on either side; all are numbered from 1, long ones cut."""
    lines = readable(payload).splitlines(keepends=True) or [""]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    by_line: dict[int, list[Mark]] = {}
    for mark in sorted(marks):
        by_line.setdefault(mark.line, []).append(mark)
    wanted = {near for line in by_line for near in range(line - context, line + context + 1)} or set(range(1, 6))
    return [
        _shown(number, lines[number - 1].rstrip("\r\n"), starts[number - 1], by_line.get(number, ()))
        for number in sorted(wanted & set(range(1, len(lines) + 1)))
    ]


def _shown(number: int, text: str, starts: int, marks: Sequence[Mark]) -> Shown:
    """One line; a long one is cut to what is around its first mark."""
    left = max(0, marks[0].start - starts - CUT // 2) if marks and len(text) > CUT else 0
    right = min(len(text), left + CUT)
    head = "…" if left else ""
    shift = len(head) - left - starts
    inside = [mark for mark in marks if mark.start - starts <= right]
    stretches = tuple(
        (mark.start + shift, max(min(mark.end - starts, right) + starts, mark.start + 1) + shift) for mark in inside
    )
    return Shown(number, head + text[left:right] + ("…" if right < len(text) else ""), stretches)


def _find(text: str, at: int, steps: list[str | int]) -> tuple[int, int]:
    """The stretch of the value that ``steps`` lead to, from the value that begins at ``at``."""
    if not steps:
        return at, _DECODER.raw_decode(text, at)[1]
    children = _members(text, at) if isinstance(steps[0], str) else _elements(text, at)
    child = children.get(steps[0])
    if child is None:
        return at, at + 1  # it is missing: the object that it should be in
    return _find(text, child, steps[1:])


def _members(text: str, at: int) -> dict[str | int, int]:
    """Where the values of the object at ``at`` begin, by key; of equal keys the last, as the parser has it."""
    found: dict[str | int, int] = {}
    if text[at] != "{":
        return found
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = scanstring(text, at + 1, True)
        at = _skip(text, _skip(text, at) + 1)
        found[key] = at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _elements(text: str, at: int) -> dict[str | int, int]:
    found: dict[str | int, int] = {}
    if text[at] != "[":
        return found
    at = _skip(text, at + 1)
    while text[at] != "]":
        found[len(found)] = at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _mark(text: str, start: int, end: int) -> Mark:
    start = min(start, len(text))
    before = text[:start]
    line = before.count("\n") + 1
    return Mark(start, max(end, start + 1), line, start - (before.rfind("\n") + 1) + 1)
