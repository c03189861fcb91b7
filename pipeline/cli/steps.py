"""What to do next: a line that says what for, and the command, which is never broken, so that it can be copied."""

import sys
from collections.abc import Iterable

from rich.cells import cell_len

from pipeline.cli.output import clean, is_terminal, width_of_terminal
from pipeline.cli.started import command

__all__ = ["print_steps", "steps", "suggest"]


def steps(told: Iterable[tuple[str, str]], width: int = 0) -> list[str]:
    """Lines that say what each of these commands does, and it; under each other in a narrow ``width``, 0 is endless.

    A command is never broken, so that it can be copied.
    """
    lines = []
    for says, arguments in told:
        said = command(*arguments.split())
        line = f"  {says}: {said}"
        lines += [line] if not width or cell_len(line) <= width else [f"  {says}:", f"    {said}"]
    return lines


def suggest(*told: tuple[str, str]) -> None:
    """``print_steps`` under a report, for a person alone: what a program reads is the report and nothing else."""
    if is_terminal():
        sys.stdout.write("\n")
        print_steps(told)


def print_steps(told: Iterable[tuple[str, str]]) -> None:
    """``steps``, for whoever looks at standard output."""
    for line in steps(told, width_of_terminal()):
        sys.stdout.write(clean(line) + "\n")
