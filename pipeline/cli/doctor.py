"""``doctor``: a check-up of everything that a run needs; writes nothing."""

import asyncio
from collections.abc import Iterator
from typing import Final

from rich.text import Text

from pipeline.cli.output import Json, console, is_terminal, print_json, print_lines, print_table
from pipeline.cli.start import begin
from pipeline.errors import Fatal
from pipeline.finding import Finding, State, check_file, check_folder
from pipeline.session import Session
from pipeline.settings import Settings

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
    session = Session(settings, client=client, rehearse=True)
    findings = [*_disk(settings), *session.client.check(), *_mongo(session)]
    if json:
        print_json(findings)
    else:
        _print(findings)
    return 1 if any(finding.state == "problem" for finding in findings) else 0


def _disk(settings: Settings) -> Iterator[Finding]:
    yield Finding("settings", "ok", f"all of them can be understood; client {', '.join(settings.clients)}")
    yield check_folder("dead letters", settings.data_dead_letter_dir, "DATA_DEAD_LETTER_DIR", writes=True)
    yield check_file("decision log", settings.data_decision_log, "DATA_DECISION_LOG")
    yield check_file("journal", settings.data_journal, "DATA_JOURNAL")


def _mongo(session: Session) -> list[Finding]:
    try:
        with session.mongo() as uri:
            return asyncio.run(session.tracos(uri).examine())
    except Fatal as error:
        what, _, do = str(error).partition(": ")
        return [Finding("MongoDB", "problem", what, do)]


def _print(findings: list[Finding]) -> None:
    if not is_terminal():
        print_table([], [[one.state, one.name, one.says, one.do] for one in findings])
        return
    width = max(len(one.name) for one in findings)
    for one in findings:
        mark, style = MARKS[one.state]
        line = Text.assemble((f"{mark} ", style), (f"{one.name:<{width}}  ", "bold"), one.says)
        if one.do:
            line.append(f" → {one.do}", style=style)
        console().print(line)
    worst = sum(one.state == "problem" for one in findings)
    print_lines(["", f"{worst} problems" if worst else "nothing stands in the way of a run"])
