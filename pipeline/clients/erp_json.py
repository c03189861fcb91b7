"""The default client: an ERP that writes and reads work orders as JSON files in two folders."""

from collections.abc import Sequence

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.json_connector import JsonConnector
from pipeline.dataflow.ports import BatchSink, Source
from pipeline.finding import Finding
from pipeline.translation import flag_order, status_order
from pipeline.transports.folder import FolderOptions, FolderSink, FolderSource, InboundAfter, json_files

__all__ = ["ErpJson", "connect"]


class ErpJson(JsonConnector):
    """JSON files in, JSON files out; two layouts, recognised by their keys."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings, (status_order.LAYOUT, flag_order.LAYOUT))
        self._options = settings.read(FolderOptions)
        self._called = settings.called
        self._settings = settings
        self._after: InboundAfter = "keep" if settings.rehearse else self._options.inbound_after

    def check(self) -> Sequence[Finding]:
        """Whether both folders can be used."""
        return self._options.check(self._called)

    def source(self) -> Source[bytes]:
        """The inbound folder."""
        form = json_files(self.layouts.values())
        known, called = self._options.known(self._settings, type(self)), self._called("inbound_dir")
        return FolderSource(self._options.inbound_dir, after=self._after, form=form, known=known, setting=called)

    def sink(self) -> BatchSink[Outgoing]:
        """The outbound folder."""
        options = self._options
        called = self._called("outbound_dir")
        return FolderSink(options.outbound_dir, setting=called, durability=options.durability)


def connect(settings: ClientSettings) -> ErpJson:
    """The client that ``settings`` describe."""
    return ErpJson(settings)
