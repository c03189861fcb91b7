"""A client whose records are JSON objects: which of its layouts a record is in is recognised by its keys."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeGuard

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.clients.code import code_of
from pipeline.clients.connector import ClientSettings, Connector, Outgoing
from pipeline.clients.records.naming import naming
from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.errors import Rejected, WrongSettings
from pipeline.orders.workorder import ExternalId, Record, id_key
from pipeline.translation.engine import layout_of
from pipeline.translation.ids import fault_of
from pipeline.translation.json import load
from pipeline.translation.layout import Layout, wrapped
from pipeline.translation.table import Table
from pipeline.transports.folder import json_files
from pipeline.transports.folder.sample import read_sample

__all__ = ["Checked", "JsonConnector"]

_DECODER: Final = msgspec.json.Decoder()


class Checked(Struct, frozen=True, gc=False):
    """A record that a layout has checked."""

    layout: Layout[Any]
    record: Any


class JsonConnector(Connector):
    """The functions between JSON objects and Record; a client adds ``source`` and ``sink``."""

    def __init__(self, settings: ClientSettings, spoken: tuple[Table | Layout[Any], ...]) -> None:
        layouts = [layout_of(one, settings.timezone) if isinstance(one, Table) else one for one in spoken]
        self.settings = replace(settings, code=code_of(type(self), layouts))
        self.name = settings.name
        self.layouts: Mapping[str, Layout[Any]] = {layout.name: layout for layout in layouts}
        self.default_layout = settings.layout or layouts[0].name
        self.timezone = settings.timezone
        self.number, self.authority = settings.number, settings.authority
        if self.default_layout not in self.layouts:
            known = [*self.layouts, *settings.layouts]
            near = get_close_matches(self.default_layout, known, 1)
            mean = f"did you mean {near[0]}? " if near else ""
            raise WrongSettings(
                [f"{self.name}: {settings.called('layout')}: it has no such layout; {mean}known: {', '.join(known)}"]
            )

    def parse(self, raw: bytes) -> Mapping[str, Any]:
        """The JSON object in ``raw``."""
        data = load(raw, _DECODER)
        if not isinstance(data, dict):
            raise Rejected("not a JSON object: expected {...}")
        return data

    def validate(self, data: Mapping[str, Any]) -> Checked:
        """The record, checked by the layout that its keys belong to."""
        layout = self.recognise(data)
        return Checked(layout, layout.validate(data, self.timezone))

    def to_record(self, checked: Checked) -> Record:
        """The record in canonical words."""
        return checked.layout.to_record(checked.record)

    def from_record(self, record: Record) -> Outgoing:
        """The record in the client's JSON."""
        layout = self.layouts.get(record.layout)
        if layout is None:
            raise Rejected(f"the client has no layout of the name in $.sync.layout; it has: {', '.join(self.layouts)}")
        body = layout.to_json(record)
        return Outgoing(
            str(record.external_id),
            body,
            is_new=record.known is None,
            edit=record.edit,
            number=None if record.is_linked else record.order.number,
            intent=record.intent,
        )

    def identify(self, raw: bytes) -> ExternalId | None:
        """The order's id, where ``raw`` is an object that has one, and it can be one."""
        return next(iter(self.ids_in(raw)), None)

    def ids_in(self, raw: bytes) -> Sequence[ExternalId]:
        """All that may be the order's id in ``raw``: what it has at the id keys of the layouts."""
        try:
            data = self.parse(raw)
        except Rejected:
            return ()
        return [found for layout in self.layouts.values() for found in layout.ids_in(data) if _is_id(found)]

    def is_about(self, raw: bytes, ids: Collection[ExternalId]) -> bool:
        """Whether the bytes are of the order called by ``ids`` (as ``id_key`` has them), as far as one can see."""
        if found := self.ids_in(raw):
            return any(id_key(one) in ids for one in found)
        return naming([layout.id_key for layout in self.layouts.values()], ids)(raw)

    def sample(self, file: Path) -> Iterator[Envelope[bytes] | Unreadable]:
        """The records of a file of JSON."""
        return read_sample(file, json_files(self.layouts.values()))

    def recognise(self, data: Mapping[str, Any]) -> Layout[Any]:
        """The one layout whose id key is there; without any, the one that most keys belong to."""
        named = [layout for layout in self.layouts.values() if layout.ids_in(data)]
        if len(named) == 1:
            return named[0]
        if named:
            keys = " and ".join(layout.id_key for layout in named)
            raise Rejected(f"no single layout: it has {keys}; expected one of them")
        if where := wrapped(data, self.layouts.values()):
            raise Rejected(f"no order, but an object around orders, which are in {where}: write those alone")
        likely = max(self.layouts.values(), key=lambda layout: len(layout.keys & data.keys()))
        if not likely.keys & data.keys():
            keys = " or ".join(layout.id_key for layout in self.layouts.values())
            raise Rejected(f"no layout known by these keys: expected a work order with {keys}")
        return likely


def _is_id(found: Any) -> TypeGuard[ExternalId]:
    return type(found) is int or (isinstance(found, str) and found != "" and fault_of(found) is None)
