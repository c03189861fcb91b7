"""``inspect``: the local page."""

import signal
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Annotated, Final

from cyclopts import Parameter

from pipeline.cli.output import print_lines
from pipeline.cli.start import begin, person
from pipeline.errors import WrongUsage

__all__ = ["inspect"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def inspect(
    *, port: int = 0, browser: Annotated[bool, Parameter(name="--open", negative=(), show_default=False)] = False
) -> int:
    """Serve a page on this machine alone, until Ctrl-C: how all fares, dead letters, orders, conflicts, runs.

    Args:
        port: Of 127.0.0.1; 0 takes a free one.
        browser: Open it in the browser.
    """

    def announce(address: str) -> None:
        print_lines([f"the page is at {address}", "only from this machine, only with this address; Ctrl-C ends it"])
        sys.stdout.flush()  # into a pipe too, now
        if browser:
            Thread(target=webbrowser.open, args=[address], daemon=True).start()  # one in a terminal blocks

    with _noted() as signals:
        settings = begin()
        try:
            from pipeline.cli.doors import Children  # noqa: PLC0415 - an extra
            from pipeline.web.serve import serve  # noqa: PLC0415 - the same
        except ImportError as error:
            raise WrongUsage(f"the page needs {error.name}: install the extra `web`") from error
        serve(settings, Children(settings), port, announce, lambda: bool(signals), person())
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
