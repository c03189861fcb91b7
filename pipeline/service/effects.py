"""What a session may do to the world: the ends that act, or those that only look; no end is told which it is."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pipeline.clients.connector import Connector
from pipeline.clients.dry import DryClient, DryState
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import DeadLetter, Envelope
from pipeline.dataflow.ports import DeadLetters
from pipeline.deadletters import DeadLetterFolder, Drawer, Identify
from pipeline.disk import Scratch, remove_leftovers
from pipeline.errors import Fatal, See
from pipeline.history.decisions import DecisionLog, Decisions
from pipeline.tracos.connection import Connection
from pipeline.tracos.dry import DryConnection
from pipeline.tracos.lease import Lease

__all__ = ["Dry", "Effects", "Live", "NotedLetters"]


class Effects(ABC):
    """Makes the ends of one session; used for one run."""

    @abstractmethod
    @contextmanager
    def begun(self, mongo_dir: Path) -> Iterator[Path]:
        """From here on the ends may be used; yields the folder for an embedded server's data."""

    @abstractmethod
    def state_dir(self, folder: Path) -> Path:
        """Where clients remember what is in ``folder``."""

    @abstractmethod
    def client(self, client: Connector) -> Connector:
        """The client, in its form."""

    @abstractmethod
    def connection(self, uri: str, database: str, collection: str, retry_seconds: float) -> Connection:
        """The connection to MongoDB."""

    @abstractmethod
    def lease(self, connection: Connection, run: str, seconds: float, stop: asyncio.Event) -> Lease | None:
        """The lease on the orders behind ``connection``; None: whoever only looks needs none."""

    @abstractmethod
    def decisions(self, log: DecisionLog) -> Decisions:
        """Where one customer's decisions are kept."""

    @abstractmethod
    def dead(self, root: Path, flow: str, client: str, identify: Identify) -> DeadLetters:
        """The dead letters of a flow."""


class Live(Effects):
    """The ends that act; ``wait`` is how many seconds orders are waited for that somebody else works on."""

    def __init__(self, *, wait: float = 0) -> None:
        self._states: set[Path] = set()
        self._wait = wait

    @contextmanager
    def begun(self, mongo_dir: Path) -> Iterator[Path]:
        """Clear away what a killed run left where clients remember; what ails such a place is told when it is used."""
        for folder in self._states:
            with suppress(OSError):
                remove_leftovers(folder)
        yield mongo_dir

    def state_dir(self, folder: Path) -> Path:
        """The folder itself."""
        self._states.add(folder)
        return folder

    def client(self, client: Connector) -> Connector:
        """The client itself."""
        return client

    def connection(self, uri: str, database: str, collection: str, retry_seconds: float) -> Connection:
        """A connection that writes."""
        return Connection(uri, database, collection, retry_seconds)

    def lease(self, connection: Connection, run: str, seconds: float, stop: asyncio.Event) -> Lease:
        """One that is waited for."""
        return Lease(connection, run, seconds=seconds, wait=self._wait, stop=stop)

    def decisions(self, log: DecisionLog) -> Decisions:
        """The log, which all customers share."""
        return log

    def dead(self, root: Path, flow: str, client: str, identify: Identify) -> DeadLetters:
        """The folder."""
        return DeadLetterFolder(root, flow=flow, client=client, identify=identify)


class Dry(Effects):
    """The ends that look, and note what they would do."""

    def __init__(self) -> None:
        self._states: list[DryState] = []

    @contextmanager
    def begun(self, mongo_dir: Path) -> Iterator[Path]:
        """Copy what clients remember; where there is no embedded server's data yet, none is left behind."""
        with ExitStack() as opened:
            for state in self._states:
                opened.enter_context(state)
            yield mongo_dir if _is_there(mongo_dir) else opened.enter_context(Scratch()).path

    def state_dir(self, folder: Path) -> Path:
        """A copy."""
        self._states.append(DryState(folder))
        return self._states[-1].copy

    def client(self, client: Connector) -> Connector:
        """A client that is told nothing."""
        return DryClient(client)

    def connection(self, uri: str, database: str, collection: str, retry_seconds: float) -> Connection:
        """A connection that keeps its writes in memory."""
        return DryConnection(uri, database, collection, retry_seconds)

    def lease(self, connection: Connection, run: str, seconds: float, stop: asyncio.Event) -> None:
        """None."""

    def decisions(self, log: DecisionLog) -> Decisions:
        """In memory, for each customer."""
        return Decisions(log.run)

    def dead(self, root: Path, flow: str, client: str, identify: Identify) -> "NotedLetters":
        """In memory; what a run would hold back is held back."""
        return NotedLetters(Drawer(root / flow))


class NotedLetters(DeadLetters):
    """Holds back what a run would hold back, and notes the letters that it would write."""

    def __init__(self, drawer: Drawer) -> None:
        self._drawer = drawer
        self.noted: list[DeadLetter] = []

    @property
    def title(self) -> str:
        """The folder."""
        return str(self._drawer.directory)

    async def open(self) -> None:
        """Look at the letters that there are; raises Fatal where that cannot be done."""
        try:
            self._drawer.look()
        except OSError as error:
            raise Fatal(
                f"cannot read {self.title} (DATA_DEAD_LETTER_DIR): {error.strerror}; set it right", see=See.LETTERS
            ) from error

    async def recall(
        self, items: Sequence[Envelope[Any]], *, but: Collection[str] = ()
    ) -> Mapping[Locator, Literal["open", "closed"]]:
        """As a run would."""
        states = ((item.locator, self._drawer.state(item.locator, item.raw, item.stamp, but)) for item in items)
        return {locator: state for locator, state in states if state is not None}

    async def repeated(self, letters: Sequence[DeadLetter]) -> Collection[Locator]:
        """As a run would."""
        return {letter.locator for letter in letters if self._drawer.says(letter)}

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Note them."""
        self.noted += letters

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Nothing is closed."""


def _is_there(mongo_dir: Path) -> bool:
    try:
        return mongo_dir.is_dir()
    except OSError as error:  # taken for missing, it would be shown as empty
        raise Fatal(
            f"{mongo_dir} (DATA_MONGO_DIR) cannot be looked at: {error.strerror}; set it right, then run again",
            see=See.FILES,
        ) from error
