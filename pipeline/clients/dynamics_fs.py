"""Dynamics 365 Field Service: work orders over the Dataverse Web API."""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.clients.connector import ClientSettings
from pipeline.clients.http_connector import HttpConnector
from pipeline.translation import dynamics_fs

__all__ = ["connect"]

PRESETS: Final[Mapping[str, Any]] = {
    "items": "value",
    "page": "link",
    "next": "@odata.nextLink",
    "size_param": "",
    "params": {"$select": ",".join(sorted(dynamics_fs.LAYOUT.keys))},
    "since_param": "$filter",
    "since": "modifiedon ge {time}",
    "updated": "modifiedon",
    "etag": "@odata.etag",
    "push": "PATCH",
    "push_path": "({id})",
    "push_headers": {"Prefer": "return=representation"},
}


def connect(settings: ClientSettings) -> HttpConnector:
    """The client that ``settings`` describe; ``url`` ends in ``/api/data/v9.2/msdyn_workorders``."""
    return HttpConnector(settings, (dynamics_fs.LAYOUT,), PRESETS)
