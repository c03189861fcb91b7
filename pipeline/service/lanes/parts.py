"""A folder of parts: how a run and those who work for it meet on a disk that they share, whatever has started them.

``RUN.run`` is the folder of one run. In it lie ``alive``, which the run touches; ``N.part``, an errand that nobody has
yet; ``N.WHO.taken``, one that WHO has, who touches it; and ``N.answer``, what came of it. ``WHO.worker`` beside these
folders says that somebody works here. What was not touched for long belongs to nobody any more. An age is the
difference of two times of the file server's, so that no other clock counts.
"""

import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from pipeline.disk import write_files
from pipeline.errors import Fatal, See

__all__ = ["BEAT_SECONDS", "PATIENCE_SECONDS", "PartsOfRun", "Taken", "WorkerAtParts"]

BEAT_SECONDS: Final = 5
"""How often whoever is there says so."""
PATIENCE_SECONDS: Final = 60
"""How long somebody may be silent, and how long there may be nobody."""

RUN, PART, TAKEN, ANSWER, WORKER = ".run", ".part", ".taken", ".answer", ".worker"
ALIVE: Final = "alive"
OTHERS_MAY_WRITE: Final = 0o022


class PartsOfRun:
    """The run's end: a folder of its own in ``directory``, once it is open. Raises OSError when that is gone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._folder = directory / f"{secrets.token_hex(8)}{RUN}"
        self._alive = self._folder / ALIVE

    def open(self) -> None:
        """Make the folder; clear away what killed runs and workers have left. Raises Fatal where it cannot be used."""
        _made_private(self._directory)
        try:
            self._folder.mkdir(mode=0o700)
            for path in _silent(self._directory, self._now()):
                _remove(path)
        except OSError as error:
            raise Fatal(
                f"the folder of parts {self._directory} cannot be used: {error.strerror}", see=See.WORKERS
            ) from error

    def close(self) -> None:
        """Take back all that is left; what somebody has in hand ends by itself."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def put(self, number: int, errand: bytes) -> None:
        """Lay an errand down."""
        write_files(self._folder, {f"{number:08}{PART}": errand}, mode=0o600, durability="none")

    def withdraw(self, number: int) -> None:
        """Take an errand back, unless somebody has it."""
        with suppress(FileNotFoundError):
            (self._folder / f"{number:08}{PART}").unlink()

    def answers(self) -> dict[int, bytes]:
        """What has come since this was asked last, by the number of its errand."""
        found: dict[int, bytes] = {}
        for name in os.listdir(self._folder):  # noqa: PTH208 - twenty times a second
            if name.endswith(ANSWER):
                path = self._folder / name
                found[int(name.removesuffix(ANSWER))] = path.read_bytes()
                path.unlink()
        return found

    def lost(self) -> dict[int, str]:
        """The errands whose workers say nothing any more, by number: who had each."""
        now, found = self._now(), dict[int, str]()
        for path in self._folder.glob(f"*{TAKEN}"):
            with suppress(FileNotFoundError):  # it is answered by now
                if now - path.stat().st_mtime > PATIENCE_SECONDS:
                    path.unlink()
                    number, _, who = path.name.removesuffix(TAKEN).partition(".")
                    found[int(number)] = who
        return found

    def workers(self) -> int:
        """How many work here."""
        silent = set(_silent(self._directory, self._now()))
        return sum(path not in silent for path in self._directory.glob(f"*{WORKER}"))

    def _now(self) -> float:
        """The file server's time, at which the run says that it is there."""
        return _touched(self._alive)


class Taken(Struct, frozen=True):
    """An errand that a worker has."""

    path: Path
    body: bytes


class WorkerAtParts:
    """A worker's end of ``directory``, from ``open`` to ``close``; ``beat`` may be called from another thread."""

    def __init__(self, directory: Path) -> None:
        self.name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._directory = directory
        self._worker = directory / f"{self.name}{WORKER}"
        self._has: Path | None = None

    def open(self) -> None:
        """Say that somebody works here; raises Fatal where that cannot be said, or others may write here too."""
        _made_private(self._directory)
        try:
            self.beat()
        except OSError as error:
            raise Fatal(
                f"the folder of parts {self._directory} cannot be used: {error.strerror}", see=See.WORKERS
            ) from error

    def close(self) -> None:
        """Nobody works here any more."""
        with suppress(OSError):
            self._worker.unlink()

    def beat(self) -> None:
        """Say that it is there still, and has what it has."""
        _touched(self._worker)
        if (has := self._has) is not None:
            with suppress(FileNotFoundError):  # answered, or given up by its run
                os.utime(has)

    def runs(self) -> list[Path]:
        """The folders of the runs that are there; those of dead ones are removed, with what they hold."""
        for path in _silent(self._directory, _touched(self._worker)):
            _remove(path)
        return sorted(self._directory.glob(f"*{RUN}"))

    def take(self, run: Path) -> Taken | None:
        """The first errand of the run that nobody has; None: there is none, or the run is over."""
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(run)):  # noqa: PTH208 - twenty times a second
                if name.endswith(PART):
                    taken = run / f"{name.removesuffix(PART)}.{self.name}{TAKEN}"
                    with suppress(FileNotFoundError):  # somebody else was quicker
                        (run / name).rename(taken)
                        self._has = taken
                        os.utime(taken)
                        return Taken(taken, taken.read_bytes())
        return None

    def answer(self, taken: Taken, body: bytes) -> None:
        """Say what came of it; to a run that is over nothing is said."""
        number = taken.path.name.partition(".")[0]
        self._has = None
        with suppress(FileNotFoundError):
            write_files(taken.path.parent, {f"{number}{ANSWER}": body}, mode=0o600, durability="none")
            taken.path.unlink()


def _made_private(directory: Path) -> None:
    """See that the folder is there and nobody else's: what lies in it is obeyed. Raises Fatal."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = directory.stat()
    except OSError as error:
        raise Fatal(f"the folder of parts {directory} cannot be made: {error.strerror}", see=See.WORKERS) from error
    if there.st_mode & OTHERS_MAY_WRITE or there.st_uid not in {0, os.geteuid()}:
        raise Fatal(
            f"the folder of parts {directory} is one that others may write to, who could have a worker do anything: "
            "name one that is not there yet, or is this user's alone (chmod 700)",
            see=See.WORKERS,
        )


def _touched(path: Path) -> float:
    """The time of the file server, as which the file now has."""
    path.touch(mode=0o600)
    return path.stat().st_mtime


def _silent(directory: Path, now: float) -> Iterator[Path]:
    """The runs and workers that have said nothing for long."""
    for path in [*directory.glob(f"*{RUN}"), *directory.glob(f"*{WORKER}")]:
        said = path / ALIVE
        with suppress(FileNotFoundError):
            if now - (said if said.exists() else path).stat().st_mtime > PATIENCE_SECONDS:
                yield path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
