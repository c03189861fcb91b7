"""What every command begins with: the settings, and the log set up as they say. Alone reads the environment."""

import gc
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import stamina.instrumentation
from loguru import logger

from pipeline.cli import logs
from pipeline.cli.app import tell
from pipeline.errors import Fatal, TracosOutage
from pipeline.service.session import Session, Sessions
from pipeline.service.settings import Settings, load

__all__ = ["begin", "collect_rarely", "editor", "goes_on", "tell_problems"]


COLLECT_AFTER: Final = 20_000
"""How many new objects until Python looks for garbage. Its own 700 are reached many times a batch, and find nothing."""


def begin(*, quiet: bool = False) -> Settings:
    """The settings, and the log as they want it; raises WrongSettings, with all that is wrong.

    ``quiet``: errors alone are logged, unless the settings want details.
    """
    collect_rarely()
    logs.configure("INFO", "text")
    stamina.instrumentation.set_on_retry_hooks(())  # retries are told in our own words
    settings = load(os.environ, Path(".env"))
    level = "ERROR" if quiet and settings.log_level in {"INFO", "WARNING"} else settings.log_level
    logs.configure(level, settings.log_format)
    return settings


def collect_rarely() -> None:
    """Have Python look for garbage seldom, and never through what is loaded by now: that stays."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


def tell_problems(sessions: Sessions) -> None:
    """Log why some clients cannot be served, while the others are."""
    for problem in itertools.chain.from_iterable(sessions.problems.values()):
        logger.error("wrong settings: {}; this client is left out", problem)


@contextmanager
def goes_on(sessions: Sessions, session: Session, failed: dict[str, Fatal]) -> Iterator[None]:
    """What stops one client inside of this stops no other, but for MongoDB's own outage: it is told, and ``failed``.

    Of a single client it is raised.
    """
    try:
        yield
    except TracosOutage:
        raise
    except Exception as error:
        if len(sessions) == 1:
            raise
        failed[session.client.name] = tell(error, who=session.client.name)


def editor() -> str:
    """The command that a person edits text with."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
