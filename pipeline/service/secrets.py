"""Secrets: each an environment variable, or the content of the file that another one, called the same and _FILE, names.

Whoever mounts secrets as files, as containers' hosts do, has no need of a shell that puts them into the environment.
"""

import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pipeline.errors import WrongSettings

__all__ = ["Secrets", "beside"]

MOST_BYTES: Final = 64 * 1024
"""A file that has more holds no secret, and is not read."""


class Secrets:
    """What the environment holds beside the settings, told one variable at a time and never shown; how those were said.

    ``said`` are the settings that somebody has said, ``notes`` what is to be told of how.
    """

    def __init__(
        self, values: Mapping[str, str | None] | None = None, *, said: Iterable[str] = (), notes: Sequence[str] = ()
    ) -> None:
        self._values = dict(values or {})
        self.said = frozenset(said)
        self.notes = notes

    def get(self, variable: str) -> str | None:
        """The value of ``variable``, else what is in the file that the variable beside it names; None: neither is set.

        Raises WrongSettings, which never repeats a content, where both are set, or the file holds no text.
        """
        value, path = self._values.get(variable), self._values.get(beside(variable))
        if not path:
            return value
        if value:
            raise WrongSettings([f"{variable} and {beside(variable)} are both set: set one of the two"])
        try:
            return _content(path)
        except ValueError as error:
            shown = "what it names" if "://" in path else path  # an address, and perhaps with a password
            raise WrongSettings(
                [f"{beside(variable)}: {shown} {error}: expected a file that holds the secret"]
            ) from None


def beside(variable: str) -> str:
    """The variable that names the file in which the value of ``variable`` is."""
    return f"{variable}_FILE"


def _content(path: str) -> str:
    """The text in the file, but for one end of line at its end; raises ValueError that says what is wrong with it."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # a pipe that nobody writes to would be waited for
            raise ValueError("is no file")
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if len(content) > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES // 1024} KB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not text.strip():
        raise ValueError("is empty")
    return text
