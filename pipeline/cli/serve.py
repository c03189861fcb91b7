"""``serve``: the service."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from loguru import logger

from pipeline.cli.logs import tell_the_rest
from pipeline.cli.output import print_lines
from pipeline.cli.start import begin, lanes_of, person, settings_now
from pipeline.cli.watching import alerts_of, traces_of
from pipeline.errors import WrongUsage
from pipeline.flows import FLOWS
from pipeline.service.run import Ended, Work
from pipeline.service.serve import Service
from pipeline.service.settings import Settings
from pipeline.service.sync import Sync

__all__ = ["serve"]

ENDING: Final = (signal.SIGINT, signal.SIGTERM)


def serve() -> int:
    """Sync all day: each client time and again (`every`, else SERVE_EVERY), and at once when files or edits appear.

    SIGTERM or Ctrl-C ends it when what is in hand is settled; SIGHUP has it read the settings again. Probes,
    metrics and the page are served at SERVE_HOST and SERVE_PORT.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # one that comes before there is a service ends nothing
    try:
        return _serve()
    finally:
        signal.signal(signal.SIGHUP, before)


def _serve() -> int:
    settings = begin()
    try:
        from pipeline.cli.doors import Children  # noqa: PLC0415 - an extra
        from pipeline.service.metrics import Metrics  # noqa: PLC0415 - the same
        from pipeline.web.serve import serve_beside  # noqa: PLC0415 - the same
    except ImportError as error:
        raise WrongUsage(f"the service needs {error.name}: install the extra `web`") from error
    lasting = [metrics := Metrics(), *traces_of(settings)]
    service = Service(
        settings, settings_now, _work, _told, lambda settings: [*lasting, *alerts_of(settings, at_once=True)]
    )
    doors = Children(settings, lambda: service.uri, lambda: service.states)
    with _heard(service):
        service.to_the_end(lambda: serve_beside(settings, doors, service.unready, metrics.text, _announce, person()))
    return 0


def _announce(address: str) -> None:
    print_lines([f"the page is at {address}"])
    sys.stdout.flush()  # into a pipe too, now


def _work(settings: Settings) -> Work:
    return Sync(settings, FLOWS, lanes=lanes_of(settings))


async def _told(client: str, ended: Ended) -> None:
    if not ended.is_idle and not ended.is_held:
        for report in (one for one in ended.reports[client] if one.received):
            done = ", ".join(f"{count:,} {outcome}" for outcome, count in report.outcomes.items())
            dead = f", {report.dead.total():,} dead" if report.dead else ""
            said = logger.bind(event="passed", run=ended.record.run, flow=report.flow.rpartition(".")[2])
            said.info("{}: {:,} read: {}{}", report.flow, report.received, done or "nothing done", dead)
    tell_the_rest(client)


@contextmanager
def _heard(service: Service) -> Iterator[None]:
    """Signals are the service's."""
    numbers = {**dict.fromkeys(ENDING, service.stop), signal.SIGHUP: service.reload}
    before = {number: signal.signal(number, lambda *_, do=do: do()) for number, do in numbers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
