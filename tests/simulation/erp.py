"""The ERP of a history, in memory, and a client of it that is made of the real parts."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from pipeline.clients.connector import ClientSettings
from pipeline.clients.json_connector import JsonConnector
from pipeline.clients.spelling import spoken_by
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import BatchResult, Envelope, Fate, Outcome
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source
from pipeline.errors import Deferred, PipelineError
from pipeline.orders.terms import Authority
from pipeline.translation import flag_order, status_order
from pipeline.translation.engine import layout_of
from pipeline.translation.layout import Layout
from tests.simulation.steps import Post, Setting
from tests.simulation.world import Clock, Ports, token, word

UTC: Final = ZoneInfo("UTC")
REFERENCE = "ourNo"
GROUP = 2
FLAGS = ("isActive", "isCanceled", "isDone", "isOnHold", "isPending", "isDeleted")

FULL = {
    "id": "ref",
    "created_at": {"at": "opened", "required": False},
    "updated_at": "touched",
    "title": "text",
    "description": "memo",
    "deleted": {"at": "void", "when": True},
    "status": {
        "at": "state",
        "words": {
            "OPN": "created",
            "APP": "pending",
            "WIP": "in_progress",
            "HLD": "on_hold",
            "CLS": "completed",
            "CAN": "cancelled",
        },
    },
    "fields": {"asset": "asset"},
}
"""A table as settings spell it, with a field more."""


class Form(Struct, frozen=True):
    """How the ERP's people edit a record of a layout: by its keys."""

    id: str
    title: str
    created: str
    updated: str
    description: str | None = None
    more: str | None = None
    texts: tuple[str, ...] = ()


FORMS = {
    "status_order": Form("id", "title", "createdAt", "updatedAt", "description", None, ("title", "description")),
    "flag_order": Form("orderNo", "summary", "creationDate", "lastUpdateDate", None, None, ("summary",)),
    "full": Form("ref", "text", "opened", "touched", "memo", "asset", ("text", "memo")),
}
WORDS = {
    "status_order": ("NEW", "PENDING", "IN_PROGRESS", "ON_HOLD", "DONE", "CANCELLED"),
    "flag_order": ("isActive", "isCanceled", "isDone", "isOnHold", "isPending"),
    "full": ("OPN", "APP", "WIP", "HLD", "CLS", "CAN"),
}


class Erp:
    """Keeps records by id, each with a counter of its changes."""

    def __init__(self, setting: Setting, clock: Clock) -> None:
        self.setting = setting
        self.form = FORMS[setting.layout]
        self.records: dict[str, dict[str, Any]] = {}
        self.etags: dict[str, int] = {}
        self.known_etags: dict[str, int] = {}
        """What our side remembers from run to run."""
        self.handed: set[str | None] = set()
        """Which titles it was ever told."""
        self.latest: dict[str, str] = {}
        """By order, the latest time that it ever showed: its people's edits are later."""
        self.folders = Folders()
        self.overwritten: set[str | None] = set()
        """Which values it gave up for what it was told."""
        self.writes = 0
        self._clock = clock

    def put(self, order_id: str, record: Mapping[str, Any]) -> None:
        """A record changes, or is made."""
        self.records[order_id] = dict(record)
        self.etags[order_id] = self.etags.get(order_id, 0) + 1
        times = [record[key] for key in (self.form.updated, "deletedAt", "deletedDate") if record.get(key)]
        self.latest[order_id] = max([self.latest.get(order_id, ""), *times])
        if self.setting.transport == "folders":
            self.folders.export(json.dumps(self.records[order_id]).encode(), self._clock)

    def time(self, before: str | None = None) -> str:
        """Now, by the ERP's own clock, and later than ``before``."""
        clock = Clock()
        clock.moment = self._clock.moment
        clock.tick(self.setting.skew)
        said = shown(clock.moment)
        if before is not None and said <= before:
            clock.moment = clock.moment.fromisoformat(before.replace("Z", "+00:00"))
            clock.tick(1)
            said = shown(clock.moment)
        return said

    def take(self, body: Mapping[str, Any], order_id: str) -> str:
        """Do as it is told; returns the id that the order has."""
        record = dict(self.records.get(order_id, {}))
        told = {key: word(self.setting, text) if key in self.form.texts else text for key, text in body.items()}
        if self.setting.transport == "folders":  # it does not know what we have read
            self.overwritten |= {token(record[key]) for key in told if isinstance(record.get(key), str)}
        record |= told
        record = {key: value for key, value in record.items() if value is not None}
        record[self.form.id] = order_id
        if self.setting.stamps == "own":
            record[self.form.updated] = self.time(self.latest.get(order_id))
        self.put(order_id, record)
        self.writes += 1
        return order_id

    def make(self, body: Mapping[str, Any]) -> str:
        """Make an order of its own number; returns that."""
        return self.take(body, f"E{len(self.records) + 1}")

    def take_files(self) -> None:
        """Take what lies in the folder, each file once; what it has by our number already it does not make again."""
        for name in sorted(self.folders.outbound):
            body = json.loads(self.folders.outbound.pop(name))
            order_id = body.get(self.form.id) or self.by_reference(str(body.get(REFERENCE)))
            if order_id is None:
                self.make(body)
            else:
                self.take(body, str(order_id))

    def by_reference(self, number: str) -> str | None:
        """The id of the order that our number stands in."""
        return next((one for one, record in self.records.items() if record.get(REFERENCE) == number), None)


