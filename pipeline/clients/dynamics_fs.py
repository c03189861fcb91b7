"""Dynamics 365 Field Service: work orders over the Dataverse Web API."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.http_connector import HttpConnector
from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import ExternalId, Record
from pipeline.translation import dynamics_fs
from pipeline.transports.http import HttpOptions

__all__ = ["OPTIONS", "connect"]

PRESETS: Final[Mapping[str, Any]] = {
    "items": "value",
    "page": "link",
    "next": "@odata.nextLink",
    "size_param": "",
    "since_param": "$filter",
    "since": "modifiedon ge {time}",
    "since_and": "({params}) and {since}",
    "updated": "modifiedon",
    "etag": "@odata.etag",
    "push": "PATCH",
    "push_path": "({id})",
    "push_headers": {"Prefer": "return=representation"},
    "ids": "client",
}

SHARED: Final[Mapping[str, Any]] = {"create": "PATCH"}
"""Presets where TracOS's own numbers are GUIDs, under which Dataverse makes orders."""


class DynamicsFsOptions(HttpOptions, frozen=True, kw_only=True):
    """``url`` ends in ``/api/data/v9.2/msdyn_workorders``."""

    reference: str = ""
    """Key of the client's records in which our number is kept, if there is one: by it an order is found again."""

    def id_at(self, address: str) -> str | None:
        """The GUID of an order at the address that the header OData-EntityId names."""
        return dynamics_fs.guid(super().id_at(address) or "")


class DynamicsFsConnector(HttpConnector):
    """Knows orders by GUIDs, which mean the same in capitals and in small letters."""

    def from_record(self, record: Record) -> Outgoing:
        """The record in Dataverse's JSON; raises Rejected for an id that is no GUID, before anything is sent."""
        if not record.is_linked:
            return super().from_record(record)
        guid = dynamics_fs.guid(record.external_id)
        if guid is None:
            why = "an order's id must be a GUID to be told to Dynamics; this one was born in TracOS, or is not its own"
            raise Rejected(Reason(why, "$.number"))
        return replace(super().from_record(record), id=guid)

    def ids_in(self, raw: bytes) -> Sequence[ExternalId]:
        """The order's GUID, in small letters."""
        return [dynamics_fs.guid(found) or found for found in super().ids_in(raw)]


OPTIONS: Final = HttpOptions


def connect(settings: ClientSettings) -> HttpConnector:
    """The client that ``settings`` describe."""
    table = dynamics_fs.TABLE.referring(settings.options.get("reference"))
    select = {"$select": ",".join(sorted(table.keys))}
    shared = SHARED if settings.options.get("ids") == "shared" else {}
    presets = {**PRESETS, **shared, "params": select, "order_params": select}
    return DynamicsFsConnector(settings, (table,), presets, DynamicsFsOptions)
