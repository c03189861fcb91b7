"""Run dead letters through the very chain that they failed in."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.run import Report, run
from pipeline.deadletters import DeadLetterOffice, Filed
from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.replay import AgainFolder, LetterSource, RetriedLetters
from pipeline.errors import Fatal
from pipeline.flows import inbound, outbound
from pipeline.history.journal import Journal, counts, new_run
from pipeline.orders.workorder import ExternalId
from pipeline.service.session import Session, Sessions
from pipeline.service.settings import Settings
from pipeline.tracos.store import Tracos

__all__ = ["Retried", "retry_letters"]


class Retried(Struct, kw_only=True):
    """What became of a retry."""

    tried: int = 0
    passed: int = 0
    failed: int = 0
    released: int = 0
    """Letters without bytes, or about orders without a number: the next run tries them where they came from."""
    gone: int = 0
    """Orders that are not waiting to be sent any more."""


class _Slip(Struct, frozen=True):
    """What is remembered of a letter while it is retried: not its bytes."""

    last_seen: datetime
    filed_name: str
    order: ExternalId | None


async def retry_letters(settings: Settings, letters: Iterable[Filed]) -> Retried:
    """Retry ``letters``, those of one place in the order in which they were last seen; journaled like a run.

    Inbound letters run with the bytes that they hold; outbound ones with the orders as TracOS has them now. May be
    interrupted at any instant and done again. Raises what would stop a run.
    """
    told = Retried()
    by_flow: dict[tuple[str, str], list[_Slip]] = defaultdict(list)
    without: dict[str, list[Filed]] = defaultdict(list)
    for filed in letters:
        letter = filed.letter
        is_inbound = letter.flow.endswith(".inbound")
        if letter.raw if is_inbound else letter.id is not None:
            by_flow[letter.client, letter.flow].append(_Slip(letter.last_seen, filed.path.name, letter.id))
        else:
            without[letter.flow].append(filed)
    for group in without.values():
        DeadLetterOffice(settings.data_dead_letter_dir).release(group)
        told.released += len(group)
    if not by_flow:
        return told
    journal, record, reports = Journal(settings.data_journal), new_run("retry"), list[Report]()
    sessions = Sessions(settings, run=record.run)
    work = [(sessions.get(client), flow, slips) for (client, flow), slips in by_flow.items()]
    journal.write(record)
    code, error = 0, None
    try:
        with sessions.mongo() as uri:
            for session, flow, slips in work:
                async with session.tracos(uri) as tracos:
                    report = Report(flow=flow)
                    reports.append(report)
                    slips.sort(key=lambda slip: slip.last_seen)
                    if flow.endswith(".inbound"):
                        await _inbound(session, tracos, slips, report)
                    else:
                        await _outbound(session, tracos, slips, report)
                        told.gone += len({slip.order for slip in slips}) - report.received
    except Fatal as fatal:
        code, error = fatal.exit_code, str(fatal)
        raise
    finally:
        told.tried = sum(report.received for report in reports)
        told.failed = sum(report.dead.total() for report in reports)
        told.passed = sum(report.outcomes.total() for report in reports)
        journal.write(
            replace(
                record,
                ended=datetime.now(UTC).replace(microsecond=0),
                ending="stopped" if error else "finished",
                exit=code,
                error=error,
                flows=counts(reports),
                rules=dict(sessions.decisions.rules),
            )
        )
    return told


async def _inbound(session: Session, tracos: Tracos, slips: list[_Slip], report: Report) -> None:
    drawer = Drawer(session.settings.data_dead_letter_dir / report.flow)
    source = LetterSource(drawer, [slip.filed_name for slip in slips])
    dead = RetriedLetters(drawer, session.identify("inbound"))
    await run(inbound(session.client, tracos, dead, source=source), report=report)


async def _outbound(session: Session, tracos: Tracos, slips: list[_Slip], report: Report) -> None:
    numbers = list({slip.order for slip in slips if slip.order is not None})
    source = tracos.source(session.client.name, session.client.default_layout, numbers)
    await run(outbound(session.client, tracos, AgainFolder(session.dead("outbound")), source=source), report=report)
