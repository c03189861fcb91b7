"""What clients remember from run to run, as a person handles it: shown, and forgotten."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from pipeline.deadletters import DeadLetterOffice
from pipeline.disk import in_thread
from pipeline.errors import Fatal, See, WrongUsage
from pipeline.service import drift, told
from pipeline.service.customers import customers
from pipeline.service.session import Session
from pipeline.service.settings import Settings
from pipeline.transports.folder import known
from pipeline.transports.http import state

__all__ = ["Remembered", "forget", "remembered", "set_since"]

DESCRIBED: Final[Mapping[str, Callable[[Path], tuple[int, list[str]]]]] = {
    ".files": known.described,
    ".alerts": told.described,
    ".keys": drift.described,
    ".sqlite3": state.described,
}
"""By how its name ends: what tells the version of a file, and what is remembered in it."""


class Remembered(Struct, frozen=True):
    """One file of a client's."""

    client: str
    file: str
    version: int | None
    """Of its form. None: nobody knows it, or it cannot be read."""
    says: list[str]


def remembered(settings: Settings, client: str | None = None) -> Iterator[Remembered]:
    """What each client remembers, or the one, file by file; writes nothing.

    Raises WrongUsage for a client that the settings do not have, Fatal where the folder cannot be read.
    """
    for name in _names(settings, client):
        for path in _files(settings, name):
            describe = DESCRIBED.get(path.suffix)
            try:
                version, says = (None, ["nobody here knows this form"]) if describe is None else describe(path)
            except (OSError, ValueError, RecursionError, sqlite3.Error) as error:
                why = error.strerror if isinstance(error, OSError) else "it is damaged, or of a later version"
                version, says = None, [f"cannot be read ({why}): the next run begins it anew"]
            yield Remembered(name, path.name, version, says)


async def forget(session: Session) -> list[str]:
    """Remove all that a client remembers, so that its next run reads everything; returns the names of the files.

    To be called under the client's lease. May be killed at any instant, and done again. Raises Fatal while somebody
    has the client's letters, and where something cannot be removed.
    """
    with DeadLetterOffice(session.settings.data_dead_letter_dir).taken(session.client.name):
        return await in_thread(_removed, session.settings, session.client.name)


async def set_since(session: Session, time: datetime) -> bool:
    """Take what changed before ``time`` as read; True.

    To be called under the client's lease. Raises what ``Connector.set_since`` raises, and Fatal while somebody has the
    client's letters.
    """
    with DeadLetterOffice(session.settings.data_dead_letter_dir).taken(session.client.name):
        await in_thread(session.client.set_since, time)
    return True


def _removed(settings: Settings, name: str) -> list[str]:
    gone = list(reversed(_files(settings, name)))  # what SQLite keeps beside a file goes before it
    for path in gone:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise Fatal(
                f"{path} cannot be removed: {error.strerror}; set it right, then do it again", see=See.FILES
            ) from error
    return sorted(path.name for path in gone)


def _names(settings: Settings, client: str | None) -> list[str]:
    found = customers(settings)
    names = [*found.named, *found.problems]
    if client is None:
        return list(dict.fromkeys(names))
    if client not in names:
        raise WrongUsage(f"the settings have no client {client!r}; they have: {', '.join(names)}")
    return [client]


def _files(settings: Settings, name: str) -> list[Path]:
    """The files that ``name`` remembers in, in order."""
    folder = settings.data_state_dir
    try:
        return sorted(path for path in folder.iterdir() if path.name.startswith(f"{name}.") and not path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Fatal(
            f"{folder} (DATA_STATE_DIR) cannot be read: {error.strerror}; set it right, then do it again", see=See.FILES
        ) from error
