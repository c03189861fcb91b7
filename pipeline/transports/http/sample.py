"""An answer that somebody has saved, taken apart as those are that an API gives."""

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.errors import Fatal, Reason, WrongUsage
from pipeline.transports.folder.records import UNREADABLE, unreadable
from pipeline.transports.folder.sample import open_sample
from pipeline.transports.http.answers import ANSWER_BYTES, saved_answer
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.pages import order_in, read_page

__all__ = ["read_saved"]


def read_saved(
    file: Path, options: HttpOptions, knows: Callable[[bytes], bool]
) -> Iterator[Envelope[bytes] | Unreadable]:
    """The orders in a page of the list, or the one in an answer about one, which ``knows`` takes for one.

    A page that ``source`` would not take is Unreadable, with the option to set. Raises WrongUsage where the file cannot
    be read.
    """
    try:
        with os.fdopen(open_sample(file), "rb") as plain:
            packed = file.name.lower().endswith(".gz")
            answer = saved_answer((gzip.GzipFile(fileobj=plain) if packed else plain).read(ANSWER_BYTES + 1))
    except UNREADABLE as error:
        raise WrongUsage(f"{file}: {unreadable(error)}") from error
    locator = Locator(file.name)
    try:
        items = read_page(answer, options).items
    except (Fatal, ValueError) as error:
        one = order_in(answer.body, options.item, knows)
        if not knows(one):
            yield Unreadable(locator, (Reason(str(error)),), answer.body)
            return
        yield Envelope(one, locator, one)
        return
    for number, item in enumerate(items):
        yield Envelope(item, Locator(file.name, f"[{number}]"), item)
