"""IBM Maximo: work orders of one site over its REST/JSON API, object structure MXAPIWODETAIL.

Source: IBM's Maximo REST API Guide: a resource's address is the ``href`` that its list shows; ``lean=1`` for keys
without a namespace, also in what is written; a change is POST with x-method-override: PATCH, a creation POST to the
list; the header ``properties`` has the answer show what was written. ``status_maxvalue`` is Maximo's own word behind
a synonym.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.http_connector import HttpConnector
from pipeline.errors import Reason, Rejected, WrongSettings
from pipeline.orders.workorder import ExternalId, Record
from pipeline.translation import maximo
from pipeline.translation.json import dump
from pipeline.transports.http import HttpOptions
from pipeline.transports.http.push import makes

__all__ = ["OPTIONS", "connect"]

WHERE: Final = "oslc.where"
OWN_WORDS: Final = maximo.TABLE.status.words

PRESETS: Final[Mapping[str, Any]] = {
    "items": "member",
    "page": "link",
    "next": "responseInfo.nextPage.href",
    "size_param": "oslc.pageSize",
    "order_params": {"lean": "1"},
    "since_param": WHERE,
    "since": 'changedate>="{time}"',
    "since_and": "{params} and {since}",
    "updated": "changedate",
    "href": "href",
    "push": "POST",
    "push_headers": {"properties": "wonum,siteid"},
    "update_headers": {"x-method-override": "PATCH", "patchtype": "MERGE"},
    "create": "POST",
    "ids": "client",
}

_SITE: Final = re.compile(r"[^\s\"'\\]+")


class MaximoOptions(HttpOptions, frozen=True, kw_only=True):
    """``url`` is that of the object structure, such as ``https://HOST/maximo/api/os/mxapiwodetail``."""

    site: str
    """SITEID of all orders: only its orders are asked for, taken and created. Maximo knows it in capitals."""
    words: Mapping[str, str] = {}
    """Maximo's own status word -> the site's, where the site has one of its own: ``{ COMP = "4COMP" }``."""
    reference: str = ""
    """Key of the client's records in which our number is kept, if there is one: by it an order is found again."""

    def __post_init__(self) -> None:
        """Raise WrongSettings for what cannot work."""
        problems = []
        if _SITE.fullmatch(self.site) is None:
            problems.append("site: expected a SITEID such as BEDFORD")
        unknown = sorted(self.words.keys() - OWN_WORDS.keys())
        if unknown:
            problems.append(f"words: {', '.join(unknown)}: no status of Maximo's own; known: {', '.join(OWN_WORDS)}")
        if problems:
            raise WrongSettings(problems)
        super().__post_init__()

    @property
    def siteid(self) -> str:
        """The site, as Maximo has it."""
        return self.site.upper()

    def query(self, since: str | None) -> dict[str, str]:
        """What the list is asked for: the site's orders alone, whatever else is asked."""
        params = super().query(since)
        asked = f'siteid="{self.siteid}"'
        params[WHERE] = f"{asked} and {params[WHERE]}" if params.get(WHERE) else asked
        return params

    def address(self, order_id: str, path: str) -> str:
        """Of an order whose own address the list has not shown: ``_`` and the base64 of SITE/WONUM."""
        key = base64.urlsafe_b64encode(f"{self.siteid}/{order_id}".encode()).decode().rstrip("=")
        return super().address(f"_{key}", path)

    def order_at(self, address: str) -> str | None:
        """The number of the order at such an address."""
        key = super().order_at(address) or ""
        try:
            said = base64.b64decode(f"{key[1:]}{'=' * (-len(key[1:]) % 4)}", b"-_", validate=True).decode()
        except ValueError:
            return None
        return said.removeprefix(f"{self.siteid}/") if key[:1] == "_" and said.startswith(f"{self.siteid}/") else None

    def id_at(self, address: str) -> str | None:
        """The same, where it is no address of one: then it tells no number."""
        return self.order_at(address)


class MaximoConnector(HttpConnector):
    """Keeps to one site, and speaks its words."""

    options: MaximoOptions

    def validate(self, data: Any) -> Any:
        """The record, checked; raises Rejected for one of another site."""
        if isinstance(data, Record):
            return super().validate(data)
        if any(key.startswith("spi:") for key in data):
            raise Rejected("its keys begin with spi:, so it is not lean: set lean=1 in params")
        site = data.get("siteid")
        if site is not None and site != self.options.siteid:
            raise Rejected(Reason(f"an order of another site than {self.options.siteid}", "$.siteid"))
        return super().validate(data)

    def from_record(self, record: Record) -> Outgoing:
        """The record in Maximo's JSON; a new one belongs to the site."""
        told = super().from_record(record)
        if not makes(told, self.options):
            return told
        return replace(told, body=dump({**msgspec.json.decode(told.body), "siteid": self.options.siteid}))

    def identify(self, raw: bytes) -> ExternalId | None:
        """The order's number; with its site, where that is another one, whose numbers may be the same."""
        number = super().identify(raw)
        try:
            site = self.parse(raw).get("siteid")
        except Rejected:
            return number
        return number if number is None or site in (None, self.options.siteid) else f"{site}/{number}"


OPTIONS: Final = MaximoOptions


def connect(settings: ClientSettings) -> HttpConnector:
    """The client that ``settings`` describe."""
    words = settings.options.get("words")
    known = {own: said for own, said in words.items() if own in OWN_WORDS} if isinstance(words, Mapping) else {}
    table = maximo.table_of(known).referring(settings.options.get("reference"))
    presets = {**PRESETS, "params": {"lean": "1", "oslc.select": ",".join(sorted({*table.keys, "siteid"}))}}
    return MaximoConnector(settings, (table,), presets, MaximoOptions)
