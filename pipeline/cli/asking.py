"""Questions to the person at the terminal, on standard error, so that standard output stays what is reported."""

import sys

from pipeline.cli.output import clean

__all__ = ["answer", "is_somebody_there", "is_yes"]


def is_somebody_there() -> bool:
    """Whether anybody can be asked: they see what is asked, and can type."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def is_yes(question: str) -> bool:
    """Whether the person says yes; nothing said is no."""
    return answer(f"{question} [y/N]", "").lower() in {"y", "yes"}


def answer(question: str, default: str) -> str:
    """What the person says to it, else ``default``, which is shown; the end of input is nothing said."""
    shown = f"{question} [{default}]" if default else question
    sys.stderr.write(f"{clean(shown)} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() or default
