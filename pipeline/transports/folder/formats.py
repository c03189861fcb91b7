"""What the files of a folder are: which names are theirs, and how their bytes come apart into records."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from msgspec import Struct

from pipeline.errors import Reason
from pipeline.translation.foreign import foreign
from pipeline.translation.layout import Layout
from pipeline.transports.folder.records import (
    BLOCK,
    MAX_FILE,
    Broken,
    Part,
    Readable,
    is_lines,
    lines,
    not_understood,
    whole,
)

__all__ = ["JSON_FILES", "FileFormat", "json_files"]


class FileFormat(Struct, frozen=True):
    """A kind of files; each may be gzipped too, under its name with ``.gz``. The case of an ending does not matter."""

    suffixes: tuple[str, ...]
    """How their names end, in lower case; the first is that of a file with one order."""
    records: Callable[[str, Readable], Iterable[Part | Broken]]
    """A file's name (in lower case, without ``.gz``) and bytes -> its records.

    May raise what reading raises before it gives the first: what cannot be read further than that is a Broken. A file
    that is not understood as a whole is one Broken without a suffix, with its bytes; none is without records
    unless it says so itself: an empty array, a head without rows.
    """

    @property
    def endings(self) -> tuple[str, ...]:
        """How their names end, plain or gzipped; there is something before it."""
        return (*self.suffixes, *(f"{suffix}.gz" for suffix in self.suffixes))


def json_files(layouts: Collection[Layout[Any]] = ()) -> FileFormat:
    """One object, an array, or (``.ndjson``, ``.jsonl``) an object a line; ``layouts`` tell what is an order."""
    return FileFormat((".json", ".ndjson", ".jsonl"), lambda name, stream: _json(name, stream, layouts))


def _json(name: str, stream: Readable, layouts: Collection[Layout[Any]]) -> Iterable[Part | Broken]:
    head = stream.read(BLOCK)
    if what := foreign(head):
        return (not_understood(Reason(f"not JSON: {what}", offset=0), head, stream),)
    if not name.endswith(".json") or is_lines(head):
        return lines(head, stream)
    data = head
    while len(data) >= BLOCK and len(data) <= MAX_FILE and (more := stream.read(BLOCK * 16)):
        data += more
    if len(data) > MAX_FILE:
        message = f"more than {MAX_FILE // 2**20} MB in one JSON value: write one order a line (.ndjson)"
        return (Broken("", Reason(message)),)
    return whole(data, layouts)


JSON_FILES: Final = json_files()
"""Without a layout: what is an order, the client says later."""
