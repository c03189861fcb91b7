"""The computer that the program runs on: its disk is a real folder, and what is done to it can be broken off."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import pipeline.disk
from pipeline.deadletters.folder import DeadLetterFolder, Identify
from pipeline.deadletters.letter import Letter, read_letters
from pipeline.deadletters.office import DeadLetterOffice
from pipeline.history.decisions import DecisionLog, Entry, read_decisions
from tests.simulation.ports import Ports, current

IN_MEMORY = Path("/dev/shm")
CHANGING = ("write", "fsync", "rename", "replace", "unlink", "link", "mkdir")
"""The calls of the system that change what is on a disk; ``open`` is one where it makes a file."""


class Machine:
    """Keeps what a run leaves on its disk, in ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.letters = root / "dead-letter"
        self.log = root / "decisions.jsonl"
        self.state = root / "state"
        self._states: list[dict[str, bytes]] = []
        """What it remembered after each run."""
        root.mkdir()

    def note(self) -> None:
        """Keep what is remembered now, to be put back later."""
        if self.state.is_dir():
            self._states.append({path.name: path.read_bytes() for path in self.state.iterdir()})

    def lose(self, how: str) -> None:
        """What is remembered is lost, or is what it was some runs ago."""
        shutil.rmtree(self.state, ignore_errors=True)
        if how == "old" and self._states:
            self.state.mkdir()
            for name, body in self._states[len(self._states) // 2].items():
                (self.state / name).write_bytes(body)

    def decisions(self, ports: Ports, run: str) -> DecisionLog:
        """The decision log of one run."""
        return PortedLog(self.log, run, ports)

    def dead(self, flow: str, identify: Identify, ports: Ports) -> DeadLetterFolder:
        """The dead letters of one run."""
        return _Letters(self.letters, flow=f"erp.{flow}", client="erp", identify=identify, ports=ports)

    def entries(self) -> list[Entry]:
        """What the decision log tells."""
        return list(read_decisions(self.log))

    def open_letters(self) -> list[Letter]:
        """The letters that are open."""
        return [letter for _, letter in read_letters(self.letters)]

    def release_letters(self) -> bool:
        """A person has all letters tried again, from where they came; whether there are any."""
        office = DeadLetterOffice(self.letters)
        by_flow: dict[Path, list[Any]] = {}
        for filed in office.find():
            by_flow.setdefault(filed.path.parent, []).append(filed)
        for letters in by_flow.values():
            office.release(letters)
        return bool(by_flow)

    def files(self) -> dict[str, tuple[int, ...]]:
        """The state of all that is on its disk: whoever writes anything changes it."""
        return files_below(self.root)


class PortedLog(DecisionLog):
    """A decision log, of which each writing is a use of a port."""

    def __init__(self, path: Path, run: str, ports: Ports) -> None:
        super().__init__(path, run)
        self._ports = ports

    async def record(self, entries: Any) -> None:
        if entries:
            async with self._ports.using("decisions"):
                await super().record(entries)


class _Letters(DeadLetterFolder):
    def __init__(self, root: Path, *, ports: Ports, **options: Any) -> None:
        super().__init__(root, **options)
        self._ports = ports

    async def write(self, letters: Any) -> None:
        async with self._ports.using("letters"):
            await super().write(letters)


def files_below(root: Path) -> dict[str, tuple[int, ...]]:
    """The state of a folder and all that is in it, by path: whoever writes anything changes it."""
    return {path: _state(path) for path in _walk(str(root))}


def _walk(path: str) -> Iterator[str]:
    yield path
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            else:
                yield entry.path


def _state(path: str) -> tuple[int, ...]:
    found = Path(path).stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A folder for one history, in memory where there is such a disk."""
    root = Path(tempfile.mkdtemp(prefix="history-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    try:
        yield root
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Inside of this, what runs do to the disk they do through their ports, and nothing waits for the disk."""
    patches = [mock.patch.object(os, name, _through_ports(name, getattr(os, name))) for name in CHANGING]
    patches += [
        mock.patch.object(os, "open", _open(os.open)),
        mock.patch.object(os, "close", _close(os.close)),
        mock.patch.object(pipeline.disk, "wrap", _hopping),
        mock.patch.object(pipeline.disk, "_SYNCFS", lambda folder: 0),
    ]
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


def close_files_of(ports: Ports) -> list[int]:
    """Close what a run has left open, as the system does when a process ends."""
    left = sorted(ports.opened)
    for file in left:
        with contextlib.suppress(OSError):
            os.close(file)
    return left


def _through_ports(name: str, call: Callable) -> Callable:
    @wraps(call)
    def through(*args: Any, **kwargs: Any) -> Any:
        ports = current()
        return call(*args, **kwargs) if ports is None else ports.system_call(name, call, args, kwargs)

    return through


def _open(call: Callable) -> Callable:
    @wraps(call)
    def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        ports = current()
        if ports is None:
            return call(path, flags, *args, **kwargs)
        if flags & os.O_CREAT:
            return ports.system_call("open", call, (path, flags, *args), kwargs)
        ports.see_alive()
        file = call(path, flags, *args, **kwargs)
        ports.opened.add(file)
        return file

    return opened


def _close(call: Callable) -> Callable:
    @wraps(call)
    def closed(file: int) -> None:
        ports = current()
        if ports is not None:
            ports.opened.discard(file)
        call(file)

    return closed


def _hopping(function: Callable) -> Callable:
    async def hop(*args: Any, **kwargs: Any) -> Any:
        ports = current()
        return function(*args, **kwargs) if ports is None else await ports.hop(function, *args, **kwargs)

    return hop
