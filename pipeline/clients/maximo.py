"""IBM Maximo: work orders over its REST/JSON API, object structure MXAPIWODETAIL."""

import base64
from collections.abc import Mapping
from typing import Any, Final

from pipeline.clients.connector import ClientSettings
from pipeline.clients.http_connector import HttpConnector
from pipeline.translation import maximo
from pipeline.transports.http import HttpOptions

__all__ = ["connect"]

PRESETS: Final[Mapping[str, Any]] = {
    "items": "member",
    "page": "link",
    "next": "responseInfo.nextPage.href",
    "size_param": "oslc.pageSize",
    "params": {"lean": "1", "oslc.select": ",".join(sorted(maximo.LAYOUT.keys))},
    "since_param": "oslc.where",
    "since": 'changedate>="{time}"',
    "updated": "changedate",
    "push": "POST",
    "push_headers": {"x-method-override": "PATCH", "patchtype": "MERGE"},
    "create": "POST",
}


class MaximoOptions(HttpOptions, frozen=True, kw_only=True):
    """``url`` is that of the object structure, such as ``https://HOST/maximo/api/os/mxapiwodetail``."""

    site: str
    """SITEID of all orders: with it an order's number becomes its address, as IBM's guide shows it."""

    def address(self, order_id: str, path: str) -> str:
        """``_`` and the base64 of SITE/WONUM."""
        key = base64.urlsafe_b64encode(f"{self.site}/{order_id}".encode()).decode().rstrip("=")
        return super().address(f"_{key}", path)


def connect(settings: ClientSettings) -> HttpConnector:
    """The client that ``settings`` describe."""
    return HttpConnector(settings, (maximo.LAYOUT,), PRESETS, MaximoOptions)
