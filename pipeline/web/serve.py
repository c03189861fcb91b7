"""Serve the page on this machine alone."""

import socket
from collections.abc import Callable

import uvicorn

from pipeline.errors import Fatal
from pipeline.service.settings import Settings
from pipeline.web.app import Again, make_app
from pipeline.web.guard import Secrets

__all__ = ["serve"]


def serve(
    settings: Settings,
    again: Again,
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
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise Fatal(f"cannot serve at port {port}: {error.strerror}; choose another with --port") from error
        secret, port = Secrets(), listener.getsockname()[1]
        app = make_app(settings, again, secret, port, by)
        config = uvicorn.Config(
            app, log_config=None, log_level="warning", lifespan="off", server_header=False, ws="none"
        )
        address = f"http://127.0.0.1:{port}/{secret.token}/"
        _Server(config, lambda: announce(address), is_unwanted).run(sockets=[listener])


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
