"""Serve the page: on this machine alone, or beside the service."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from pipeline.errors import Fatal, See
from pipeline.service.settings import Settings
from pipeline.web.app import make_app
from pipeline.web.doors import Doors
from pipeline.web.guard import Secrets
from pipeline.web.probes import with_probes
from pipeline.web.site import Site

__all__ = ["serve", "serve_beside"]


def serve(
    settings: Settings,
    doors: Doors,
    port: int,
    announce: Callable[[str], None],
    is_unwanted: Callable[[], bool] = lambda: False,
    by: str = "",
) -> None:
    """Serve until SIGINT or SIGTERM, at ``port`` of 127.0.0.1 (0: a free one); ``announce`` is told the whole address.

    It is told once the page is served, by when the server handles both signals itself. ``is_unwanted`` says whether one
    came before: then nothing is announced, and the server ends as after any other. ``by`` is who uses the page. Raises
    Fatal when the port is taken.
    """
    with _listening("127.0.0.1", port, "--port") as listener:
        site, port = Site(settings, doors, Secrets(), by), listener.getsockname()[1]

        def begun() -> None:
            announce(f"http://127.0.0.1:{port}/{site.secret.token}/")
            site.known.begin()

        _Server(_config(make_app(site, port)), begun, is_unwanted).run(sockets=[listener])


async def serve_beside(
    settings: Settings,
    doors: Doors,
    unready: Callable[[], Awaitable[Sequence[str]]],
    metrics: Callable[[], bytes],
    announce: Callable[[str], None],
    by: str = "",
) -> None:
    """Serve the page, probes and metrics at SERVE_HOST and SERVE_PORT, in a loop that does more, until cancelled."""
    with _listening(settings.serve_host, settings.serve_port, "SERVE_PORT") as listener:
        site, port = Site(settings, doors, Secrets(), by), listener.getsockname()[1]
        app = with_probes(make_app(site, port), unready, metrics)
        host = "127.0.0.1" if settings.serve_host == "0.0.0.0" else settings.serve_host  # noqa: S104 - it is asked for

        def begun() -> None:
            announce(f"http://{host}:{port}/{site.secret.token}/")
            site.known.begin()

        server = _Beside(_config(app), begun, lambda: False)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving


def _listening(host: str, port: int, setting: str) -> socket.socket:
    try:
        kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(kind, socket.SOCK_STREAM)
    except OSError as error:
        raise Fatal(f"cannot serve at {host}: {error.strerror}", see=See.PORT) from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Fatal(
            f"cannot serve at port {port}: {error.strerror}; choose another with {setting}", see=See.PORT
        ) from error
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(app, log_config=None, log_level="warning", lifespan="off", server_header=False, ws="none")


class _Server(uvicorn.Server):
    """Says that it serves when it does, unless it is to end already."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], is_unwanted: Callable[[], bool]) -> None:
        super().__init__(config)
        self._announce = announce
        self._is_unwanted = is_unwanted

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, with the handlers of signals in place by now; then tell of it."""
        await super().startup(sockets=sockets)
        self.should_exit = self.should_exit or self._is_unwanted()
        if not self.should_exit:
            self._announce()


class _Beside(_Server):
    """Leaves signals to whoever runs the loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None of them."""
        yield
