"""SAP plant maintenance: maintenance orders over an OData service in JSON."""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.clients.connector import ClientSettings
from pipeline.clients.http_connector import HttpConnector
from pipeline.translation import sap_pm

__all__ = ["connect"]

PRESETS: Final[Mapping[str, Any]] = {
    "items": "value",
    "page": "link",
    "next": "@odata.nextLink",
    "size_param": "",
    "since_param": "$filter",
    "since": "LastChangeDateTime ge {time}",
    "updated": "LastChangeDateTime",
    "etag": "@odata.etag",
    "push": "PATCH",
    "push_path": "('{id}')",
    "create": "POST",
}
"""OData 4; for a service of OData 2 set ``items = "d.results"`` and ``next = "d.__next"``."""


def connect(settings: ClientSettings) -> HttpConnector:
    """The client that ``settings`` describe."""
    return HttpConnector(settings, (sap_pm.LAYOUT,), PRESETS)
