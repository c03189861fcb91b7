"""What stands between the page and the rest of the machine: the host, the token in the address, the form's token."""

import hmac
import secrets
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LIVE", "Guard", "Secrets"]

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""No script at all, from nowhere: what letters hold is hostile."""

LIVE: Final = HEADERS["Content-Security-Policy"] + "; script-src 'self'; connect-src 'self'"
"""Of the pages that keep themselves up to date, with the one script that we serve; none of them shows a payload."""


class Secrets:
    """Made anew each time the page is served: ``token`` is in its address, ``form`` in every form."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self.form = secrets.token_urlsafe(24)

    def is_form(self, given: str) -> bool:
        """Whether a form sent the token that we put into it."""
        return hmac.compare_digest(given.encode(), self.form.encode())


class Guard:
    """Lets through only what asks for our host, under our token, and writes only from our own pages."""

    def __init__(self, app: ASGIApp, secret: Secrets, port: int) -> None:
        self._app = app
        self._prefix = f"/{secret.token}/"
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on with the headers that every answer has."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                said = headers.get("content-security-policy")
                headers.update(HEADERS)
                if said == LIVE:
                    headers["content-security-policy"] = LIVE
            await send(message)

        if scope["type"] != "http":
            return
        refused = self._refused(scope)
        await (refused or self._app)(scope, receive, guarded)

    def _refused(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if headers.get("host", "") not in self._hosts:
            return PlainTextResponse("this page answers to 127.0.0.1 alone", 421)
        path = scope["path"].encode()
        if not hmac.compare_digest(path[: len(self._prefix)], self._prefix.encode()):
            return PlainTextResponse("not found: use the whole address that the program printed", 404)
        origin = headers.get("origin", "null")
        if scope["method"] == "POST" and origin not in {"null", *(f"http://{host}" for host in self._hosts)}:
            return PlainTextResponse("this form was sent from elsewhere", 403)
        return None
