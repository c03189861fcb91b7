"""The default client: an ERP that writes and reads work orders as JSON files in two folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.json_connector import JsonConnector
from pipeline.clients.spelling import spoken_by
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.finding import Finding
from pipeline.translation import flag_order, status_order
from pipeline.transports.folder import FolderOptions, json_files

__all__ = ["OPTIONS", "ErpJson", "connect"]


class ErpJson(JsonConnector):
    """JSON files in, JSON files out; two layouts, recognised by their keys, or the one of its settings."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings, spoken_by(settings, (status_order.TABLE, flag_order.TABLE)))
        self._folders = settings.read(FolderOptions)
        self.ids = self._folders.ids

    def check(self) -> Sequence[Finding]:
        """Whether both folders can be used."""
        return self._folders.check(self.settings.called)

    @property
    def watched(self) -> Sequence[Path]:
        """The folder of new files."""
        return (self._folders.inbound_dir,)

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The inbound folder."""
        return self._folders.source(self.settings, witness, form=json_files(self.layouts.values()))

    def sink(self) -> BatchSink[Outgoing]:
        """The outbound folder."""
        return self._folders.sink(self.settings)


OPTIONS: Final = FolderOptions


def connect(settings: ClientSettings) -> ErpJson:
    """The client that ``settings`` describe."""
    return ErpJson(settings)
