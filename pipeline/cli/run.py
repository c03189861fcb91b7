"""``run``: both flows, a display of how far they are, the summary, the journal and the exit code."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, cast

from cyclopts import Parameter
from loguru import logger
from msgspec.structs import replace

from pipeline.cli.app import INTERRUPTED
from pipeline.cli.output import Json, print_json
from pipeline.cli.progress import Display
from pipeline.cli.start import begin
from pipeline.cli.summary import summary
from pipeline.dataflow.budget import Budget
from pipeline.dataflow.messages import Outcome
from pipeline.dataflow.run import Report
from pipeline.dataflow.run import run as run_chain
from pipeline.dataflow.stage import Chain
from pipeline.errors import Fatal
from pipeline.flows import inbound, outbound
from pipeline.journal import Journal, counts, new_run
from pipeline.session import Session

__all__ = ["run"]

DEAD_LETTERS: Final = 3
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
PATIENCE_SECONDS: Final = 5
"""How long what is on its way may take after a Ctrl-C."""

FLOWS: Final[Mapping[str, Callable[..., Chain[Outcome]]]] = {"inbound": inbound, "outbound": outbound}


def run(
    *,
    only: Literal["inbound", "outbound"] | None = None,
    client: str | None = None,
    strict: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Json = False,
) -> int:
    """Sync both ways: what the client shows into TracOS, what TracOS has to tell to the client.

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
        self._session = Session(self._settings, run=self._run.run, client=client)
        self._flows = {only: FLOWS[only]} if only else FLOWS
        self._is_strict = is_strict
        self._as_json = as_json
        self._reports: list[Report] = []
        self._budget = Budget(self._settings.max_dead_letters)
        self._stop = asyncio.Event()
        self._interrupted = False

    def to_the_end(self) -> int:
        """Run; prints the summary and writes the journal however the run ends, and returns the exit code."""
        journal = Journal(self._settings.data_journal)
        journal.write(self._run)
        began = time.monotonic()
        ending, code, error = "stopped", 1, None
        try:
            with self._session.mongo() as uri:
                asyncio.run(self._all(uri))
            ending, code = "finished", DEAD_LETTERS if self._is_strict and self._any_dead() else 0
            if self._interrupted:
                ending, code = "interrupted", INTERRUPTED
        except Fatal as fatal:
            code, error = fatal.exit_code, str(fatal)
            raise
        except KeyboardInterrupt:
            ending, code = "interrupted", INTERRUPTED
            raise
        finally:
            self._run = replace(
                self._run,
                ended=datetime.now(UTC).replace(microsecond=0),
                ending=ending,
                exit=code,
                error=error,
                flows=counts(self._session.client.name, self._reports),
                rules=dict(getattr(self._session.decisions, "rules", {})),
            )
            self._tell(ending, time.monotonic() - began)
            journal.write(self._run)
        return code

    async def _all(self, uri: str) -> None:
        session = self._session
        with self._signals(), suppress(asyncio.CancelledError):
            async with session.tracos(uri) as tracos:
                for name, flow in self._flows.items():
                    chain = flow(session.client, tracos, session.dead(name), budget=self._budget, stop=self._stop)
                    report = Report(flow=f"{session.client.name}.{name}")
                    self._reports.append(report)
                    with Display(chain, report):
                        await run_chain(chain, report=report)
                    if self._interrupted:
                        break

    def _tell(self, ending: str, seconds: float) -> None:
        if self._as_json:
            print_json(self._run)
        elif self._reports:
            folder = self._settings.data_dead_letter_dir
            text = summary(
                self._reports, client=self._session.client.name, dead_letters=folder, seconds=seconds, ending=ending
            )
            sys.stdout.write(text)

    def _any_dead(self) -> bool:
        return any(report.dead or report.held for report in self._reports)

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
