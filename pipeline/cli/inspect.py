"""``inspect``: the local page."""

import asyncio
import signal
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from pipeline.cli.output import print_lines
from pipeline.cli.start import begin, child, person
from pipeline.cli.started import install
from pipeline.deadletters import Filters
from pipeline.errors import Fatal, WrongUsage
from pipeline.service.replay import Retried

__all__ = ["again", "inspect"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def inspect(
    *, port: int = 0, browser: Annotated[bool, Parameter(name="--open", negative=(), show_default=False)] = False
) -> int:
    """Serve a page on this machine alone, until Ctrl-C: look into dead letters, mend, retry, discard; see the runs.

    Args:
        port: Of 127.0.0.1; 0 takes a free one.
        browser: Open it in the browser.
    """

    def announce(address: str) -> None:
        print_lines([f"dead letters at {address}", "only from this machine, only with this address; Ctrl-C ends it"])
        sys.stdout.flush()  # into a pipe too, now
        if browser:
            Thread(target=webbrowser.open, args=[address], daemon=True).start()  # one in a terminal blocks

    with _noted() as signals:
        settings = begin()
        try:
            from pipeline.web.serve import serve  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise WrongUsage(f"the page needs {error.name}: install the extra: {install('web')}") from error
        serve(settings, again, port, announce, lambda: bool(signals), person())
    return 0


@contextmanager
def _noted() -> Iterator[list[int]]:
    """What would end the program is noted from here on, and interrupts nothing: half-made servers leave things open.

    Where all went well it is ignored afterwards: the command was the program's last, and nothing is left to interrupt.
    """
    noted: list[int] = []
    before = {number: signal.signal(number, lambda number, _: noted.append(number)) for number in SIGNALS}
    try:
        yield noted
    except BaseException:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


async def again(which: str | Filters) -> Retried:
    """``dead-letters retry`` in a process of its own: it may start a MongoDB, which nothing inside a loop should.

    A MongoDB ends with the thread that started it, so it is the main thread of a process that starts it. Such a retry
    is journaled and goes on to its end, whatever becomes of the page.
    """
    chosen = [which] if isinstance(which, str) else ["--all", "--yes", *_options(which)]
    command, environment = child("dead-letters", "retry", "--json", *chosen)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except (OSError, ValueError) as error:
        raise WrongUsage(f"no retry can be started with these filters ({type(error).__name__})") from error
    out, err = await process.communicate()
    told = _decoded(out)
    if told is None or told.get("error"):
        errors = [line["message"] for line in map(_decoded, err.splitlines()) if line and line.get("level") == "ERROR"]
        kind = WrongUsage if process.returncode == WrongUsage.exit_code else Fatal
        raise kind("; ".join(errors) or (told or {}).get("error") or "the retry was ended from outside")
    return msgspec.convert(told, Retried)


def _options(filters: Filters) -> Iterator[str]:
    """The options that say the same as ``filters``, as far as the page's form has them."""
    for name in ("flow", "client", "stage", "reason"):
        if value := getattr(filters, name):
            yield f"--{name}={value}"


def _decoded(text: bytes) -> dict[str, Any] | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(text, type=dict[str, Any])
    return None
