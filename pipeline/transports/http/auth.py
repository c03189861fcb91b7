"""Who we are to a client's API: credentials put on each request, an OAuth2 token fetched and refreshed."""

import time
from collections.abc import Callable, Generator
from typing import Final

import httpx
import msgspec

from pipeline.errors import Fatal
from pipeline.transports.http.options import ApiKey, Auth, Basic, Bearer

__all__ = ["auth_of"]

EARLY_SECONDS: Final = 30
"""How long before its end a token is refreshed."""


def auth_of(auth: Auth | None, reveal: Callable[[str], str]) -> httpx.Auth | None:
    """What signs requests; ``reveal`` gives the value of a variable, or raises WrongSettings."""
    match auth:
        case None:
            return None
        case Bearer():
            return _Header("Authorization", f"Bearer {reveal(auth.token_env)}")
        case ApiKey():
            return _Header(auth.header, reveal(auth.key_env))
        case Basic():
            return httpx.BasicAuth(reveal(auth.user_env), reveal(auth.password_env))
    return _ClientCredentials(auth.token_url, reveal(auth.client_id_env), reveal(auth.client_secret_env), auth.scope)


class _Header(httpx.Auth):
    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._name] = self._value
        yield request


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = 300


class _ClientCredentials(httpx.Auth):
    """RFC 6749, section 4.4; a token that is refused is refreshed once."""

    requires_response_body = True

    def __init__(self, token_url: str, client_id: str, client_secret: str, scope: str) -> None:
        self._url = token_url
        self._client = (client_id, client_secret)
        self._scope = scope
        self._token = ""
        self._ends = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        fresh = not self._token or time.monotonic() >= self._ends
        if fresh:
            self._keep((yield self._ask()))
        signed = self._token
        request.headers["Authorization"] = f"Bearer {signed}"
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED or fresh:
            return
        if self._token == signed:  # another request may have fetched a new one meanwhile
            self._keep((yield self._ask()))
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _ask(self) -> httpx.Request:
        form = {"grant_type": "client_credentials", **({"scope": self._scope} if self._scope else {})}
        request = httpx.Request("POST", self._url, data=form, headers={"Accept": "application/json"})
        return next(httpx.BasicAuth(*self._client).auth_flow(request))

    def _keep(self, response: httpx.Response) -> None:
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise httpx.RemoteProtocolError(f"the token's server answers {response.status_code}")
        try:
            if response.is_error:
                raise ValueError
            token = msgspec.json.decode(response.content, type=_Token)
        except (ValueError, msgspec.DecodeError):
            raise Fatal(
                f"{response.request.url.host} gives no token (it answers {response.status_code}): see auth, and the "
                "variables that it names"
            ) from None
        self._token = token.access_token
        self._ends = time.monotonic() + max(token.expires_in - EARLY_SECONDS, token.expires_in / 2)
