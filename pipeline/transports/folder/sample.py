"""One file by itself, taken apart as the files of an inbound folder are."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.errors import WrongUsage
from pipeline.transports.folder.files import Opened, place_of
from pipeline.transports.folder.formats import JSON_FILES, FileFormat
from pipeline.transports.folder.records import Part

__all__ = ["open_sample", "read_sample"]


def read_sample(file: Path, form: FileFormat = JSON_FILES) -> Iterator[Envelope[bytes] | Unreadable]:
    """The records of ``file``; raises WrongUsage where it cannot be opened, or is none of ``form``."""
    if not file.name.lower().endswith(form.endings):
        raise WrongUsage(f"{file}: expected a name that ends in {', '.join(form.endings)}: others are read by nobody")
    place = place_of(file.name)
    for part in Opened(file.name, None, open_sample(file)).parts(form):
        locator = Locator(place, part.suffix)
        if isinstance(part, Part):
            yield Envelope(part.raw, locator, part.raw)
        else:
            yield Unreadable(locator, (part.reason,), part.raw)


def open_sample(file: Path) -> int:
    """A descriptor of ``file``; raises WrongUsage where it cannot be read, or is none: a pipe would be waited for."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise WrongUsage(f"{file} is no file")
        return os.open(file, os.O_RDONLY)
    except OSError as error:
        raise WrongUsage(f"{file} cannot be read: {error.strerror}") from error
