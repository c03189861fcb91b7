"""What every command begins with: the settings, and the log set up as they say. Alone reads the environment."""

import os
from pathlib import Path

import stamina.instrumentation

from pipeline.cli import logs
from pipeline.settings import Settings, load

__all__ = ["begin", "editor"]


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


def editor() -> str:
    """The command that a person edits text with."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
