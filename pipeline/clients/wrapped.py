"""A client around another one, which does all that is not said otherwise."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.clients.connector import Connector, Outgoing
from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.finding import Finding
from pipeline.orders.workorder import ExternalId, Record
from pipeline.translation.layout import Layout

__all__ = ["WrappedClient"]


class WrappedClient(Connector):
    """Does as ``client`` does."""

    def __init__(self, client: Connector) -> None:
        self.client = client
        self.name, self.layouts = client.name, client.layouts
        self.default_layout, self.timezone = client.default_layout, client.timezone
        self.ids, self.number, self.authority = client.ids, client.number, client.authority

    @property
    def watched(self) -> Sequence[Path]:
        """As the client."""
        return self.client.watched

    def check(self) -> Sequence[Finding]:
        """As the client."""
        return self.client.check()

    def set_since(self, time: datetime) -> None:
        """As the client."""
        self.client.set_since(time)

    def is_ours(self, data: Any) -> bool:
        """As the client."""
        return self.client.is_ours(data)

    def recognise(self, data: Any) -> Layout[Any]:
        """As the client."""
        return self.client.recognise(data)

    def sample(self, file: Path) -> Iterator[Envelope[bytes] | Unreadable]:
        """As the client."""
        return self.client.sample(file)

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The client's."""
        return self.client.source(witness)

    def sink(self) -> BatchSink[Outgoing]:
        """The client's."""
        return self.client.sink()

    def parse(self, raw: bytes) -> Any:
        """As the client."""
        return self.client.parse(raw)

    def validate(self, data: Any) -> Any:
        """As the client."""
        return self.client.validate(data)

    def to_record(self, checked: Any) -> Record:
        """As the client."""
        return self.client.to_record(checked)

    def from_record(self, record: Record) -> Outgoing:
        """As the client."""
        return self.client.from_record(record)

    def identify(self, raw: bytes) -> ExternalId | None:
        """As the client."""
        return self.client.identify(raw)
