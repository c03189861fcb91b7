"""``work``: takes groups of records for runs on other machines, at a folder that they share."""

import signal
from pathlib import Path
from typing import Annotated, Final

import stamina.instrumentation
from cyclopts import Parameter
from loguru import logger

from pipeline.cli.start import collect_rarely, prepare
from pipeline.service.lanes.worker import Worker

__all__ = ["work"]

ENDING: Final = (signal.SIGINT, signal.SIGTERM)


def work(folder: Path, /, *, idle: Annotated[float | None, Parameter(show_default=False)] = None) -> int:
    """Take the records of runs that are given `--engine parts://FOLDER`, as a process of theirs on this machine.

    As many as you like may work at one folder, started by whatever you have: a Job, an array of jobs, a service. They
    need what the run needs: this version, and MongoDB under the same address. SIGTERM ends one when it has done what
    it has in hand.

    Args:
        folder: The folder, which all machines see at the same path; it is made where it is not there.
        idle: End when there has been no run for so many seconds.
    """
    prepare()
    collect_rarely()
    stamina.instrumentation.set_on_retry_hooks(())  # retries are told in our own words
    worker = Worker(folder.absolute(), idle)
    before = {number: signal.signal(number, lambda *_: worker.stop()) for number in ENDING}
    try:
        logger.info("works at {}", folder)
        count = worker.work()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    logger.info("worked at {}: {:,} group{}", folder, count, "" if count == 1 else "s")
    return 0
