"""Dynamics 365 Field Service: work orders over the Dataverse Web API."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.http_connector import HttpConnector
from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import ExternalId, Record
from pipeline.translation import dynamics_fs
from pipeline.transports.http import HttpOptions

__all__ = ["connect"]

SELECT: Final = {"$select": ",".join(sorted(dynamics_fs.LAYOUT.keys))}

PRESETS: Final[Mapping[str, Any]] = {
    "items": "value",
    "page": "link",
    "next": "@odata.nextLink",
    "size_param": "",
    "params": SELECT,
    "order_params": SELECT,
    "since_param": "$filter",
    "since": "modifiedon ge {time}",
    "since_and": "({params}) and {since}",
    "updated": "modifiedon",
    "etag": "@odata.etag",
    "push": "PATCH",
    "push_path": "({id})",
    "push_headers": {"Prefer": "return=representation"},
    "create": "PATCH",
}


class DynamicsFsConnector(HttpConnector):
    """Knows orders by GUIDs, which mean the same in capitals and in small letters."""

    def from_record(self, record: Record) -> Outgoing:
        """The record in Dataverse's JSON; raises Rejected for an order without a GUID, before anything is sent."""
        guid = dynamics_fs.guid(record.external_id)
        if guid is None:
            why = "an order's id must be a GUID to be told to Dynamics; this one was born in TracOS, or is not its own"
            raise Rejected(Reason(why, "$.number"))
        return replace(super().from_record(record), id=guid)

    def identify(self, raw: bytes) -> ExternalId | None:
        """The order's GUID, in small letters."""
        found = super().identify(raw)
        return found if found is None else dynamics_fs.guid(found) or found


def connect(settings: ClientSettings) -> HttpConnector:
    """The client that ``settings`` describe; ``url`` ends in ``/api/data/v9.2/msdyn_workorders``."""
    return DynamicsFsConnector(settings, (dynamics_fs.TABLE,), PRESETS, HttpOptions)
