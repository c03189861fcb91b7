"""An ERP that is reached through two folders: real ones, with the real ends, and what happens to files on their way."""

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import Struct

from pipeline.clients.json_connector import JsonConnector
from pipeline.dataflow.messages import BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.deadletters.letter import Letter
from pipeline.errors import Deferred, Rejected
from pipeline.translation.outgoing import Outgoing
from pipeline.transports.folder.formats import json_files
from pipeline.transports.folder.options import FolderOptions
from pipeline.transports.folder.sink import FolderSink
from tests.simulation.erp import REFERENCE, Erp
from tests.simulation.machine import files_below
from tests.simulation.ported import PortedList
from tests.simulation.ports import Ports
from tests.simulation.steps import Post, Setting
from tests.simulation.words import token

GARBAGE = (b"", b'{"id": "100", "sta', b"\xff\xfe\x00", b"[1, 2]", b"<html>no orders</html>", b'{"a": NaN}')


class File(Struct):
    """A file that arrived."""

    name: str
    order_id: str | None
    """None: it is none of the ERP's."""
    raw: bytes
    is_whole: bool = True
    is_gone: bool = False
    """Somebody has removed it, perhaps unread."""
    at: int = 0
    """When it was written last, in nanoseconds."""


class Folders:
    """The two folders between us and the ERP, and the files on their way."""

    def __init__(self, erp: Erp, root: Path) -> None:
        self.inbound, self.outbound = root / "inbound", root / "outbound"
        self.inbound.mkdir()
        self.files: list[File] = []
        """All that ever arrived, in order."""
        self._erp = erp
        self._held: list[tuple[str, bytes]] | None = None
        erp.on_change = self._export

    def _export(self, order_id: str, raw: bytes) -> None:
        """The ERP writes a file."""
        if self._held is None:
            self._arrive(order_id, raw)
        else:
            self._held.append((order_id, raw))

    def post(self, post: Post) -> None:
        """Something happens on the way."""
        last = self.files[-1] if self.files else None
        match post.what:
            case "hold":
                self._held = self._held or []
            case "deliver" | "deliver last first":
                held, self._held = self._held or [], None
                for order_id, raw in held if post.what == "deliver" else reversed(held):
                    self._arrive(order_id, raw)
            case "take":
                self._take_all()
            case "garbage":
                self._arrive(None, GARBAGE[len(self.files) % len(GARBAGE)])
            case "whole":
                for file in self.files:
                    file.is_gone &= file.order_id is None
                    if not file.is_whole and file.order_id is not None:
                        file.is_whole = True
                        self._write(file, file.raw)
            case "deliver again" if last is not None and last.order_id is not None:
                self._arrive(last.order_id, last.raw)
            case "half" if last is not None and last.order_id is not None:
                last.is_whole = False
                self._write(last, last.raw[: len(last.raw) // 2])
            case "rewrite" if last is not None and last.is_whole:
                self._write(last, last.raw)
            case "remove" if last is not None and not last.is_whole:
                last.is_gone = True
                (self.inbound / last.name).unlink(missing_ok=True)

    def bring_back(self, orders: Collection[str | None], letters: Sequence[Letter]) -> None:
        """Of these orders, the records that letters hold alone come again: so a retry takes them."""
        files = {file.name: file for file in self.files if file.order_id is not None and file.order_id in orders}
        for letter in letters:
            file, path = files.get(letter.file), self.inbound / letter.file
            if file is not None and letter.raw == file.raw and file.is_whole and not path.exists():
                path.write_bytes(letter.raw)
                os.utime(path, ns=(file.at, file.at))

    def state(self) -> dict[str, tuple[int, ...]]:
        """The state of all files of both folders."""
        return files_below(self.inbound) | (files_below(self.outbound) if self.outbound.is_dir() else {})

    def _arrive(self, order_id: str | None, raw: bytes) -> None:
        file = File(f"{len(self.files):03}.json", order_id, raw, is_whole=order_id is not None)
        self.files.append(file)
        self._write(file, raw)

    def _write(self, file: File, raw: bytes) -> None:
        self._erp.clock.tick(0.001)
        path, at = self.inbound / file.name, int(self._erp.clock.time() * 1000) * 1_000_000
        path.write_bytes(raw)
        os.utime(path, ns=(at, at))
        file.at = at

    def _take_all(self) -> None:
        """The ERP takes our files, each once; what it has by our number already it does not make again."""
        erp = self._erp
        for path in sorted(self.outbound.glob("*.json")):
            body = json.loads(path.read_bytes())
            path.unlink()
            order_id = body.get(erp.form.id) or erp.by_reference(str(body.get(REFERENCE)))
            if order_id is None:
                erp.make(body)
            else:
                erp.take(body, str(order_id))


class FolderClient(JsonConnector):
    """The client of JSON files, whose clock is the history's."""

    def reach(self, folders: Folders, setting: Setting, erp: Erp, ports: Ports) -> None:
        """The ends of a run."""
        self._reached = folders, setting, erp, ports

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The inbound folder."""
        _, _, erp, ports = self._reached
        source = self._options().source(self.settings, witness, form=json_files(self.layouts.values()))
        source._clock = erp.clock.time
        return PortedList(source, ports)

    def sink(self) -> BatchSink[Outgoing]:
        """The outbound folder."""
        folders, _, erp, ports = self._reached
        return _Sink(folders.outbound, erp, ports)

    def _options(self) -> FolderOptions:
        folders, setting, _, _ = self._reached
        return FolderOptions(
            inbound_dir=folders.inbound,
            outbound_dir=folders.outbound,
            ids=setting.ids,
            inbound_after=setting.after,
        )


class _Sink(FolderSink):
    def __init__(self, directory: Path, erp: Erp, ports: Ports) -> None:
        super().__init__(directory)
        self._erp, self._ports = erp, ports

    async def write_batch(self, items: Sequence[Envelope[Outgoing]]) -> BatchResult:
        try:
            async with self._ports.using("erp.push"):
                done = await super().write_batch(items)
                for item, outcome in zip(items, done.outcomes, strict=True):
                    if outcome is Outcome.SENT:
                        self._erp.handed.add(token(json.loads(item.payload.body).get(self._erp.form.title)))
        except (Deferred, Rejected) as error:
            return BatchResult([error] * len(items))
        return done
