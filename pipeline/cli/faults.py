"""What is known against a letter's payload, each thing with the place in it, and the payload with those marked."""

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from pipeline.cli.output import clean, console, print_lines
from pipeline.deadletters import Letter
from pipeline.deadletters.pointer import Mark, lines_around, locate

__all__ = ["UNKNOWN", "print_faults"]

UNKNOWN: Final = "mended, and not retried yet: nothing is known against it"


def print_faults(letter: Letter) -> None:
    """Print the reasons, and the payload that they are about: the mended one, where a person has mended it."""
    marks = [locate(letter.payload, reason) for reason in letter.reasons]
    print_lines([] if letter.reasons else [f"  {UNKNOWN}"])
    for reason, mark in zip(letter.reasons, marks, strict=True):
        where = f"  (line {mark.line}, column {mark.column})" if mark else ""
        print_lines([f"  {reason}{where}"])
    print_lines(["", *([] if letter.mended is None else [_of_whom(letter)])])
    _print_payload(letter.payload, [mark for mark in marks if mark])


def _of_whom(letter: Letter) -> str:
    by = f" by {letter.mended_by}" if letter.mended_by else ""
    return f"  the payload as it was mended{by}; the original bytes are kept beside it"


def _print_payload(payload: bytes, marks: Sequence[Mark]) -> None:
    lines = lines_around(payload, list(marks))
    width = len(str(lines[-1].number)) if lines else 1
    out = console()
    for line in lines:
        text = Text(f"  {line.number:>{width}} │ ", style="dim")
        text.append(clean(line.text), style="not dim")
        shift = len(f"  {line.number:>{width}} │ ")
        for start, end in line.marks:
            text.stylize("bold red", start + shift, end + shift)
        out.print(text, soft_wrap=True)
        if line.marks:
            under = [" "] * max(end for _, end in line.marks)
            for start, end in line.marks:
                under[start:end] = "^" * (end - start)
            out.print(Text(f"  {'':>{width}} │ {''.join(under)}", style="red"), soft_wrap=True)
