"""One client's API as we ask it: signed, at its pace, tried again while it is away, and left alone when it stays so."""

import email.utils
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import stamina
from loguru import logger
from msgspec import Struct

from pipeline.dataflow.ports import Resource
from pipeline.errors import Fatal, PipelineError, WrongSettings
from pipeline.transports.http.limits import Pace, breaker_of
from pipeline.transports.http.options import HttpOptions

__all__ = ["Answer", "Api", "Away"]

RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
ANSWER_BYTES: Final = 64 * 1024 * 1024
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Away(PipelineError):
    """The API did not serve a request, however often it was tried."""


class Answer(Struct, frozen=True):
    """What the API answered: any status but those that are tried again, 401 and 403."""

    status: int
    headers: httpx.Headers
    body: bytes
    links: Mapping[str, str] = {}
    """By relation, from the header Link."""

    @property
    def is_success(self) -> bool:
        """Whether it did what was asked."""
        return httpx.codes.is_success(self.status)

    @property
    def date(self) -> datetime | None:
        """The server's own clock, where it tells it."""
        try:
            moment = email.utils.parsedate_to_datetime(self.headers.get("Date", ""))
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _TryAgain(Exception):
    def __init__(self, says: str, after: float | None = None) -> None:
        super().__init__(says)
        self.after = after


class Api(Resource):
    """Sends requests to one host. Raises Away for one that fails for good, Outage when several did in a row."""

    def __init__(self, name: str, options: HttpOptions, auth: httpx.Auth | None) -> None:
        self.host = urlsplit(options.url).netloc
        self._name = name
        self._options = options
        self._auth = auth
        self._pace = Pace(options.rate, options.burst)
        self._breaker = breaker_of(self.host)
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Make the connections' pool."""
        options = self._options
        try:
            self._client = httpx.AsyncClient(
                auth=self._auth,
                headers={"User-Agent": "workorder-sync", "Accept": "application/json", **options.headers},
                http2=options.http2,
                timeout=options.timeout or None,
                limits=httpx.Limits(max_connections=options.parallel + 1),
            )
        except ImportError as error:
            raise WrongSettings([f"{self._name}: http2: needs the package h2: pip install h2"]) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] = NOTHING,
        content: bytes | None = None,
        check: Callable[[Answer], Any] | None = None,
    ) -> Answer:
        """The answer to a request, which must be idempotent: it is sent again when the reply to it is lost.

        ``check`` may raise ValueError for an answer that came broken. Raises Away, Outage, and Fatal where the API
        refuses us as a whole.
        """

        def again(error: Exception) -> bool | float:
            if not isinstance(error, _TryAgain) or (error.after or 0) > options.retry_seconds:
                return False
            logger.debug("{}: {} {}; trying again", self._name, self.host, error)
            return True if error.after is None else max(error.after, 0.001)

        self._breaker.enter()
        options = self._options
        try:
            async for attempt in stamina.retry_context(
                again,
                attempts=options.attempts,
                timeout=options.retry_seconds or None,
                wait_initial=0.1,
                wait_max=10,
                wait_jitter=0.2,
            ):
                with attempt:
                    answer = await self._once(method, url, params, headers, content)
                    if check is not None:
                        _checked(answer, check)
        except _TryAgain as error:
            self._breaker.failed()
            later = f" and wants to be left alone for {error.after:g} s" if error.after else ""
            raise Away(f"{self.host} {error}{later}") from error
        self._breaker.succeeded()
        return answer

    async def _once(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> Answer:
        if self._client is None:
            raise RuntimeError("the API is not open")
        await self._pace.take()
        try:
            async with self._client.stream(
                method, url, params=params or None, headers=headers, content=content
            ) as response:
                body = await _body(response, self.host)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _TryAgain(f"does not answer ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise Fatal(f"{self._name}: the request to {self.host} cannot be made ({type(error).__name__})") from error
        status = response.status_code
        if status in RETRIED:
            after = _retry_after(response)
            if after is not None:
                self._pace.hold(min(after, self._options.retry_seconds))
            raise _TryAgain(f"answers {status}", after)
        if status in {401, 403}:
            raise Fatal(
                f"{self._name}: {self.host} refuses us ({status}): see auth, and the variables that it names; nothing "
                "is lost, run again when it is right"
            )
        links = {str(relation): link["url"] for relation, link in response.links.items() if "url" in link}
        return Answer(status, response.headers, body, links)


def _checked(answer: Answer, check: Callable[[Answer], Any]) -> None:
    try:
        check(answer)
    except ValueError as error:
        raise _TryAgain(str(error)) from error


async def _body(response: httpx.Response, host: str) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > ANSWER_BYTES:
            raise Fatal(
                f"{host} sends a page of more than {ANSWER_BYTES // 2**20} MB: ask for smaller ones (page_size)"
            )
    return b"".join(parts)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from either form of the header."""
    said = response.headers.get("Retry-After")
    if said is None:
        return None
    if said.strip().isdigit():
        return float(said)
    try:
        moment = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
