"""Serve the page on this machine alone."""

import socket
from collections.abc import Callable

import uvicorn

from pipeline.errors import Fatal
from pipeline.service.settings import Settings
from pipeline.web.app import Again, make_app
from pipeline.web.guard import Secrets

__all__ = ["serve"]


def serve(settings: Settings, again: Again, port: int, announce: Callable[[str], None]) -> None:
    """Serve until interrupted, at ``port`` of 127.0.0.1 (0: a free one); ``announce`` is told the whole address.

    Raises Fatal when the port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise Fatal(f"cannot serve at port {port}: {error.strerror}; choose another with --port") from error
        secret, port = Secrets(), listener.getsockname()[1]
        app = make_app(settings, again, secret, port)
        config = uvicorn.Config(app, log_level="warning", lifespan="off", server_header=False, ws="none")
        listener.listen()
        announce(f"http://127.0.0.1:{port}/{secret.token}/")
        uvicorn.Server(config).run(sockets=[listener])
