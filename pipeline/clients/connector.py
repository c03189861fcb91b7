"""What a client is to the rest of the house: its two ends and its layouts, behind one small interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct, ValidationError, convert, structs

from pipeline.dataflow.ports import BatchSink, Source
from pipeline.errors import WrongSettings
from pipeline.finding import Finding
from pipeline.translation.layout import Layout
from pipeline.workorder import ExternalId, Record

__all__ = ["ClientSettings", "Connector", "Outgoing"]

S = TypeVar("S", bound=Struct)


class ClientSettings(Struct, frozen=True, kw_only=True):
    """What a client is made from."""

    name: str
    timezone: ZoneInfo = ZoneInfo("UTC")
    """Of dates that name no zone."""
    layout: str | None = None
    """Name of the layout of orders born in TracOS. None: the client's first."""
    options: Mapping[str, Any] = {}
    """What this kind of client is told beside: folders, addresses ...; ``read`` turns them into a Struct."""
    defaults: Mapping[str, Any] = {}
    """Options that hold where nothing else is said, and where this kind of client has them."""
    variables: Mapping[str, str] = {}
    """The environment variables that ``defaults`` come from, by option."""
    state_dir: Path = Path("data/state")
    """Where a client may keep what it has to remember from run to run, in files that begin with its name."""
    secret: Callable[[str], str | None] = lambda name: None
    """The value of an environment variable: secrets are told by its name alone."""
    rehearse: bool = False
    """Nothing may be changed by reading."""

    def read(self, kind: type[S]) -> S:
        """The options as a ``kind``; raises WrongSettings with all that is wrong with them, a line each."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        fields = {field.name: field for field in structs.fields(kind)}
        for name, value in self.options.items():
            if name not in fields:
                problems.append(f"{self.name}: {name}: there is no such option; known: {', '.join(fields)}")
                continue
            try:
                values[name] = convert(value, fields[name].type, dec_hook=lambda type_, said: type_(said))
            except (ValidationError, ValueError, TypeError) as error:
                problems.append(f"{self.name}: {name}: {error}")
        for name in fields.keys() & self.defaults.keys() - self.options.keys():
            values[name] = self.defaults[name]
        missing = [name for name, field in fields.items() if field.required and name not in values]
        problems += [f"{self.name}: {name}: required, but missing" for name in missing if name not in self.options]
        if problems:
            raise WrongSettings(problems)
        return kind(**values)

    def called(self, option: str) -> str:
        """The option by the name under which a person sets it."""
        return option if option in self.options else self.variables.get(option, option)

    def reveal(self, variable: str) -> str:
        """The secret in the environment variable ``variable``; raises WrongSettings where it is not set."""
        value = self.secret(variable)
        if not value:
            raise WrongSettings(
                [f"{self.name}: the environment variable {variable} is not set, and holds a secret of it"]
            )
        return value


class Outgoing(Struct, frozen=True):
    """One order ready for the client: under the client's id as text, in the client's bytes."""

    id: str
    body: bytes
    is_new: bool = False
    """The client is not known to have it."""


class Connector(ABC):
    """One customer's system: its two ends, and the pure functions between its bytes and canonical records."""

    name: str
    layouts: Mapping[str, Layout[Any]]
    """By name, all that it accepts."""
    default_layout: str
    """The layout of orders born in TracOS."""
    timezone: ZoneInfo

    def check(self) -> Sequence[Finding]:
        """What ``doctor`` tells of this client: reachable, permitted ...; never raises, writes nothing.

        Override where there is something to see.
        """
        return ()

    @abstractmethod
    def source(self) -> Source[bytes]:
        """The end that orders come from: one record's original bytes per item."""

    @abstractmethod
    def sink(self) -> BatchSink[Outgoing]:
        """The end that orders go to."""

    @abstractmethod
    def parse(self, raw: bytes) -> Any:
        """Original bytes -> plain data; raises Rejected with the position of what is malformed."""

    @abstractmethod
    def validate(self, data: Any) -> Any:
        """Plain data -> a checked record of one of the layouts; raises Rejected with all reasons."""

    @abstractmethod
    def to_record(self, checked: Any) -> Record:
        """A checked record -> canonical."""

    @abstractmethod
    def from_record(self, record: Record) -> Outgoing:
        """Canonical -> the client's bytes, in the layout ``record.layout``; raises Rejected for what it cannot say."""

    @abstractmethod
    def identify(self, raw: bytes) -> ExternalId | None:
        """The order's id, where one can be read in ``raw`` (however broken the rest is); never raises."""
