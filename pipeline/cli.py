"""The program: settings, log, MongoDB, the two flows, the summary and the exit code."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from loguru import logger

from pipeline import logs
from pipeline.errors import Fatal, WrongSettings
from pipeline.settings import Settings, load

__all__ = ["main"]

INTERRUPTED: Final = 130
PATIENCE_SECONDS: Final = 5
"""How long the batch in hand may take after a Ctrl-C."""

EPILOG: Final = """\
settings come from the environment and from .env; .env.example lists them.
exit codes: 0 finished (dead letters are reported), 1 stopped, 2 wrong settings or usage, 5 a budget was exceeded,
130 interrupted."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code, raises nothing."""
    parser = argparse.ArgumentParser(
        prog="workorder-sync",
        description="Sync work orders between TracOS (MongoDB) and a client's ERP, both ways.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.parse_args(argv)
    logs.configure("INFO", "text")
    try:
        settings = load(os.environ, Path(".env"))
        logs.configure(settings.log_level, settings.log_format)
        return _Run(settings).to_the_end()
    except WrongSettings as error:
        for problem in error.problems:
            logger.error("wrong settings: {}", problem)
        return error.exit_code
    except Fatal as error:
        logger.opt(exception=error).trace("stopped")
        logger.error("{}", error)
        return error.exit_code
    except KeyboardInterrupt:
        logger.warning("interrupted")
        return INTERRUPTED
    except Exception as error:
        logger.opt(exception=error).trace("stopped")
        logger.error("stopped by an unexpected {}; set LOG_LEVEL=TRACE for the details", type(error).__name__)
        return 1


class _Run:
    """One full run."""

    def __init__(self, settings: Settings) -> None:
        # Imported here so that --help and wrong settings need not wait for the drivers.
        from pipeline.clients.connector import ClientSettings
        from pipeline.registry import find_client

        (name,) = settings.clients
        self._settings = settings
        self._client = find_client(name)(
            ClientSettings(
                name=name,
                inbound_dir=settings.data_inbound_dir,
                outbound_dir=settings.data_outbound_dir,
                timezone=settings.client_timezone,
                layout=settings.client_layout,
                after=settings.inbound_after,
            )
        )
        self._reports: list[Report] = []
"""
