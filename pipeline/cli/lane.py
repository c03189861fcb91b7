"""``lane``: what a run starts for itself, a process that works groups of records for it; nobody calls it by hand."""

import asyncio
import signal
import socket
from typing import Final

import stamina.instrumentation

from pipeline.cli.start import collect_rarely
from pipeline.service.lanes.lane import work

__all__ = ["lane"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
"""Meant for the run, which ends its lanes."""


def lane(end: int) -> None:
    """Be a lane of the run that has the other end of the socket ``end``."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    collect_rarely()
    stamina.instrumentation.set_on_retry_hooks(())
    with socket.socket(fileno=end) as ours:
        asyncio.run(work(ours))
