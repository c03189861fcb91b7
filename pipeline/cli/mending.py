"""``dead-letters`` that act: edit, retry, discard."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from loguru import logger
from msgspec import to_builtins

from pipeline.cli.asking import is_somebody_there, is_yes
from pipeline.cli.conduct import conduct, shown
from pipeline.cli.faults import print_faults
from pipeline.cli.letters import NONE, Which
from pipeline.cli.output import Json, print_json, print_lines
from pipeline.cli.start import Wait, begin, editor, person
from pipeline.cli.steps import print_steps
from pipeline.deadletters import DeadLetterOffice
from pipeline.deadletters.office import see_mendable
from pipeline.deadletters.pointer import readable
from pipeline.disk import Scratch
from pipeline.errors import Fatal, See, WrongUsage
from pipeline.history.journal import Journal, new_run
from pipeline.service.effects import Live
from pipeline.service.mending import check_of
from pipeline.service.replay import Retried, Retry
from pipeline.service.session import Sessions

__all__ = ["discard", "edit", "retry"]

STILL_DEAD: Final = 3
MANY: Final = 100
"""Letters; more are retried all at once only by somebody who knows that."""


def edit(letter_id: Annotated[str, Parameter(name="ID")], /) -> int:
    """Mend a letter's payload in $VISUAL or $EDITOR; the original bytes are kept beside it.

    Args:
        letter_id: Its id, or the beginning of it.
    """
    settings = begin()
    office = DeadLetterOffice(settings.data_dead_letter_dir, person())
    filed = office.get(letter_id)
    see_mendable(filed)
    check = check_of(settings, filed)
    before = readable(filed.letter.payload)
    with _edited(before) as after:
        if after in (before, f"{before}\n"):  # which many an editor adds
            print_lines(["nothing was changed"])
            return 0
        filed = office.mend(filed, after, check)
    if filed.letter.reasons:
        print_lines([f"mended, but still wrong: it would fail at {filed.letter.stage}"])
        print_faults(filed.letter)
        print_steps([("edit it again", f"dead-letters edit {filed.id}")])
        return STILL_DEAD
    print_lines(["mended: it would pass now"])
    print_steps([("run it again", f"dead-letters retry {filed.id}")])
    return 0


def retry(
    *ids: Annotated[str, Parameter(name="ID")],
    everything: Annotated[bool, Parameter(name="--all", negative=(), show_default=False)] = False,
    which: Which = NONE,
    yes: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    wait: Wait = 0,
    json: Json = False,
) -> int:
    """Run letters through the chain that they failed in, mended or as they were; exits with 3 when some fail again.

    What passes is delivered and its letter closed; what fails again keeps its letter, with one attempt more.

    Args:
        ids: Their ids, or the beginnings of them.
        everything: All open letters, or all that the filters leave.
        which: With --all: only these.
        yes: With --all: however many they are, without asking.
        wait: Seconds to wait for orders that another run is working on, instead of leaving with 6.
        json: Print JSON.
    """
    if everything == bool(ids) or (ids and which != NONE):
        raise WrongUsage("retry either the letters of some ids, or --all (with filters, if you like)")
    settings = begin()
    office = DeadLetterOffice(settings.data_dead_letter_dir)
    if everything and not yes and not _are_meant(sum(1 for _ in office.find(which.filters))):
        print_lines(["nothing was retried"])
        return 0
    found = office.find(which.filters) if everything else map(office.get, dict.fromkeys(ids))
    work, record = Retry(settings.data_dead_letter_dir, found), new_run("retry")
    if not work.clients:
        _show_retried(Retried(), None, as_json=json)
        return 0
    sessions = Sessions(settings, run=record.run, by=person(), effects=Live(wait=wait))
    ended = conduct(sessions, work, record, Journal(settings.data_journal))
    told = work.told(report for reports in ended.reports.values() for report in reports)
    with shown():
        _show_retried(told, ended.record.error, as_json=json)
    return ended.exit


def discard(letter_id: Annotated[str, Parameter(name="ID")], /, *, because: str) -> int:
    """Give a letter up: it moves, with the reason, into an archive beside it, and is not tried again as it is.

    Args:
        letter_id: Its id, or the beginning of it.
        because: Why.
    """
    office = DeadLetterOffice(begin().data_dead_letter_dir, person())
    filed = office.get(letter_id)
    office.discard(filed, because)
    print_lines([f"discarded {filed.id}; it is kept in {filed.path.parent / 'discarded.jsonl'}"])
    return 0


def _are_meant(count: int) -> bool:
    """Whether so many letters are to be retried, which the person is asked where they are many."""
    if count <= MANY:
        return True
    if not is_somebody_there():
        told = f"these are {count:,} dead letters, and nobody is there to be asked"
        raise WrongUsage(f"{told}: `dead-letters retry --all --yes` asks nobody")
    return is_yes(f"retry {count:,} dead letters?")


@contextmanager
def _edited(text: str) -> Iterator[str]:
    """What a person makes of ``text``; where that then cannot be kept, it is said where it is instead."""
    with Scratch() as scratch:
        path = scratch.path / "payload.json"
        after = _from_editor(text, path, scratch.lock)
        try:
            yield after
        except Fatal as error:
            raise type(error)(f"{error}; {_moved(path, after)}", see=error.see) from error


def _moved(path: Path, after: str) -> str:
    """Where the file that a person wrote is found; else it is printed."""
    kept = path.parent.with_suffix(".json")
    try:
        path.chmod(0o600)  # it leaves a folder that nobody else can look into
        path.rename(kept)
    except OSError as error:
        print_lines(after.splitlines())
        return f"what you wrote cannot be kept either ({error.strerror}): it is printed here"
    return f"what you wrote is in {kept}"


def _from_editor(text: str, path: Path, lock: int) -> str:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise Fatal(f"{path} cannot be written: {error.strerror}; make room, or set TMPDIR", see=See.FILES) from error
    try:  # should we be killed, the editor still has its file
        subprocess.run([*shlex.split(editor()), str(path)], check=True, pass_fds=[lock])  # noqa: S603 - the person's own editor
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise WrongUsage("what the editor wrote is no UTF-8: nothing was changed") from error
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise WrongUsage(f"the editor {editor()} failed ({error}): nothing was changed; set EDITOR") from error


def _show_retried(told: Retried, error: str | None, *, as_json: bool) -> None:
    if as_json:
        said = {key: value for key, value in to_builtins(told).items() if value or key != "closed"}
        print_json(said if error is None else {**said, "error": error})
        return
    print_lines([f"{told.tried:,} retried: {told.passed:,} passed and closed, {told.failed:,} failed again"])
    if told.released:
        print_lines(
            [f"{told.released:,} hold no bytes, or no order's number: the next run tries them where they came from"]
        )
    if told.gone:
        print_lines(
            [f"{told.gone:,} orders are not waiting in TracOS any more: discard their letters if that is right"]
        )
    if told.closed:
        print_lines([f"{told.closed:,} were closed by somebody else meanwhile"])
    if told.failed:
        logger.info("`dead-letters show ID` says why")
