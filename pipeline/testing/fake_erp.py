"""A small ERP with a JSON API on a real port of this machine, whose faults can be switched on; for tests and trials."""

import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from pipeline.testing.habits import Faults, Habits
from pipeline.translation.paths import getter, put

__all__ = ["FakeErp", "Request"]

Reply: TypeAlias = tuple[int, bytes, dict[str, str]]
"""Status, body, headers."""

REMEMBERED: Final = 100_000
READ: Final = "a-read-gave-it"


class Request(NamedTuple):
    """One request that was served."""

    at: float
    """time.monotonic()"""
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    status: int


class FakeErp:
    """Serves ``orders`` (by id) at ``url`` while it is open: GET lists them, PUT, PATCH and POST take them.

    Lists by pages of ``limit``: by page, offset, cursor, or the header Link; ``updated_since`` leaves out what did not
    change. Each order has an ETag in the key ``_etag`` and in the header; If-Match is honoured. The same
    Idempotency-Key is applied once. PUT replaces all of an order, PATCH only what it names; ``merges``: so does
    POST, and PATCH creates too. ``token``: what the header Authorization must hold; ``/token`` gives it to client
    credentials ``id`` and ``secret``. ``skew``: how far its clock is off. ``refuse``: a reason by id (by our number,
    where it numbers orders itself), told with 422. ``habits``: what it does otherwise. Keys are joined by dots.
    """

    def __init__(
        self,
        *,
        faults: Faults | None = None,
        token: str | None = None,
        skew: timedelta = timedelta(0),
        id_key: str = "id",
        updated_key: str = "updatedAt",
        merges: bool = False,
        habits: Habits | None = None,
        port: int = 0,
    ) -> None:
        self.faults = faults or Faults()
        self.habits = habits or Habits()
        self.token = token
        self.skew = skew
        self.id_key = id_key
        self.updated_key = updated_key
        self.merges = merges
        self.orders: dict[str, dict[str, Any]] = {}
        self.refuse: dict[str, str] = {}
        self.requests: list[Request] = []
        self.applied = 0
        """How many writes were applied, those under a known Idempotency-Key not counted."""
        self._lock = threading.Lock()
        self._versions: dict[str, int] = {}
        self._keys: dict[str, Reply] = {}
        self._created = 0
        self._removed: set[str] = set()
        self._before: deque[tuple[str, dict[str, Any] | None]] = deque(maxlen=self.habits.late)
        """What the last writes changed, as it was before; by the order's id."""
        erp = self

        class Handler(_Handler):
            def __init__(self, *arguments: Any) -> None:
                self.erp = erp
                super().__init__(*arguments)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Of the list of orders."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/orders"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def now(self) -> datetime:
        """Its clock."""
        return datetime.now(UTC) + self.skew

    def put(self, order: Mapping[str, Any]) -> None:
        """Hold ``order`` as it is."""
        with self._lock:
            self._put(str(_said(order, self.id_key)), dict(order))

    def edit(self, order_id: object, **fields: Any) -> None:
        """Somebody edits an order at the ERP, now."""
        with self._lock:
            edited = _merged(self.orders[str(order_id)], fields)
            put(edited, _path(self.updated_key), self.now().isoformat())
            self._put(str(order_id), edited)

    def remove(self, order_id: object) -> None:
        """Somebody removes an order at the ERP."""
        with self._lock:
            del self.orders[str(order_id)]
            self._removed.add(str(order_id))

    def catch_up(self) -> None:
        """The list shows everything as it is."""
        self._before.clear()

    def etag(self, order_id: str) -> str:
        """The order's ETag."""
        return f'"{self._versions.get(order_id, 0)}"'

    def shown(self, order_id: str) -> dict[str, Any]:
        """The order as the API shows it."""
        return {**self.orders[order_id], "_etag": self.etag(order_id)}

    def one(self, order_id: str) -> Reply:
        """What it answers where it is asked for one order."""
        with self._lock:
            if order_id in self._removed:
                return self.habits.gone, b'{"detail": "it was removed"}', {}
            if order_id not in self.orders:
                return 404, b'{"detail": "no such order"}', {}
            return 200, json.dumps(self.shown(order_id)).encode(), {"ETag": self.etag(order_id)}

    def page(self, query: Mapping[str, str], fault: str | None = None) -> tuple[dict[str, Any], dict[str, str]]:
        """One page, and its headers."""
        with self._lock:
            orders = self._listed()
            ids = list(orders)
            since = query.get("updated_since")
            if since is not None:
                ids = [one for one in ids if _instant(_said(orders[one], self.updated_key)) >= _instant(since)]
            reference = self.habits.reference
            if reference and reference in query:
                ids = [one for one in ids if str(_said(orders[one], reference)) == query[reference]]
            size = min(int(query.get("limit", len(ids) or 1)), self.habits.cap or REMEMBERED)
            start = int(query["offset"]) if "offset" in query else int(query.get("cursor", 0))
            start = (int(query["page"]) - 1) * size if "page" in query else start
            found = ids[max(0, start - 3) if fault == "duplicate" else start : start + size]
            items = [{**orders[one], "_etag": self.etag(one)} for one in found]
            page: dict[str, Any] = {"items": items, "next": None, "cursor": None}
            if fault == "reorder":
                page["items"].reverse()
            headers = {}
            if start + size < len(ids):
                following = f"{self.url}?{urlencode({**query, 'cursor': start + size})}"
                page |= {"next": following, "cursor": start + size}
                headers["Link"] = f'<{following}>; rel="next"'
            return page, headers

    def take(self, method: str, order_id: str | None, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Apply a write, and answer it."""
        try:
            order = json.loads(body)
        except ValueError:
            return 400, b'{"detail": "not JSON"}', {}
        if not isinstance(order, dict):
            return 400, b'{"detail": "no order"}', {}
        key = headers.get("Idempotency-Key") if self.habits.honours_keys else None
        with self._lock:
            if key in self._keys:
                return self._keys[key]
            done = self._taken(method, order_id, order, headers)
            if key is not None and done[0] in {200, 201, 204}:
                self._keys[key] = done
                if len(self._keys) > REMEMBERED:
                    del self._keys[next(iter(self._keys))]
            return done

    def _taken(self, method: str, order_id: str | None, order: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        numbers = self.habits.numbers
        is_made = numbers is not None and method == "POST" and order_id is None
        order_id = str(_said(order, self.id_key, order_id))
        if refused := self._refused(str(_said(order, self.habits.reference, order_id))):
            return refused
        if numbers is not None and is_made:
            self._created += 1
            put(order, _path(self.id_key), numbers(self._created))
            order_id = str(_said(order, self.id_key))
        known = self.orders.get(order_id)
        if order_id in self._removed:
            return self.habits.gone, b'{"detail": "it was removed"}', {}
        wanted = headers.get("If-Match")
        if (wanted and wanted not in ("*", self.etag(order_id))) or (known and headers.get("If-None-Match") == "*"):
            return 412, b'{"detail": "changed since"}', {}
        if known is None and not is_made and (numbers is not None or (method == "PATCH" and not self.merges)):
            return 404, b'{"detail": "no such order"}', {}
        keeps = method == "PATCH" or (self.merges and method == "POST")
        order = {name: self.habits.rendered(name, value) for name, value in order.items()}
        self._before.append((order_id, known))
        self._put(order_id, _merged(known or {}, order) if keeps else order)
        self.applied += 1
        etag = {"ETag": self.etag(order_id)}
        if is_made and self.habits.answers != "body":
            location = {"Location": f"{self.url}/{quote(order_id, safe='')}", **etag}
            return (201, b"", location) if self.habits.answers == "location" else (204, b"", {})
        return (200 if known else 201), json.dumps(self.shown(order_id)).encode(), etag

    def _refused(self, ours: str) -> Reply | None:
        if ours not in self.refuse:
            return None
        return 422, json.dumps({"title": "refused", "detail": self.refuse[ours]}).encode(), {}

    def _listed(self) -> Mapping[str, dict[str, Any]]:
        """What the list shows."""
        if not self._before:
            return self.orders
        listed: dict[str, dict[str, Any] | None] = dict(self.orders)
        for order_id, before in reversed(self._before):
            if order_id in listed:
                listed[order_id] = before
        return {order_id: order for order_id, order in listed.items() if order is not None}

    def _put(self, order_id: str, order: dict[str, Any]) -> None:
        order.pop("_etag", None)
        self.orders[order_id] = order
        self._versions[order_id] = self._versions.get(order_id, 0) + 1


def _path(key: str) -> tuple[str, ...]:
    return tuple(key.split("."))


def _said(order: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """What an order says at ``key``, keys joined by dots."""
    said = getter(_path(key))(order)
    return default if said is None else said


def _merged(held: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``held`` with what ``more`` names, in objects too, as RFC 7396 has it."""
    nested = {key: _merged(held.get(key) or {}, value) for key, value in more.items() if isinstance(value, dict)}
    return {**held, **more, **nested}


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1 for the FakeErp ``erp``."""

    erp: FakeErp
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """A page of the list, or one order."""
        self._serve(b"")

    def _write(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_PUT = do_POST = do_PATCH = _write  # noqa: N815 - the standard library looks for these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base names it
        """Keep quiet: ``requests`` tells."""

    def _serve(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        fault = None if parts.path == "/token" else self.erp.faults.draw(writes=self.command != "GET")
        if fault == "drop" and self.erp.faults.coin():
            self._note(parts.path, query, 0)
            self.close_connection = True
            return
        if fault in {"429", "500", "503"}:
            status, answer = int(fault), b'{"detail": "as was asked for"}'
            headers = {"Retry-After": self.erp.faults.retry_after} if fault == "429" else {}
        else:
            status, answer, headers = self._work(parts.path, query, body, fault)
        if fault == "garbled" and self.command == "GET":
            answer = answer[: len(answer) // 2]
        self._note(parts.path, query, status)  # before the answer: whoever has that finds this
        self._answer(status, answer, headers, fault)

    def _work(self, path: str, query: dict[str, str], body: bytes, fault: str | None) -> Reply:
        erp = self.erp
        if path == "/token":
            token = {"access_token": (erp.token or "").removeprefix("Bearer "), "expires_in": 3600}
            return 200, json.dumps(token).encode(), {}
        if erp.token is not None and self.headers.get("Authorization") != erp.token:
            return 401, b'{"detail": "who are you?"}', {}
        order_id = unquote(path.removeprefix("/orders").removeprefix("/").strip("()'")) or None
        if self.command != "GET":
            if erp.habits.csrf and not self._has_token():
                return 403, b'{"detail": "CSRF token validation failed"}', {"X-CSRF-Token": "Required"}
            return erp.take(self.command, order_id, body, dict(self.headers.items()))
        if order_id is None:
            page, headers = erp.page(query, fault)
            status, answer = 200, json.dumps(page).encode()
        else:
            status, answer, headers = erp.one(order_id)
        if erp.habits.csrf and self.headers.get("X-CSRF-Token") == "Fetch":
            headers = {**headers, "X-CSRF-Token": READ, "Set-Cookie": f"xsrf={READ}; path=/"}
        return status, answer, headers

    def _has_token(self) -> bool:
        return self.headers.get("X-CSRF-Token") == READ and f"xsrf={READ}" in self.headers.get("Cookie", "")

    def _answer(self, status: int, answer: bytes, headers: Mapping[str, str], fault: str | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Date", format_datetime(self.erp.now(), usegmt=False))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        for name, value in headers.items():
            self.send_header(name, value)
        if fault in {"drop", "lost"}:
            self.close_connection = True
            return
        self.end_headers()
        self.wfile.write(answer[: len(answer) // 2] if fault == "torn" else answer)
        self.wfile.flush()
        self.close_connection |= fault == "torn"

    def _note(self, path: str, query: Mapping[str, str], status: int) -> None:
        headers = dict(self.headers.items())
        self.erp.requests.append(Request(time.monotonic(), self.command, path, query, headers, status))


def _instant(said: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(said))
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)  # nobody knows: it is shown
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
