"""A server of a test's own: every answer is what the test's function returns; what was asked is kept."""

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes
    target: str
    """As it was sent."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reply(NamedTuple):
    body: Any = b""
    """Bytes, or what becomes JSON."""
    status: int = 200
    headers: Mapping[str, Any] = MappingProxyType({})
    kind: str = "application/json"
    date: datetime | str | None = None
    """None: now; a text: no Date header at all."""


class Scripted:
    def __init__(self, answer: Callable[[Asked], Any], certificate: str | None = None) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, unquote(parts.path), query, headers, body, self.path)
                scripted.asked.append(asked)
                said = scripted.answer(asked)
                reply = said if isinstance(said, Reply) else Reply(said)
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response_only(reply.status)
                if not isinstance(reply.date, str):
                    self.send_header("Date", format_datetime(reply.date or datetime.now(UTC), usegmt=True))
                self.send_header("Content-Type", reply.kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in reply.headers.items():
                    for one in value if isinstance(value, list) else [value]:
                        self.send_header(name, one)
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            do_GET = do_PUT = do_POST = do_PATCH = _serve  # noqa: N815 - the standard library looks for these names

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hangs up is part of the test

        self._server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/orders"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(answer: Callable[[Asked], Any], certificate: str | None = None):
    scripted = Scripted(answer, certificate)
    try:
        yield scripted
    finally:
        scripted.close()
