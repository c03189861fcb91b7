"""What lies in an inbound folder and is read by nobody: counted, so that it is told and not overlooked."""

import contextlib
import os
from collections import Counter
from pathlib import Path
from typing import Final

from pipeline.transports.folder.formats import FileFormat
from pipeline.transports.folder.names import ARCHIVE, ending_of

__all__ = ["Unread", "look_for_unread"]

KINDS: Final = 5
"""How many kinds are told."""


class Unread:
    """Counts entries of a folder that are none of ``form``, by how their names end.

    Hidden files, and the folder into which files that are done are put away, are not meant. Its text is one line.
    """

    def __init__(self, form: FileFormat) -> None:
        self._form = form
        self.counts: Counter[str] = Counter()

    def note(self, entry: "os.DirEntry[str]") -> None:
        """Count one that is not read."""
        if entry.name.startswith("."):
            return
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link that goes round in circles
            is_folder = False
        if not is_folder:
            self.counts[ending_of(entry.name) or "without an ending"] += 1
        elif entry.name != ARCHIVE:
            self.counts["folders"] += 1

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        by_count = sorted(self.counts.items(), key=lambda kind: (-kind[1], kind[0]))
        kinds = [f"{count} {ascii(kind)[1:-1]}" for kind, count in by_count[:KINDS]]
        kinds += ["..."] if len(by_count) > KINDS else []
        read = f"{', '.join(self._form.suffixes)}, plain or .gz"
        return f"{self.counts.total()} that nobody reads: {', '.join(kinds)}; read are {read}"


def look_for_unread(directory: Path, form: FileFormat) -> Unread:
    """What nobody reads in ``directory`` now; nothing where the folder cannot be read."""
    unread = Unread(form)
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if not entry.name.lower().endswith(form.endings):
                unread.note(entry)
    return unread
