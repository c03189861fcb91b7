"""``run``: all flows of all clients, a display of how far they are, the summary and the exit code."""

import sys
from datetime import datetime
from typing import Annotated, Literal

from cyclopts import Parameter

from pipeline.cli.ages import instant
from pipeline.cli.conduct import conduct, shown
from pipeline.cli.output import Json, print_json, width_of_terminal
from pipeline.cli.progress import watched
from pipeline.cli.start import Wait, begin, lanes_of
from pipeline.cli.summary import summary_of
from pipeline.cli.watching import watching
from pipeline.errors import WrongUsage
from pipeline.flows import FLOWS
from pipeline.history.journal import Journal, new_run
from pipeline.service.effects import Live
from pipeline.service.session import Sessions
from pipeline.service.settings import LogLevel
from pipeline.service.sync import Sync

__all__ = ["run"]


def run(
    *,
    only: Literal["inbound", "outbound"] | None = None,
    client: str | None = None,
    since: Annotated[datetime | None, Parameter(converter=instant, n_tokens=1)] = None,
    strict: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    workers: str | None = None,
    engine: str | None = None,
    wait: Wait = 0,
    metrics_file: str | None = None,
    verbose: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    quiet: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Json = False,
) -> int:
    """Sync both ways: what the clients show into TracOS, what TracOS has to tell to the clients.

    Args:
        only: Run this flow alone.
        client: Run this client alone.
        since: Read again what changed since this time, such as 2026-10-31T12:00:00Z (without a zone: UTC), whatever is
            remembered; up to when an API counts as read stays as it is.
        strict: Exit with 3 when there are dead letters, new or still open.
        workers: How many processes take the clients' records, or auto; the setting WORKERS says it otherwise.
        engine: Who takes them, such as parts:///FOLDER or dask://HOST:8786; the setting ENGINE says it too.
        wait: Seconds to wait for orders that another run is working on, instead of leaving with 6.
        metrics_file: Write the metrics of this run to this file, for node exporter's textfile collector; the setting
            METRICS_FILE says it otherwise.
        verbose: Log all that is done; as LOG_LEVEL=DEBUG.
        quiet: Say nothing but warnings and errors: no progress, no summary.
        json: Print the summary as JSON: the run as the journal keeps it.
    """
    if verbose and quiet:
        raise WrongUsage("a run is verbose or quiet, not both")
    level: LogLevel | None = "DEBUG" if verbose else "WARNING" if quiet else None
    settings = begin(said={"WORKERS": workers, "ENGINE": engine, "METRICS_FILE": metrics_file}, level=level)
    record = new_run("run")
    sessions = Sessions(settings, run=record.run, only=client, since=since, effects=Live(wait=wait))
    flows = [only] if only else list(FLOWS)
    work = Sync(
        settings,
        {name: FLOWS[name] for name in flows},
        is_strict=strict,
        lanes=lanes_of(settings),
        watch=watched(settings.log_format, quiet=quiet),
    )
    with watching(settings) as passes:
        ended = conduct(sessions, work, record, Journal(settings.data_journal), passes)
    with shown():
        if json:
            print_json(ended.record)
        elif ended.reports and not quiet:
            width = width_of_terminal()
            sys.stdout.write("\n" if width else "")  # a person sees the log just above it
            sys.stdout.write(summary_of(ended, settings, width))
    return ended.exit
