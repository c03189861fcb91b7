"""Standard output and standard error that never fail: showing something decides nothing.

A reader that has gone, a closed descriptor, a full disk, a terminal that is not UTF-8: what can be shown is shown, the
rest is let go, and the program goes on as if all had been.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO, cast

__all__ = ["Unbroken", "is_heard", "takes_unicode", "unbroken"]

DESCRIPTORS: Final = (0, 1, 2)


class Unbroken(io.TextIOBase):
    """Another stream, or None: writing to it never raises. Characters that it cannot encode become escapes."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.is_broken = stream is None
        """Nothing that is written is taken any more."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read alone, as the base means it
        """The other stream's; of one in memory: UTF-8."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def fileno(self) -> int:
        """The descriptor; raises OSError where there is none."""
        if self._stream is None:
            raise io.UnsupportedOperation("there is no descriptor")
        return self._stream.fileno()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Write what can be written."""
        self._try("write", text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        self._try("flush")

    def _try(self, method: str, *arguments: Any) -> None:
        if self._stream is None or self.is_broken:
            return
        try:
            getattr(self._stream, method)(*arguments)
        except (OSError, ValueError):  # ValueError: it was closed
            self.is_broken = True
            _forget(self._stream)


@contextmanager
def unbroken() -> Iterator[None]:
    """Standard output and standard error as streams that never fail, while this is open; flushed at its end."""
    _fill_gaps()
    before = sys.stdout, sys.stderr
    out, err = Unbroken(before[0]), Unbroken(before[1])
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    try:
        yield
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def is_heard() -> bool:
    """Whether standard output still takes anything."""
    return not getattr(sys.stdout, "is_broken", False)


def takes_unicode(stream: TextIO) -> bool:
    """Whether every character can be written to ``stream``."""
    return (stream.encoding or "utf-8").lower().replace("-", "").replace("_", "") == "utf8"


def _fill_gaps() -> None:
    """Descriptors that are closed are taken by /dev/null: else the next file that is opened is standard output."""
    for descriptor in DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)


def _forget(stream: TextIO) -> None:
    """What is still in the stream's buffer is let go, so that the interpreter's own flush at the end does not fail."""
    with suppress(OSError, ValueError):
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
