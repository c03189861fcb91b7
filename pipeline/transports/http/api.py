"""One client's API as we ask it: signed, at its pace, tried again while it is away, and left alone when it stays so."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import stamina
from loguru import logger
from msgspec.structs import replace

from pipeline.dataflow.ports import Resource
from pipeline.errors import Fatal, PipelineError, See, WrongSettings
from pipeline.transports.http.answers import ANSWER_BYTES, Answer, read_answer
from pipeline.transports.http.auth import Credentials
from pipeline.transports.http.csrf import Csrf, is_csrf_refusal
from pipeline.transports.http.faults import fault_of
from pipeline.transports.http.headers import retry_after
from pipeline.transports.http.limits import Pace, breaker_of
from pipeline.transports.http.options import HttpOptions, OAuth2, Patience
from pipeline.transports.http.reasons import reason, speaks

__all__ = ["Answer", "Api", "Away"]

RETRIED: Final = frozenset({408, 421, 425, 429, 500, 502, 503, 504, *range(520, 531)})
"""What may pass; from 520 on a gateway speaks for a host that it does not reach."""

READS: Final = frozenset({"GET", "HEAD"})
WHOLE: Final = 10
"""How many times ``timeout`` a whole answer may take: one that trickles never ends by itself."""

SHORTEST_SECRET: Final = 4
"""A shorter one is found in any text."""

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Away(PipelineError):
    """The API did not serve a request, however often it was tried; ``answer``: the last that it gave, if any."""

    def __init__(self, says: str, answer: Answer | None = None) -> None:
        super().__init__(says)
        self.answer = answer


class _TryAgain(Exception):
    def __init__(self, says: str, after: float | None = None, answer: Answer | None = None) -> None:
        super().__init__(says)
        self.after = after
        self.answer = answer


class _NotNow(Exception):
    """It may pass, but not by trying again at once."""


class Api(Resource):
    """Sends requests to one host. Raises Away for one that fails for good, Outage when several did in a row."""

    def __init__(self, name: str, options: HttpOptions, credentials: Credentials | None = None) -> None:
        self.host = urlsplit(options.url).netloc
        self._name = name
        self._options = options
        self._credentials = credentials or Credentials()
        self._csrf = Csrf(name, options)
        self._pace = Pace(options.rate, options.burst)
        self._breaker = breaker_of(self.host)
        self._client: httpx.AsyncClient | None = None
        self._signing: asyncio.Lock
        self._refusal: Fatal | None

    async def open(self) -> None:
        """Make the connections' pool; raises WrongSettings for what cannot be used."""
        options = self._options
        self._signing, self._refusal = asyncio.Lock(), None
        headers = httpx.Headers({"User-Agent": "workorder-sync", "Accept": "application/json"})
        headers.update(dict(options.headers))
        headers.setdefault("Accept-Encoding", "gzip")  # what read_answer unpacks within bounds
        try:
            self._client = httpx.AsyncClient(
                headers=headers,
                verify=self._trust(),
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
        params: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        content: bytes | None = None,
        check: Callable[[Answer], Any] | None = None,
        patience: Patience | None = None,
        most: int = ANSWER_BYTES,
    ) -> Answer:
        """The answer to a request, which must be idempotent: it is sent again when the reply to it is lost.

        Any status but those that are tried again; ``check`` may raise ValueError for an answer that came broken.
        Raises Away, Outage, and Fatal where asking again is of no use before somebody has set something right.
        """
        patience = patience or self._options.patience

        def again(error: Exception) -> bool | float:
            if not isinstance(error, _TryAgain) or (error.after or 0) > patience.seconds:
                return False
            logger.debug("{}: {}; trying again", self._name, error)
            return True if error.after is None else max(error.after, 0.001)

        self._breaker.enter()
        try:
            async for attempt in stamina.retry_context(
                again,
                attempts=patience.attempts,
                timeout=patience.seconds or None,
                wait_initial=0.1,
                wait_max=10,
                wait_jitter=0.2,
            ):
                with attempt:
                    answer = await self._signed(method, url, params, headers, content, most)
                    if check is not None:
                        _checked(answer, check)
        except _NotNow as error:
            self._breaker.failed()
            raise Away(str(error)) from error
        except _TryAgain as error:
            if error.answer is not None and speaks(error.answer):
                self._breaker.succeeded()  # the host is there: it has something to say of what was asked
            elif patience.is_last:
                self._breaker.failed()
            later = f" and wants to be left alone for {error.after:g} s" if error.after else ""
            raise Away(f"{error}{later}", error.answer) from error
        self._breaker.succeeded()
        return answer

    def refusal(self, answer: Answer) -> Fatal:
        """What to say of an answer that concerns all that we may ask."""
        if answer.is_redirect:
            return self.stopped(f"answers {answer.status}, moved to {answer.moved_to}: set url so, or see auth")
        why = f"refuses us ({answer.status}: {reason(answer)})"
        return self.stopped(f"{why}: see auth, and the variables that it names")

    def stopped(self, why: str) -> Fatal:
        """That the client stops, for a reason that concerns all of it."""
        return Fatal(
            f"{self._name}: {self.host} {why}; nothing is lost, run again when it is right", see=See.API_REFUSES
        )

    def _trust(self) -> ssl.SSLContext:
        """Whose certificates are trusted; where all goes over plain http, nobody's."""
        options = self._options
        addresses = [options.url, *([options.auth.token_url] if isinstance(options.auth, OAuth2) else [])]
        if not any(address.lower().startswith("https:") for address in addresses):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context = httpx.create_ssl_context()
        if options.ca_file:
            try:
                context.load_verify_locations(options.ca_file)
            except OSError as error:  # ssl.SSLError is one
                problem = f"{self._name}: ca_file: holds no certificates in PEM, or cannot be read"
                raise WrongSettings([problem]) from error
        return context

    async def _signed(
        self,
        method: str,
        url: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        content: bytes | None,
        most: int,
    ) -> Answer:
        """The answer to a request that carries our credentials; of those that have ended, new ones are tried once."""
        tried: set[str] = set()
        while True:
            signed = await self._sign(method)
            all_headers = {**headers, **signed}
            answer = await self._ask(method, url, params=params, headers=all_headers, content=content, most=most)
            ended = ""
            if answer.status == httpx.codes.UNAUTHORIZED and self._credentials.refused(signed):
                ended = "token"
            elif is_csrf_refusal(answer):
                self._csrf.forget(signed)
                ended = "csrf"
            if ended == "csrf" and ended in tried:
                raise self._csrf.refusal()
            if not ended or ended in tried:
                return answer
            tried.add(ended)

    async def _sign(self, method: str) -> Mapping[str, str]:
        """What signs a request. One at a time: the others wait for the token that the first one fetches."""
        async with self._signing:
            if self._refusal is not None:  # who asks again and again is locked out
                raise self._refusal
            try:
                signed = await self._credentials.headers(self._ask)
                if method not in READS:
                    signed = {**signed, **await self._csrf.headers(self._ask, signed)}
            except Fatal as error:
                self._refusal = error
                raise
        return signed

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] = NOTHING,
        content: bytes | None = None,
        most: int = ANSWER_BYTES,
    ) -> Answer:
        if self._client is None:
            raise RuntimeError("the API is not open")
        options, host = self._options, urlsplit(url).netloc
        if host == self.host:
            await self._pace.take()
        try:
            async with (
                asyncio.timeout(WHOLE * options.timeout or None),
                self._client.stream(method, _with(url, params), headers=headers, content=content) as response,
            ):
                answer = await read_answer(response, most)
        except TimeoutError as error:
            raise _TryAgain(f"{host} takes more than {WHOLE * options.timeout:g} s for one answer") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._failed(host, error) from error
        return self._sorted(host, answer)

    def _failed(self, host: str, error: Exception) -> Exception:
        if isinstance(error, httpx.InvalidURL):
            return Fatal(
                f"{self._name}: {host} cannot be asked: an address holds a character that none may; see url",
                see=See.API_ANSWERS,
            )
        fault = fault_of(error, self._options.timeout)
        match fault.kind:
            case "again":
                return _TryAgain(f"{host} {fault.says}")
            case "away":
                return _NotNow(f"{host} {fault.says}")
        return Fatal(
            f"{self._name}: {host} {fault.says}; nothing is lost, run again when it is right", see=See.API_AWAY
        )

    def _sorted(self, host: str, answer: Answer) -> Answer:
        """The answer, without our secrets where it is no success; raises what has it tried again."""
        if answer.status in RETRIED:
            after = retry_after(answer.headers.get("Retry-After"), answer.date)
            if after is not None and host == self.host:
                self._pace.hold(min(after, self._options.retry_seconds))
            raise _TryAgain(f"{host} answers {answer.status}", after, self._without_secrets(answer))
        return answer if answer.is_success else self._without_secrets(answer)

    def _without_secrets(self, answer: Answer) -> Answer:
        body = answer.body
        for secret in self._credentials.secrets:
            if len(secret) >= SHORTEST_SECRET:
                body = body.replace(secret.encode(), b"***")
        return replace(answer, body=body)


def _with(url: str, params: Mapping[str, str]) -> httpx.URL:
    """An address with ``params`` added to the query that it has."""
    return httpx.URL(url).copy_merge_params(params) if params else httpx.URL(url)


def _checked(answer: Answer, check: Callable[[Answer], Any]) -> None:
    try:
        check(answer)
    except ValueError as error:
        raise _TryAgain(str(error)) from error
