"""``run``: all flows of all clients, a display of how far they are, the summary, the journal and the exit code."""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, cast

from cyclopts import Parameter
from loguru import logger
from msgspec.structs import replace

from pipeline.cli.app import INTERRUPTED
from pipeline.cli.output import Json, print_json
from pipeline.cli.progress import Display
from pipeline.cli.start import begin, goes_on, tell_problems
from pipeline.cli.summary import summary
from pipeline.dataflow.budget import Budget
from pipeline.dataflow.run import Report
from pipeline.dataflow.run import run as run_chain
from pipeline.errors import Fatal, WrongSettings
from pipeline.flows import FLOWS
from pipeline.history.journal import Journal, counts, new_run
from pipeline.service.session import Session, Sessions

__all__ = ["run"]

DEAD_LETTERS: Final = 3
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
PATIENCE_SECONDS: Final = 5
"""How long what is on its way may take after a Ctrl-C."""


def run(
    *,
    only: Literal["inbound", "outbound"] | None = None,
    client: str | None = None,
    strict: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Json = False,
) -> int:
    """Sync both ways: what the clients show into TracOS, what TracOS has to tell to the clients.

    Args:
        only: Run this flow alone.
        client: Run this client alone.
        strict: Exit with 3 when there are dead letters, new or still open.
        json: Print the summary as JSON: the run as the journal keeps it.
    """
    return _Run(only, client, is_strict=strict, as_json=json).to_the_end()


class _Run:
    """One run, from the first line of its journal to the last."""

    def __init__(self, only: str | None, client: str | None, *, is_strict: bool, as_json: bool) -> None:
        self._settings = begin()
        self._run = new_run("run")
        self._sessions = Sessions(self._settings, run=self._run.run, only=client)
        tell_problems(self._sessions)
        self._flows = {only: FLOWS[only]} if only else FLOWS
        self._is_strict = is_strict
        self._as_json = as_json
        self._reports: dict[str, list[Report]] = {}
        self._failed: dict[str, Fatal] = {}
        self._stop = asyncio.Event()
        self._interrupted = False

    def to_the_end(self) -> int:
        """Run; prints the summary and writes the journal however the run ends, and returns the exit code."""
        journal = Journal(self._settings.data_journal)
        journal.write(self._run)
        began = time.monotonic()
        stopped: BaseException | None = None
        try:
            with self._sessions.mongo() as uri:
                asyncio.run(self._all(uri))
        except BaseException as error:
            stopped = error
            raise
        finally:
            ending, code = self._ending(stopped)
            self._run = replace(
                self._run,
                ended=datetime.now(UTC).replace(microsecond=0),
                ending=ending,
                exit=code,
                error="; ".join(self._errors(stopped)) or None,
                flows=counts([report for reports in self._reports.values() for report in reports]),
                rules=dict(self._sessions.decisions.rules),
            )
            self._tell(ending, time.monotonic() - began)
            journal.write(self._run)
        return code

    async def _all(self, uri: str) -> None:
        """All clients, one after the other."""
        with self._signals(), suppress(asyncio.CancelledError):
            for session in self._sessions:
                with goes_on(self._sessions, session, self._failed):
                    await self._one(session, uri)
                if self._interrupted:
                    break

    async def _one(self, session: Session, uri: str) -> None:
        reports = self._reports.setdefault(session.client.name, [])
        budget = Budget(self._settings.max_dead_letters)
        async with session.tracos(uri) as tracos:
            for name, flow in self._flows.items():
                chain = flow(session.client, tracos, session.dead(name), budget=budget, stop=self._stop)
                reports.append(Report(flow=f"{session.client.name}.{name}"))
                with Display(chain, reports[-1]):
                    await run_chain(chain, report=reports[-1])
                if self._interrupted:
                    break

    def _ending(self, stopped: BaseException | None) -> tuple[str, int]:
        """How the run ended, and its exit code; of several failures the code that they share, else 1."""
        if self._interrupted or isinstance(stopped, KeyboardInterrupt):
            return "interrupted", INTERRUPTED
        if stopped is not None:
            return "stopped", stopped.exit_code if isinstance(stopped, Fatal) else 1
        codes = {error.exit_code for error in self._failed.values()}
        if self._sessions.problems:
            codes.add(WrongSettings.exit_code)
        if codes:
            return "incomplete", codes.pop() if len(codes) == 1 else 1
        return "finished", DEAD_LETTERS if self._is_strict and self._any_dead() else 0

    def _errors(self, stopped: BaseException | None) -> Iterator[str]:
        for lines in self._sessions.problems.values():
            yield from lines
        for name, error in self._failed.items():
            yield f"{name}: {error}"
        if isinstance(stopped, Fatal):
            yield str(stopped)

    def _tell(self, ending: str, seconds: float) -> None:
        if self._as_json:
            print_json(self._run)
        elif self._reports:
            folder = self._settings.data_dead_letter_dir
            failed = dict.fromkeys(self._failed, "stopped") | dict.fromkeys(self._sessions.problems, "left out")
            text = summary(self._reports, failed=failed, dead_letters=folder, seconds=seconds, ending=ending)
            sys.stdout.write(text)

    def _any_dead(self) -> bool:
        return any(report.dead or report.held for reports in self._reports.values() for report in reports)

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
