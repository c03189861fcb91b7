"""SAP plant maintenance: maintenance orders over an OData service in JSON, of OData 4 or 2.

Sources: OASIS OData 4.0; odata.org OData 2.0, "URI Conventions" (``datetimeoffset'...'``, quotes in keys doubled) and
"JSON Format" (the envelope ``d``, ``__next``, ``/Date(...)/``); SAP Help "Cross-Site Request Forgery Protection" and
"Logon Language": the codes of system statuses depend on the language of the logon, so EN is asked for each time.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pipeline.clients.connector import ClientSettings
from pipeline.clients.http_connector import HttpConnector
from pipeline.translation import sap_pm
from pipeline.translation.times import TICKS
from pipeline.transports.http import HttpOptions

__all__ = ["OPTIONS", "connect"]

TWO: Final = 2
LANGUAGE: Final = {"sap-language": "EN"}

PRESETS: Final[Mapping[str, Any]] = {
    "items": "value",
    "page": "link",
    "next": "@odata.nextLink",
    "size_param": "",
    "params": LANGUAGE,
    "order_params": LANGUAGE,
    "headers": {"Accept-Language": "en"},
    "since_param": "$filter",
    "since": "LastChangeDateTime ge {time}",
    "since_and": "({params}) and {since}",
    "updated": "LastChangeDateTime",
    "etag": "@odata.etag",
    "csrf": True,
    "push": "PATCH",
    "push_path": "('{id}')",
    "create": "POST",
    "ids": "client",
}

PRESETS_2: Final[Mapping[str, Any]] = {
    **PRESETS,
    "items": "d.results",
    "next": "d.__next",
    "item": "d",
    "since": "LastChangeDateTime ge datetimeoffset'{time}'",
    "etag": "__metadata.etag",
}


class SapPmOptions(HttpOptions, frozen=True, kw_only=True):
    """``url`` is that of the entity set."""

    odata: Literal[2, 4] | None = None
    """The version that the service speaks; not set: 2 where ``items`` lie in ``d``, else 4."""
    plants: tuple[str, ...] = ()
    """Maintenance planning plants: orders of others are skipped; where there is one, a new order is told it."""
    reference: str = ""
    """Key of the client's records in which our number is kept, if there is one: by it an order is found again."""


class SapPmConnector(HttpConnector):
    """Speaks the version of OData that the service does."""

    def __init__(self, settings: ClientSettings) -> None:
        said = settings.options
        in_d = str(said.get("items", "")).partition(".")[0] == "d"
        version = said.get("odata") or (2 if in_d else 4)
        presets = PRESETS_2 if version == TWO else PRESETS
        plants = said.get("plants")
        ours = [plant for plant in plants if isinstance(plant, str)] if isinstance(plants, list) else []
        table = sap_pm.table_of(TICKS if version == TWO else "", ours).referring(said.get("reference"))
        super().__init__(settings, (table,), presets, SapPmOptions)


OPTIONS: Final = SapPmOptions


def connect(settings: ClientSettings) -> HttpConnector:
    """The client that ``settings`` describe."""
    return SapPmConnector(settings)
