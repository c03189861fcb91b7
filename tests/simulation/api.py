"""An ERP that is reached over HTTP: the real client, on a network in memory, with an API over the ERP's records."""

import json
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

import httpx

from pipeline.clients.connector import ClientSettings
from pipeline.clients.http_connector import HttpConnector
from pipeline.dataflow.ports import NOTHING_IS_SURE, Source, Witness
from pipeline.errors import Deferred, Rejected
from pipeline.transports.http.options import HttpOptions
from tests.simulation.clock import Clock
from tests.simulation.erp import REFERENCE, Erp
from tests.simulation.ported import PortedSource
from tests.simulation.ports import Ports
from tests.simulation.steps import Api, Setting
from tests.simulation.words import token

URL = "http://erp.example/orders"
PAGE = 2
ETAG = "_etag"
REFUSALS = (422, 403, 500, 409)
"""What an order that the ERP does not take may be answered."""


class Said(NamedTuple):
    """What is answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


class _Stream(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def options_of(setting: Setting, updated: str) -> dict[str, Any]:
    """The options of a client of such an API."""
    api: Api = setting.api
    said: dict[str, Any] = {
        "url": URL,
        "items": "items",
        "page": api.page,
        "page_size": PAGE,
        "updated": updated,
        "push": api.push,
        "ids": setting.ids,
        "parallel": 2,
        "attempts": 3,
        "absent": api.absent,
    }
    said |= {"next": "next"} if api.page in ("link", "cursor") else {}
    said |= {"since_param": "since", "in_order": False} if api.since else {}
    said |= {"etag": ETAG} if api.etag else {}
    said |= {"find": f"?{REFERENCE}={{number}}"} if api.find and setting.ids == "client" else {}
    return said


class HttpApi:
    """Answers the requests of runs."""

    def __init__(self, erp: Erp, api: Api) -> None:
        self._erp = erp
        self._api = api
        self._known: dict[str, Said] = {}
        """Answers by Idempotency-Key."""

    async def answer(self, request: httpx.Request, ports: Ports, late: set[str], refused: set[str]) -> httpx.Response:
        """The answer to a request, or what comes of it on its way."""
        said = await self._answered(request, ports, late, refused)
        headers = {"Content-Type": "application/json", "Date": _date(self._erp), **said.headers}
        return httpx.Response(said.status, headers=headers, stream=_Stream(said.body))

    async def _answered(self, request: httpx.Request, ports: Ports, late: set[str], refused: set[str]) -> Said:
        order_id = unquote(request.url.path.removeprefix("/orders").removeprefix("/"))
        port = "erp.push" if request.method != "GET" else "erp.get" if order_id else "erp.list"
        try:
            async with ports.using(port) as faults:
                if early := _failure(faults):
                    return early
                answer = self._done(request, order_id, faults, late, refused)
        except Deferred as error:
            raise httpx.ReadError("the connection is lost", request=request) from error
        except Rejected:
            return _said(422, {"detail": "not now"})
        if "timeout" in faults:
            raise httpx.ReadTimeout("no answer", request=request)
        if "torn" in faults:
            return answer._replace(body=answer.body[: len(answer.body) // 2])
        return answer

    def _done(self, request: httpx.Request, order_id: str, faults: set[str], late: set[str], refused: set[str]) -> Said:
        if request.method != "GET":
            return self._pushed(request, order_id, refused)
        if order_id:
            return self._one(order_id)
        return self._page(dict(parse_qsl(request.url.query.decode())), faults, late)

    def _shown(self, order_id: str) -> dict[str, Any]:
        more = {ETAG: self._etag(order_id)} if self._api.etag else {}
        return self._erp.records[order_id] | more

    def _etag(self, order_id: str) -> str:
        return f'"{self._erp.etags.get(order_id, 0)}"'

    def _one(self, order_id: str) -> Said:
        if order_id not in self._erp.records:
            return _said(404, {"detail": "no such order"})
        return _said(200, self._shown(order_id), ETag=self._etag(order_id))

    def _page(self, query: Mapping[str, str], faults: set[str], late: set[str]) -> Said:
        ids = [one for one in self._erp.records if one not in late or REFERENCE in query]
        if (since := query.get("since")) is not None:
            updated = self._erp.form.updated
            ids = [one for one in ids if str(self._erp.records[one].get(updated, "")) >= since]
        if (number := query.get(REFERENCE)) is not None:
            ids = [one for one in ids if str(self._erp.records[one].get(REFERENCE)) == number]
        size = int(query.get("limit", len(ids) or 1))
        start = int(query.get("offset", query.get("cursor", 0)))
        start = (int(query["page"]) - 1) * size if "page" in query else start
        first = max(0, start - ("repeat" in faults)) + ("skip" in faults and start > 0)
        page: dict[str, Any] = {"items": [self._shown(one) for one in ids[first : start + size]]}
        if start + size < len(ids) and self._api.page in ("link", "cursor"):
            after = start + size
            link = f"{URL}?{urlencode({**query, 'cursor': after})}"
            page["next"] = link if self._api.page == "link" else str(after)
        return _said(200, page)

    def _pushed(self, request: httpx.Request, order_id: str, refused: set[str]) -> Said:
        body, key = json.loads(request.content), request.headers.get("Idempotency-Key")
        if key is not None and self._api.keys and key in self._known:
            return self._known[key]
        if (order_id or str(body.get(REFERENCE))) in refused:
            status = REFUSALS[self._erp.etags.get(order_id, 0) % len(REFUSALS)]
            return _said(status, {"detail": "this one is not taken"})
        answer = self._taken(request, order_id, body)
        if key is not None and self._api.keys and answer.status < 300:
            self._known[key] = answer
        return answer

    def _taken(self, request: httpx.Request, order_id: str, body: dict[str, Any]) -> Said:
        erp, wanted = self._erp, request.headers.get("If-Match")
        is_there = order_id in erp.records
        if (wanted and wanted != self._etag(order_id)) or (is_there and request.headers.get("If-None-Match") == "*"):
            return _said(412, {"detail": "changed since"})
        if not is_there and (request.method == "PATCH" or (order_id and erp.setting.ids == "client")):
            return _said(404, {"detail": "no such order"})
        if not self._api.etag:
            erp.overwrites(body, order_id)
        body.pop(ETAG, None)
        made = erp.take(body, order_id) if order_id else erp.make(body)
        erp.handed.add(token(body.get(erp.form.title)))
        if not order_id and self._api.answers == "nothing":
            return Said(204)
        if not order_id and self._api.answers == "location":
            return Said(201, b"", {"Location": f"{URL}/{quote(made)}", "ETag": self._etag(made)})
        return _said(200 if is_there else 201, self._shown(made), ETag=self._etag(made))


class HttpClient(HttpConnector):
    """The client of a JSON API; settling is a port too."""

    def __init__(self, settings: ClientSettings, layouts: Any) -> None:
        super().__init__(settings, layouts, options=HttpOptions)

    def reach(self, ports: Ports) -> None:
        """The ends of a run."""
        self._ports = ports

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The list."""
        return PortedSource(super().source(witness), self._ports)


def _failure(faults: set[str]) -> Said | None:
    """What is answered before anything is done."""
    if "429" in faults:
        return Said(429, b"", {"Retry-After": "1"})
    if "500" in faults:
        return _said(500, {"detail": "as was asked for"})
    if "403" in faults:
        return _said(403, {"detail": "not you"})
    return None


def _said(status: int, body: Any, **headers: str) -> Said:
    return Said(status, json.dumps(body).encode(), headers)


def _date(erp: Erp) -> str:
    clock = Clock()
    clock.moment = erp.clock.moment
    clock.tick(erp.setting.skew)
    return clock.moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
