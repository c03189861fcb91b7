"""Do a work to its end, signals heard; and show afterwards what became of it, which decides nothing any more."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from loguru import logger

from pipeline.cli.logs import tell_the_rest
from pipeline.history.journal import Journal, Run
from pipeline.service.passes import Passes
from pipeline.service.run import Ended, Runner, Work
from pipeline.service.session import Sessions

__all__ = ["conduct", "shown"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def conduct(
    sessions: Sessions, work: Work, record: Run, journal: Journal | None = None, passes: Passes | None = None
) -> Ended:
    """Do ``work`` with the clients of ``sessions``; a Ctrl-C or SIGTERM stops it, a second one at once."""
    runner = Runner(sessions, work, record, journal, passes)
    before = {number: signal.signal(number, lambda *_: runner.interrupt()) for number in SIGNALS}
    try:
        ended = runner.to_the_end()
        tell_the_rest()
        return ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shown() -> Iterator[None]:
    """What is shown inside of this decides nothing: an error is told in the log, and goes no further."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        logger.opt(exception=error).trace("not shown")
        logger.error("what became of it could not be shown ({}); the journal has it", type(error).__name__)
