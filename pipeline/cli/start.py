"""What every command begins with: the settings, and the log set up as they say. Alone reads the environment."""

import gc
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import stamina.instrumentation
from loguru import logger

from pipeline.cli import logs
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings, load

__all__ = ["begin", "child", "collect_rarely", "editor", "tell_problems"]


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
    logs.configure(settings.log_level, settings.log_format)
    for note in settings.secrets.notes:
        logger.warning("{}", note)
    if quiet and settings.log_level in {"INFO", "WARNING"}:
        logs.configure("ERROR", settings.log_format)
    return settings


def collect_rarely() -> None:
    """Have Python look for garbage seldom, and never through what is loaded by now: that stays."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


def tell_problems(sessions: Sessions) -> None:
    """Log why some clients cannot be served, while the others are."""
    for problem in itertools.chain.from_iterable(sessions.problems.values()):
        logger.error("wrong settings: {}; this client is left out", problem)


def child(*arguments: str) -> tuple[Sequence[str], Mapping[str, str]]:
    """The command and the environment of this very program in a process of its own, its log in JSON.

    It finds the modules that this process finds: also those that lie beside the program, or in the current folder.
    """
    places = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
    environment = {**os.environ, "PYTHONPATH": places, "LOG_FORMAT": "json"}
    return (sys.executable, "-P", "-m", "pipeline", *arguments), environment


def editor() -> str:
    """The command that a person edits text with."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