class Folders:
    """The two folders between us and the ERP, and the files on their way."""

    def __init__(self) -> None:
        self.inbound: list[tuple[int, str, bytes]] = []
        """By mtime and name."""
        self.outbound: dict[str, bytes] = {}
        self._held: list[bytes] | None = None

    def export(self, raw: bytes, clock: Clock) -> None:
        """The ERP writes a file."""
        if self._held is None:
            self._arrive(raw, clock)
        else:
            self._held.append(raw)

    def post(self, post: Post, clock: Clock) -> None:
        """Something happens on the way."""
        match post.what:
            case "hold":
                self._held = self._held or []
            case "deliver" | "deliver last first":
                held, self._held = self._held or [], None
                for raw in held if post.what == "deliver" else reversed(held):
                    self._arrive(raw, clock)
            case "deliver again":
                for _, _, raw in self.inbound[-1:]:
                    self._arrive(raw, clock)

    def _arrive(self, raw: bytes, clock: Clock) -> None:
        clock.tick(0.001)
        number = len(self.inbound)
        self.inbound.append((int(clock.moment.timestamp() * 1000) * 1_000_000, f"{number:03}.json", raw))


class FolderSource(Source[bytes]):
    """The files in the order in which they came; all are kept, and read each time."""

    def __init__(self, folders: Folders, ports: Ports) -> None:
        self._folders, self._ports = folders, ports

    async def read(self):
        files = list(self._folders.inbound)
        for start in range(0, len(files), GROUP):
            async with self._ports.using("erp.list"):
                group = files[start : start + GROUP]
            yield [Envelope(raw, Locator(name), raw, "", (mtime, name, 1)) for mtime, name, raw in group]

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        async with self._ports.using("erp.settle"):
            pass


class FolderSink(BatchSink):
    """A file an order, that takes the place of the one before."""

    takes_late = True

    def __init__(self, erp: Erp, ports: Ports) -> None:
        self._erp, self._ports = erp, ports

    async def write_batch(self, items) -> BatchResult:
        outcomes = []
        for item in items:
            try:
                async with self._ports.using("erp.push"):
                    if item.payload.number is not None and not item.payload.is_new:
                        raise Deferred("it has no name yet")
                    self._erp.folders.outbound[f"{item.payload.id}.json"] = item.payload.body
                    self._erp.handed.add(token(json.loads(item.payload.body).get(self._erp.form.title)))
            except PipelineError as error:
                outcomes.append(error)
            else:
                outcomes.append(Outcome.SENT)
        return BatchResult(outcomes)


