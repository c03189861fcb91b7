"""What every command begins with: the settings, and the log set up as they say. Alone reads the environment."""

import itertools
import os
from pathlib import Path

import stamina.instrumentation
from loguru import logger

from pipeline.cli import logs
from pipeline.session import Sessions
from pipeline.settings import Settings, load

__all__ = ["begin", "editor", "tell_problems"]


def begin(*, quiet: bool = False) -> Settings:
    """The settings, and the log as they want it; raises WrongSettings, with all that is wrong.

    ``quiet``: errors alone are logged, unless the settings want details.
    """
    logs.configure("INFO", "text")
    stamina.instrumentation.set_on_retry_hooks(())  # retries are told in our own words
    settings = load(os.environ, Path(".env"))
    level = "ERROR" if quiet and settings.log_level in {"INFO", "WARNING"} else settings.log_level
    logs.configure(level, settings.log_format)
    return settings


def tell_problems(sessions: Sessions) -> None:
    """Log why some clients cannot be served, while the others are."""
    for problem in itertools.chain.from_iterable(sessions.problems.values()):
        logger.error("wrong settings: {}; this client is left out", problem)


def editor() -> str:
    """The command that a person edits text with."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
