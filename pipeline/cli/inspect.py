"""``inspect``: the local page."""

import webbrowser
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli.output import print_lines
from pipeline.cli.start import begin
from pipeline.errors import WrongUsage

__all__ = ["inspect"]


def inspect(
    *, port: int = 0, browser: Annotated[bool, Parameter(name="--open", negative=(), show_default=False)] = False
) -> int:
    """Serve a page on this machine alone, until Ctrl-C: look into dead letters, mend, retry, discard; see the runs.

    Args:
        port: Of 127.0.0.1; 0 takes a free one.
        browser: Open it in the browser.
    """
    settings = begin()
    try:
        from pipeline.web.serve import serve  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise WrongUsage(
            f"the page needs {error.name}: install the extra, pip install -e '.[inspect]', then run this again"
        ) from error

    def announce(address: str) -> None:
        print_lines([f"dead letters at {address}", "only from this machine, only with this address; Ctrl-C ends it"])
        if browser:
            webbrowser.open(address)

    with suppress(KeyboardInterrupt):
        serve(settings, port, announce)
    return 0
