"""Who we are to a client's API: credentials put on each request, an OAuth2 token fetched and refreshed."""

import base64
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from pipeline.errors import Fatal, See, WrongSettings
from pipeline.transports.http.answers import Answer, one_line
from pipeline.transports.http.options import ApiKey, Auth, Basic, Bearer, OAuth2

__all__ = ["Ask", "Credentials", "auth_of"]

EARLY_SECONDS: Final = 30
"""How long before its end a token is refreshed."""
LASTS_SECONDS: Final = 300
"""How long a token is used whose end is not told."""
LONGEST_SECONDS: Final = 86_400
TOKEN_BYTES: Final = 256 * 1024

_HEADER: Final = re.compile(r"[\x20-\x7e]+")
_DECODER: Final = msgspec.json.Decoder()


class Ask(Protocol):
    """Sends one request as it is, signed by nobody; raises what makes the API try again later, or Fatal."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] = ...,
        content: bytes | None = None,
        most: int = ...,
    ) -> Awaitable[Answer]:
        """The answer."""


class Credentials:
    """What signs requests; this one signs none."""

    secrets: tuple[str, ...] = ()
    """What no message may hold."""

    async def headers(self, ask: Ask) -> Mapping[str, str]:
        """The headers that sign a request; the one call that is under way at a time may ``ask`` for a token."""
        return {}

    def refused(self, headers: Mapping[str, str]) -> bool:
        """These were refused (401); whether others are worth a try."""
        return False


def auth_of(auth: Auth | None, reveal: Callable[[str], str]) -> Credentials:
    """What signs requests; ``reveal`` gives the value of a variable, or raises WrongSettings.

    Blanks and ends of line around a secret are no part of it: files and shells add them.
    """
    match auth:
        case None:
            return Credentials()
        case Bearer():
            token = _plain(auth.token_env, reveal).removeprefix("Bearer ").strip()
            return _Header("Authorization", f"Bearer {token}", token)
        case ApiKey():
            key = _plain(auth.key_env, reveal)
            return _Header(auth.header, key, key)
        case Basic():
            user, password = reveal(auth.user_env).strip(), reveal(auth.password_env).strip("\r\n")
            return _Header("Authorization", _basic(user, password), password)
    return _ClientCredentials(auth, reveal(auth.client_id_env).strip(), reveal(auth.client_secret_env).strip())


def _plain(variable: str, reveal: Callable[[str], str]) -> str:
    value = reveal(variable).strip()
    if _HEADER.fullmatch(value) is None:
        raise WrongSettings([f"auth: {variable} holds a character that no header may: set it anew"])
    return value


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class _Header(Credentials):
    def __init__(self, name: str, value: str, secret: str) -> None:
        self.secrets = (secret, value)
        self._headers = {name: value}

    async def headers(self, ask: Ask) -> Mapping[str, str]:
        return self._headers


class _ClientCredentials(Credentials):
    """RFC 6749, section 4.4; a token that is refused is fetched anew once."""

    def __init__(self, auth: OAuth2, client_id: str, client_secret: str) -> None:
        self._auth = auth
        self._client = (client_id, client_secret)
        self._token = ""
        self._ends = 0.0
        self.secrets = (client_secret,)

    async def headers(self, ask: Ask) -> Mapping[str, str]:
        if not self._token or time.monotonic() >= self._ends:
            await self._fetch(ask)
        return {"Authorization": f"Bearer {self._token}"}

    def refused(self, headers: Mapping[str, str]) -> bool:
        if headers.get("Authorization") == f"Bearer {self._token}":  # else another request has a new one already
            self._token = ""
        return True

    async def _fetch(self, ask: Ask) -> None:
        client_id, client_secret = self._client
        form = {"grant_type": "client_credentials", **({"scope": self._auth.scope} if self._auth.scope else {})}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if self._auth.method == "client_secret_post":
            form |= {"client_id": client_id, "client_secret": client_secret}
        else:  # RFC 6749, section 2.3.1: both are form-encoded first
            headers["Authorization"] = _basic(quote_plus(client_id), quote_plus(client_secret))
        content = urlencode(form).encode()
        answer = await ask("POST", self._auth.token_url, headers=headers, content=content, most=TOKEN_BYTES)
        token, seconds = _token_in(answer, self._auth.token_url, self.secrets)
        self._token = token
        self._ends = time.monotonic() + max(seconds - EARLY_SECONDS, seconds / 2)
        self.secrets = (client_secret, token)


def _token_in(answer: Answer, url: str, secrets: tuple[str, ...]) -> tuple[str, float]:
    """The token in an answer, and how many seconds it lasts; raises Fatal, with what the server says, without one."""
    try:
        data: Any = _DECODER.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        data = None
    said = data if isinstance(data, dict) else {}
    token = said.get("access_token")
    if answer.is_success and isinstance(token, str) and _HEADER.fullmatch(token.strip()):
        return token.strip(), _seconds(said.get("expires_in"))
    if answer.is_redirect:
        why = f"it answers {answer.status}, moved to {answer.moved_to}"
    else:
        told = [said[key] for key in ("error", "error_description") if isinstance(said.get(key), str)]
        why = ": ".join([f"it answers {answer.status}", *(one_line(one, 300) for one in told)])
        why += f", with {answer.kind}" if not said else ""
    for secret in secrets:
        why = why.replace(secret, "***")
    raise Fatal(
        f"{urlsplit(url).netloc} gives no token ({why}): see auth, and the variables that it names", see=See.API_REFUSES
    )


def _seconds(said: Any) -> float:
    """How long a token lasts: a number, also one in a text; what is none counts as not told."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return LASTS_SECONDS
    try:
        seconds = float(said)
    except (ValueError, OverflowError):
        return LASTS_SECONDS
    return min(max(seconds, 0.0), LONGEST_SECONDS) if math.isfinite(seconds) else LASTS_SECONDS
