"""What the files of a folder are: which names are theirs, and how their bytes come apart into records."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from pipeline.clients.folder.records import BLOCK, MAX_FILE, Broken, Part, Readable, is_lines, lines, whole
from pipeline.errors import Reason

__all__ = ["JSON_FILES", "FileFormat"]


class FileFormat(Struct, frozen=True):
    """A kind of files; each may be gzipped too, under its name with ``.gz``."""

    suffixes: tuple[str, ...]
    """How their names end; the first is that of a file with one order."""
    records: Callable[[str, Readable], Iterator[Part | Broken]]
    """A file's name (without ``.gz``) and bytes -> its records; may raise what reading raises, before the first."""

    @property
    def names(self) -> re.Pattern[str]:
        """Which names are theirs; the group is set for gzipped ones."""
        return re.compile(rf"(?s).+(?:{'|'.join(map(re.escape, self.suffixes))})(\.gz)?")


def _json(name: str, stream: Readable) -> Iterator[Part | Broken]:
    """One object, an array, or an object a line."""
    by_line = not name.endswith(".json")
    head = b"" if by_line else stream.read(BLOCK)
    if by_line or is_lines(head):
        yield from lines(head, stream)
        return
    data = head
    while len(data) >= BLOCK and len(data) <= MAX_FILE and (more := stream.read(BLOCK * 16)):
        data += more
    if len(data) > MAX_FILE:
        message = f"more than {MAX_FILE // 2**20} MB in one JSON value: write one order a line (.ndjson)"
        yield Broken("", Reason(message))
    else:
        yield from whole(data)


JSON_FILES: Final = FileFormat((".json", ".ndjson", ".jsonl"), _json)
"""One object, an array, or (``.ndjson``, ``.jsonl``) an object a line."""
