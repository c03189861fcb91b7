"""What the files of a folder are: which names are theirs, and how their bytes come apart into records."""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from pipeline.errors import Reason
from pipeline.transports.folder.records import BLOCK, MAX_FILE, Broken, Part, Readable, is_lines, lines, whole

__all__ = ["JSON_FILES", "FileFormat"]


class FileFormat(Struct, frozen=True):
    """A kind of files; each may be gzipped too, under its name with ``.gz``."""

    suffixes: tuple[str, ...]
    """How their names end; the first is that of a file with one order."""
    records: Callable[[str, Readable], Iterable[Part | Broken]]
    """A file's name (without ``.gz``) and bytes -> its records; may raise what reading raises, before the first."""

    @property
    def endings(self) -> tuple[str, ...]:
        """How their names end, plain or gzipped; there is something before it."""
        return (*self.suffixes, *(f"{suffix}.gz" for suffix in self.suffixes))


def _json(name: str, stream: Readable) -> Iterable[Part | Broken]:
    """One object, an array, or an object a line."""
    by_line = not name.endswith(".json")
    head = b"" if by_line else stream.read(BLOCK)
    if by_line or is_lines(head):
        return lines(head, stream)
    data = head
    while len(data) >= BLOCK and len(data) <= MAX_FILE and (more := stream.read(BLOCK * 16)):
        data += more
    if len(data) > MAX_FILE:
        message = f"more than {MAX_FILE // 2**20} MB in one JSON value: write one order a line (.ndjson)"
        return (Broken("", Reason(message)),)
    return whole(data)


JSON_FILES: Final = FileFormat((".json", ".ndjson", ".jsonl"), _json)
"""One object, an array, or (``.ndjson``, ``.jsonl``) an object a line."""
