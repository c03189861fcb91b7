"""``doctor``: a check-up of everything that a run needs; writes nothing."""

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import Final

from msgspec.structs import replace
from rich.text import Text

from pipeline.cli.output import Json, clean, console, hanging, is_terminal, many, print_json, print_lines
from pipeline.cli.start import begin
from pipeline.cli.started import in_full
from pipeline.cli.tables import print_rows
from pipeline.errors import Fatal
from pipeline.finding import Finding, State, check_file, check_folder
from pipeline.service.effects import Dry
from pipeline.service.session import Session, Sessions
from pipeline.service.settings import Settings

__all__ = ["doctor"]

MARKS: Final[dict[State, tuple[str, str]]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "problem": ("✗", "bold red"),
}


def doctor(*, client: str | None = None, json: Json = False) -> int:
    """Check settings, folders and permissions, free disk, MongoDB and the client; exits with 1 when it finds problems.

    Args:
        client: For this client alone.
        json: Print JSON.
    """
    settings = begin(quiet=True)
    sessions = Sessions(settings, only=client, effects=Dry())
    findings = [*_disk(settings), *_clients(sessions), *_mongo(sessions)]
    if json:
        print_json(findings)
    else:
        _print(findings)
    return 1 if any(finding.state == "problem" for finding in findings) else 0


def _disk(settings: Settings) -> Iterator[Finding]:
    for note in settings.secrets.notes:
        yield Finding("settings", "warning", note, "unset it, or say it once")
    yield Finding("settings", "ok", "all of them can be understood")
    yield check_folder("dead letters", settings.data_dead_letter_dir, "DATA_DEAD_LETTER_DIR", writes=True)
    yield check_folder("state", settings.data_state_dir, "DATA_STATE_DIR", writes=True)
    yield check_file("decision log", settings.data_decision_log, "DATA_DECISION_LOG")
    yield check_file("journal", settings.data_journal, "DATA_JOURNAL")
    if not settings.mongo_uri:
        yield check_folder("embedded MongoDB", settings.data_mongo_dir, "DATA_MONGO_DIR", writes=True)


def _clients(sessions: Sessions) -> Iterator[Finding]:
    for problem in chain.from_iterable(sessions.problems.values()):
        yield Finding("clients", "problem", problem, "mend it: the others are served without this one")
    for session in sessions:
        yield Finding(_named(session, "TracOS", sessions), "ok", session.place)
        if session.customer.every:
            yield Finding(
                _named(session, "schedule", sessions), "ok", f"looked at by serve every {session.customer.every}"
            )
        for finding in (*session.client.check(), *(session.keys.findings() if session.keys else ())):
            yield replace(finding, name=_named(session, finding.name, sessions))


def _mongo(sessions: Sessions) -> list[Finding]:
    findings: dict[Finding, None] = {}
    try:
        with sessions.mongo() as uri:
            for session in sessions:
                findings |= dict.fromkeys(_examined(session, uri))
    except Fatal as error:
        return [_problem(error)]
    return list(findings)


def _examined(session: Session, uri: str) -> list[Finding]:
    try:
        return asyncio.run(session.tracos(uri).examine())
    except Fatal as error:
        return [_problem(error)]


def _problem(error: Fatal) -> Finding:
    what, _, do = str(error).partition(": ")
    return Finding("MongoDB", "problem", what, do)


def _named(session: Session, name: str, sessions: Sessions) -> str:
    return name if len(sessions) == 1 else f"{session.client.name}: {name}"


def _print(findings: list[Finding]) -> None:
    if not is_terminal():
        print_rows([one.state, one.name, one.says, one.do] for one in findings)
        return
    out, width = console(), max(len(one.name) for one in findings)
    for one in findings:
        mark, style = MARKS[one.state]
        lead = Text.assemble((f"{mark} ", style), (f"{one.name:<{width}}  ", "bold"))
        told = Text.assemble(clean(one.says), (f" → {in_full(clean(one.do))}" if one.do else "", style))
        for line in hanging(lead, told, out.width, lead.cell_len):
            out.print(line, soft_wrap=True)
    worst = sum(one.state == "problem" for one in findings)
    print_lines(["", many(worst, "problem") if worst else "nothing stands in the way of a run"])
