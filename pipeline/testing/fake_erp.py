"""A small ERP with a JSON API on a real port of this machine, whose faults can be switched on; for tests and trials."""

import json
import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

__all__ = ["FakeErp", "Faults", "Request"]

REMEMBERED: Final = 100_000


class Faults:
    """What goes wrong: a ``share`` of all answers, of ``kinds``, chosen by ``seed``.

    ``429`` (with Retry-After), ``500``, ``503``, ``drop`` (the connection is closed, half of the time after the work
    was done), ``torn`` (half an answer), ``garbled`` (a page that is no JSON), ``duplicate`` (a page that holds some
    orders of the page before again), ``reorder`` (a page in another order).
    """

    ALL: Final = ("429", "500", "503", "drop", "torn", "garbled", "duplicate", "reorder")

    def __init__(self, share: float = 0.0, kinds: tuple[str, ...] = ALL, *, seed: int = 0) -> None:
        self.share = share
        self.kinds = kinds
        self.retry_after = "0"
        self._random = random.Random(seed)  # noqa: S311 - faults, no secrets
        self._next: list[str] = []

    def once(self, *kinds: str) -> None:
        """These, one after the other, whatever the share."""
        self._next += kinds

    def draw(self) -> str | None:
        """What is to go wrong with one answer."""
        if self._next:
            return self._next.pop(0)
        return self._random.choice(self.kinds) if self._random.random() < self.share else None

    def coin(self) -> bool:
        """One of two."""
        return self._random.random() < 0.5  # noqa: PLR2004 - half


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
    credentials ``id`` and ``secret``. ``skew``: how far its clock is off. ``refuse``: a reason by id, told with 422.
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
        port: int = 0,
    ) -> None:
        self.faults = faults or Faults()
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
        self._keys: dict[str, tuple[int, bytes]] = {}
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
            self._put(str(order[self.id_key]), dict(order))

    def edit(self, order_id: object, **fields: Any) -> None:
        """Somebody edits an order at the ERP, now."""
        with self._lock:
            self._put(str(order_id), self.orders[str(order_id)] | fields | {self.updated_key: self.now().isoformat()})

    def etag(self, order_id: str) -> str:
        """The order's ETag."""
        return f'"{self._versions.get(order_id, 0)}"'

    def shown(self, order_id: str) -> dict[str, Any]:
        """The order as the API shows it."""
        return {**self.orders[order_id], "_etag": self.etag(order_id)}

    def page(self, query: Mapping[str, str], fault: str | None = None) -> tuple[dict[str, Any], dict[str, str]]:
        """One page, and its headers."""
        with self._lock:
            ids = list(self.orders)
            since = query.get("updated_since")
            if since is not None:
                ids = [one for one in ids if _instant(self.orders[one].get(self.updated_key)) >= _instant(since)]
            size = int(query.get("limit", len(ids) or 1))
            start = int(query["offset"]) if "offset" in query else int(query.get("cursor", 0))
            start = (int(query["page"]) - 1) * size if "page" in query else start
            found = ids[max(0, start - 3) if fault == "duplicate" else start : start + size]
            page: dict[str, Any] = {"items": [self.shown(one) for one in found], "next": None, "cursor": None}
            if fault == "reorder":
                page["items"].reverse()
            headers = {}
            if start + size < len(ids):
                following = f"{self.url}?{urlencode({**query, 'cursor': start + size})}"
                page |= {"next": following, "cursor": start + size}
                headers["Link"] = f'<{following}>; rel="next"'
            return page, headers

    def take(  # noqa: PLR0911 - a line a refusal
        self, method: str, order_id: str | None, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Apply a write: its status and answer."""
        try:
            order = json.loads(body)
        except ValueError:
            return 400, b'{"detail": "not JSON"}'
        if not isinstance(order, dict):
            return 400, b'{"detail": "no order"}'
        order_id = str(order.get(self.id_key, order_id))
        key = headers.get("Idempotency-Key")
        with self._lock:
            if key in self._keys:
                return self._keys[key]
            if order_id in self.refuse:
                return 422, json.dumps({"title": "refused", "detail": self.refuse[order_id]}).encode()
            known = self.orders.get(order_id)
            wanted = headers.get("If-Match")
            if (wanted and wanted not in ("*", self.etag(order_id))) or (known and headers.get("If-None-Match") == "*"):
                return 412, b'{"detail": "changed since"}'
            if method == "PATCH" and known is None and not self.merges:
                return 404, b'{"detail": "no such order"}'
            keeps = method == "PATCH" or (self.merges and method == "POST")
            self._put(order_id, {**(known or {}), **order} if keeps else order)
            self.applied += 1
            done = (200 if known else 201), json.dumps(self.shown(order_id)).encode()
            if key is not None:
                self._keys[key] = done
                if len(self._keys) > REMEMBERED:
                    del self._keys[next(iter(self._keys))]
            return done

    def _put(self, order_id: str, order: dict[str, Any]) -> None:
        order.pop("_etag", None)
        self.orders[order_id] = order
        self._versions[order_id] = self._versions.get(order_id, 0) + 1


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
        fault = None if parts.path == "/token" else self.erp.faults.draw()
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

    def _work(
        self, path: str, query: dict[str, str], body: bytes, fault: str | None
    ) -> tuple[int, bytes, dict[str, str]]:
        erp = self.erp
        if path == "/token":
            token = {"access_token": (erp.token or "").removeprefix("Bearer "), "expires_in": 3600}
            return 200, json.dumps(token).encode(), {}
        if erp.token is not None and self.headers.get("Authorization") != erp.token:
            return 401, b'{"detail": "who are you?"}', {}
        order_id = unquote(path.removeprefix("/orders").removeprefix("/").strip("()'")) or None
        if self.command != "GET":
            status, answer = erp.take(self.command, order_id, body, dict(self.headers.items()))
            return status, answer, {"ETag": erp.etag(order_id)} if order_id and status in {200, 201} else {}
        if order_id is None:
            page, headers = erp.page(query, fault)
            return 200, json.dumps(page).encode(), headers
        if order_id not in erp.orders:
            return 404, b'{"detail": "no such order"}', {}
        return 200, json.dumps(erp.shown(order_id)).encode(), {"ETag": erp.etag(order_id)}

    def _answer(self, status: int, answer: bytes, headers: Mapping[str, str], fault: str | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Date", format_datetime(self.erp.now(), usegmt=False))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        for name, value in headers.items():
            self.send_header(name, value)
        if fault == "drop":
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
