"""What people see: any text in the log and in lists is on its line, and nothing in it hides or breaks that."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

from loguru import logger

from pipeline.cli.logs import configure
from pipeline.cli.output import as_json, clean, print_lines
from pipeline.cli.tables import Column, print_table
from tests.fuzz.laws import law
from tests.fuzz.registry import target

ODD = (
    "a\nb",
    "\x1b[2J\x1b]0;x\x07",
    "\u202egnp.exe",
    "\ud800",
    "\u2028",
    "<b>\\<red>",
    "{0} {extra} {",
    "\x85\x9b31m",
    "%s",
)
SEEDS = tuple(text.encode("utf-8", "surrogatepass") for text in ODD)


def text_of(data: bytes) -> str:
    """Any text, with lone surrogates for bytes that are no UTF-8."""
    return data.decode("utf-8", "surrogateescape")


@target("shown.log", *SEEDS)
def log_lines(data: bytes) -> None:
    """Whatever is logged is one line that can be printed."""
    line, rest = _logged("text", data)
    law(line.isprintable() and rest == "", "a line is broken")


@target("shown.json_log", *SEEDS)
def json_lines(data: bytes) -> None:
    """The same of a log in JSON, which says all that was logged."""
    line, rest = _logged("json", data)
    law(line.isprintable() and rest == "", "a line is broken")
    law(json.loads(line)["message"] == f"order {clean(text_of(data))} is odd", "a message is another")


def _logged(style: str, data: bytes) -> list[str]:
    """What is written of a line with ``data`` in it, in lines."""
    if [style] != _STYLE or not logger._core.handlers:  # somebody has removed it
        configure("DEBUG", style)
        _STYLE[:] = [style]
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    with redirect_stderr(out):
        logger.warning("order {} is odd", text_of(data))
    out.flush()
    return out.buffer.getvalue().decode().split("\n", 1)


_STYLE: list[str] = []
"""How the log is written now."""


@target("shown.lists", *SEEDS)
def lists(data: bytes) -> None:
    """Whatever is listed is one line, of as many cells as there are columns."""
    text = text_of(data)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    with redirect_stdout(out):
        print_lines([text])
        print_table([Column("a"), Column("b")], [[text, text]])
    out.flush()
    first, second, rest = out.buffer.getvalue().decode().split("\n")
    law(first.isprintable() and all(map(str.isprintable, second.split("\t"))) and rest == "", "a line is broken")
    law(second.count("\t") == 1, "a cell is two")
    law(json.loads(as_json({"a": text}, sys.stdout)) == {"a": text}, "a text is told as another")