class ErpSource(Source[bytes]):
    """The whole list, in small groups."""

    def __init__(self, erp: Erp, ports: Ports, late: set[str]) -> None:
        self._erp, self._ports, self._late = erp, ports, late
        self._given: dict[Locator, int] = {}

    async def read(self):
        ids = list(self._erp.records)
        for start in range(0, max(len(ids), 1), GROUP):
            async with self._ports.using("erp.list"):
                group = [self._shown(one) for one in ids[start : start + GROUP] if one not in self._late]
            if group:
                yield group

    def _shown(self, order_id: str) -> Envelope[bytes]:
        raw, locator = json.dumps(self._erp.records[order_id]).encode(), Locator(order_id)
        self._given[locator] = self._erp.etags[order_id]
        return Envelope(raw, locator, raw)

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        async with self._ports.using("erp.settle"):
            for locator, fate in fates.items():
                etag = self._given.pop(locator)
                if fate is Fate.DELIVERED:
                    self._erp.known_etags[locator.place] = etag


class ErpSink(BatchSink):
    """Tells the ERP of one order after the other."""

    def __init__(self, erp: Erp, ports: Ports) -> None:
        self._erp, self._ports = erp, ports

    async def write_batch(self, items) -> BatchResult:
        outcomes, called = [], {}
        for position, item in enumerate(items):
            try:
                given = await self._one(item.payload)
            except PipelineError as error:
                outcomes.append(error)
                if isinstance(error, _Linked):
                    called[position] = error.given
            else:
                outcomes.append(Outcome.SENT)
                if given is not None:
                    called[position] = given
        return BatchResult(outcomes, None, called)

    async def _one(self, order) -> str | None:
        async with self._ports.using("erp.push"):
            return self._told(order)

    def _told(self, order) -> str | None:
        erp, body = self._erp, json.loads(order.body)
        title = token(body.get(erp.form.title))
        if order.number is None:
            known = erp.known_etags.get(order.id)
            if known is not None and erp.etags.get(order.id) != known:
                raise Deferred("it was changed there")
            if known is None and order.id in erp.records:
                raise Deferred("it is there, and was never read")
            erp.take(body, order.id)
            erp.known_etags[order.id] = erp.etags[order.id]
            erp.handed.add(title)
            return None
        is_old = order.intent is not None and order.intent.is_old
        if is_old or not order.is_new:
            there = erp.by_reference(str(order.number))
            if there is not None:
                raise _Linked(there)
            if not order.is_new:
                raise Deferred("it has no name yet")
        given = erp.make(body)
        erp.known_etags[given] = erp.etags[given]
        erp.handed.add(title)
        return given


class _Linked(Deferred):
    def __init__(self, given: str) -> None:
        super().__init__("it was made before")
        self.given = given


class SimulatedClient(JsonConnector):
    """A client of the built-in layouts, or of a table of settings, whose ends are in memory."""

    def __init__(self, erp: Erp, ports: Ports, late: set[str]) -> None:
        setting = erp.setting
        settings = ClientSettings(
            name="erp",
            layout=setting.layout,
            number="ERP-{id}" if setting.ids == "client" else "{id}",
            authority={field: Authority(who) for field, who in setting.authority},
        )
        super().__init__(settings, _layouts(setting.layout, setting.ids))
        self.ids = setting.ids
        self._ends = erp, ports, late

    def read(self, raw: bytes):
        """A record in canonical words."""
        return self.to_record(self.validate(self.parse(raw)))

    def source(self, witness=NOTHING_IS_SURE):
        erp, ports, _ = self._ends
        return FolderSource(erp.folders, ports) if erp.setting.transport == "folders" else ErpSource(*self._ends)

    def sink(self):
        erp, ports, _ = self._ends
        return FolderSink(erp, ports) if erp.setting.transport == "folders" else ErpSink(erp, ports)


@cache
def _layouts(layout: str, ids: str) -> tuple[Layout[Any], ...]:
    settings = ClientSettings(name="erp", layout=layout, layouts={"full": FULL} if layout == "full" else {})
    tables = spoken_by(settings, (status_order.TABLE, flag_order.TABLE))
    return tuple(layout_of(table.referring(REFERENCE) if ids == "client" else table, UTC) for table in tables)


def shown(moment) -> str:
    """A moment as both sides write it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
