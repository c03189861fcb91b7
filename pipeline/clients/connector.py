"""What a client is to the rest of the house: its two ends and its layouts, behind one small interface.

All that the author of a client needs is named here.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.errors import Rejected, WrongSettings, WrongUsage
from pipeline.finding import Finding
from pipeline.orders.terms import Authority, Ids, Terms, within
from pipeline.orders.workorder import ExternalId, Kind, Record
from pipeline.translation.layout import Layout
from pipeline.translation.outgoing import Outgoing
from pipeline.transports.folder.sample import read_sample
from pipeline.transports.settings import ClientSettings

__all__ = ["ClientSettings", "Connector", "Outgoing"]


class Connector(ABC):
    """One customer's system: its two ends, and the pure functions between its bytes and canonical records."""

    name: str
    layouts: Mapping[str, Layout[Any]]
    """By name, all that it accepts."""
    default_layout: str
    """The layout of orders born in TracOS."""
    timezone: ZoneInfo
    ids: Ids = "shared"
    """Whether the client numbers its orders itself."""
    number: str = "{id}"
    """What an order of a client that numbers its orders itself is called in TracOS."""
    authority: Mapping[str, Authority] = {}
    """Who has the say in a field, by field; the newest edit where nothing is said."""

    @property
    def watched(self) -> Sequence[Path]:
        """Folders in which something new is a reason to read. Override where orders come as files."""
        return ()

    @property
    def terms(self) -> Terms:
        """What is agreed with it; raises WrongSettings where its layouts do not agree on a field."""
        return terms_of(self)

    def check(self) -> Sequence[Finding]:
        """What ``doctor`` tells of this client: reachable, permitted ...; never raises, writes nothing.

        Override where there is something to see.
        """
        return ()

    @property
    def is_left_alone(self) -> bool | None:
        """Whether its system failed so often that it is not asked for a while; None: nobody counts.

        Override where somebody does.
        """
        return None

    def set_since(self, time: datetime) -> None:
        """Take what changed before ``time`` as read: it is remembered for the next run.

        Raises WrongUsage where this client remembers no such time. Override where it does.
        """
        raise WrongUsage(f"{self.name}: nothing of it is read up to a time; `run --since` reads again what is newer")

    def erase(self, ids: Collection[ExternalId]) -> int:
        """Remove what is kept of the order that the client calls by ``ids``: in files put away, in what is remembered.

        The ids are as ``id_key`` has them. Returns how many records there were. May be killed at any instant and done
        again. Raises Fatal where it cannot be done. Override where anything is kept.
        """
        return 0

    @property
    def is_choosy(self) -> bool:
        """Whether its system may show orders that are not this client's."""
        return any(layout.where for layout in self.layouts.values())

    def is_ours(self, data: Any) -> bool:
        """Whether plain data may be an order of this client: what is not is skipped, never told and never dead."""
        return any(layout.is_ours(data) for layout in self.layouts.values())

    def recognise(self, data: Any) -> Layout[Any]:
        """The layout that plain data is in; raises Rejected where that cannot be told."""
        if len(self.layouts) == 1:
            return next(iter(self.layouts.values()))
        raise Rejected(f"no single layout: it may be any of {', '.join(self.layouts)}")

    def sample(self, file: Path) -> Iterator[Envelope[bytes] | Unreadable]:
        """The records of a file that somebody has put aside, taken apart as those that ``source`` reads.

        Raises WrongUsage for one that cannot be read, or that ``source`` would leave alone. Override where orders do
        not come as files of JSON.
        """
        return read_sample(file)

    @abstractmethod
    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The end that orders come from: one record's original bytes per item.

        What was delivered, and has not changed since, may be left unread as long as ``witness`` vouches for it.
        """

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
        """The order's id, where one can be read in ``raw`` (however broken the rest is); never raises.

        Of a record that is none the worse it is the id that ``to_record`` gives it: engines go by that.
        """


def terms_of(client: Connector) -> Terms:
    """What is agreed with ``client``, as it describes itself."""
    fields: dict[str, Kind] = {}
    for layout in client.layouts.values():
        for field, kind in layout.fields.items():
            if fields.setdefault(field, kind) is not kind:
                raise WrongSettings([f"{client.name}: {field} is {fields[field]} in one layout, and {kind} in another"])
    return Terms(
        client=client.name,
        projections={
            name: layout.project if layout.fields == fields else within(layout.project, layout.fields)
            for name, layout in client.layouts.items()
        },
        default_layout=client.default_layout,
        fields=fields,
        authority=client.authority,
        ids=client.ids,
        number=client.number,
    )
