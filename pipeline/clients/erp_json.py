"""The default client: an ERP that writes and reads work orders as JSON files in two folders."""

from collections.abc import Sequence

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.folder import FolderSink, FolderSource
from pipeline.clients.json_connector import JsonConnector
from pipeline.dataflow.ports import BatchSink, Source
from pipeline.finding import Finding, check_folder
from pipeline.translation import flag_order, status_order

__all__ = ["ErpJson", "connect"]


class ErpJson(JsonConnector):
    """JSON files in, JSON files out; two layouts, recognised by their keys."""

    def __init__(self, settings: ClientSettings) -> None:
        layouts = (status_order.LAYOUT, flag_order.LAYOUT)
        super().__init__(settings.name, layouts, settings.layout, settings.timezone)
        self._settings = settings

    def check(self) -> Sequence[Finding]:
        """Whether both folders can be used."""
        settings = self._settings
        writes = settings.after != "keep"
        return (
            check_folder("inbound folder", settings.inbound_dir, "DATA_INBOUND_DIR", writes=writes),
            check_folder("outbound folder", settings.outbound_dir, "DATA_OUTBOUND_DIR", writes=True),
        )

    def source(self) -> Source[bytes]:
        """The inbound folder."""
        return FolderSource(self._settings.inbound_dir, after=self._settings.after)

    def sink(self) -> BatchSink[Outgoing]:
        """The outbound folder."""
        return FolderSink(self._settings.outbound_dir)


def connect(settings: ClientSettings) -> ErpJson:
    """The client that ``settings`` describe."""
    return ErpJson(settings)
