"""The program: settings, log, MongoDB, the two flows, the summary and the exit code."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, cast

import stamina.instrumentation
from loguru import logger

from pipeline import logs
from pipeline.clients.connector import ClientSettings, Connector
from pipeline.dataflow.run import Report, run
from pipeline.deadletters import DeadLetterFolder
from pipeline.decisions import DecisionLog
from pipeline.errors import Fatal, WrongSettings
from pipeline.flows import inbound, outbound
from pipeline.registry import find_client
from pipeline.settings import Settings, load
from pipeline.summary import summary
from pipeline.tracos.embedded import embedded_mongod
from pipeline.tracos.store import Tracos

__all__ = ["main"]

INTERRUPTED: Final = 130
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
PATIENCE_SECONDS: Final = 5
"""How long what is on its way may take after a Ctrl-C."""

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
    stamina.instrumentation.set_on_retry_hooks(())  # retries are told in our own words
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
    """One full run: both flows of the client, and the summary of what became of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reports: list[Report] = []
        self._stop = asyncio.Event()
        self._interrupted = False

    def to_the_end(self) -> int:
        """Run; prints the summary however the run ends, and returns the exit code of a run that was not stopped."""
        settings = self._settings
        client = find_client(settings.clients[0])(
            ClientSettings(
                name=settings.clients[0],
                inbound_dir=settings.data_inbound_dir,
                outbound_dir=settings.data_outbound_dir,
                timezone=settings.client_timezone,
                layout=settings.client_layout,
                after=settings.inbound_after,
            )
        )
        began, ending = time.monotonic(), "stopped"
        try:
            with self._mongo() as uri:
                asyncio.run(self._flows(client, uri))
            ending = "interrupted" if self._interrupted else "finished"
        finally:
            if self._reports:
                seconds = time.monotonic() - began
                folder = settings.data_dead_letter_dir
                sys.stdout.write(
                    summary(self._reports, client=client.name, dead_letters=folder, seconds=seconds, ending=ending)
                )
        return INTERRUPTED if self._interrupted else 0

    def _mongo(self) -> AbstractContextManager[str]:
        """The URI of MongoDB: the one that is set, else an embedded server's, while it runs."""
        settings = self._settings
        if settings.mongo_uri:
            return nullcontext(settings.mongo_uri)
        return embedded_mongod(settings.data_mongo_dir, binary=settings.mongod_bin)

    async def _flows(self, client: Connector, uri: str) -> None:
        settings = self._settings
        tracos = Tracos(
            uri=uri,
            database=settings.database,
            collection=settings.mongo_collection,
            decisions=DecisionLog(settings.data_decision_log),
            retry_seconds=settings.mongo_retry_seconds,
            max_deletes=settings.sync_max_deletes,
        )
        with self._signals(), suppress(asyncio.CancelledError):
            async with tracos:
                for flow, identify in ((inbound, client.identify), (outbound, tracos.identify)):
                    name = f"{client.name}.{flow.__name__}"
                    dead = DeadLetterFolder(
                        settings.data_dead_letter_dir, flow=name, client=client.name, identify=identify
                    )
                    report = Report(flow=name)
                    self._reports.append(report)
                    await run(flow(client, tracos, dead, self._stop), report=report)
                    if self._interrupted:
                        break

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """A first Ctrl-C or SIGTERM lets what is on its way finish; a second one, or 5 seconds, stops at once."""
        loop = asyncio.get_running_loop()
        task = cast("asyncio.Task[None]", asyncio.current_task())

        def interrupt() -> None:
            if self._interrupted:
                task.cancel()
                return
            self._interrupted = True
            self._stop.set()
            logger.warning("stopping when what is on its way is done; once more to stop at once")
            loop.call_later(PATIENCE_SECONDS, task.cancel)

        for number in SIGNALS:
            loop.add_signal_handler(number, interrupt)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)


def _version() -> str:
    try:
        return version("workorder-sync")
    except PackageNotFoundError:
        return "not installed"
