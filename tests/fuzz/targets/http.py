"""What an API answers: pages, headers, bodies of errors, tokens, addresses, creations."""

import contextlib
import gzip
import math
import zlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import msgspec
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Outcome
from pipeline.errors import Fatal, PipelineError, Rejected, WrongSettings
from pipeline.translation.outgoing import Outgoing
from pipeline.transports.http.addresses import followed
from pipeline.transports.http.answers import Answer, one_line, read_answer, saved_answer
from pipeline.transports.http.auth import auth_of
from pipeline.transports.http.creation import Creation, Told
from pipeline.transports.http.csrf import Csrf, is_csrf_refusal
from pipeline.transports.http.headers import http_date, links, retry_after
from pipeline.transports.http.listing import Listing
from pipeline.transports.http.loose import array_of, object_of
from pipeline.transports.http.options import ApiKey, Basic, Bearer, HttpOptions, OAuth2
from pipeline.transports.http.pages import is_json, order_in, read_page
from pipeline.transports.http.push import Known, Push
from pipeline.transports.http.reasons import reason, speaks
from pipeline.transports.http.search import Search
from pipeline.transports.http.sink import HttpSink
from pipeline.transports.http.source import HttpSource
from pipeline.transports.http.verdicts import Doubt, verdict
from pipeline.transports.settings import ClientSettings
from tests.fuzz.given import Given
from tests.fuzz.laws import law, see_line, see_reasons, see_told
from tests.fuzz.registry import target
from tests.fuzz.running import run
from tests.fuzz.targets.records import CLIENTS, client_of

T = TypeVar("T")

URL = "https://erp.example/api/orders"
NOW = datetime(2026, 10, 31, 12, tzinfo=UTC)
OPTIONS = (
    HttpOptions(url=URL),
    HttpOptions(url=URL, items="value", page="link", next="@odata.nextLink", total="@odata.count", etag="@odata.etag"),
    HttpOptions(url=URL, items="d.results", page="link", next="d.__next", href="href"),
    HttpOptions(url=URL, items="data", page="cursor", next="meta.next", more="meta.more"),
    HttpOptions(url=URL, items="items", page="page", total="total"),
    HttpOptions(url=URL, page="link"),
)
GOOD = b'{"id": 1, "status": "NEW", "createdAt": "2026-10-01"}'


def now(running: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits."""
    try:
        running.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def answer_of(body: bytes, status: int = 200, **headers: str) -> Answer:
    """An answer with this body."""
    return Answer(status, httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}), body)


@target(
    "http.page",
    GOOD,
    *(b"NaN", b'"\\ud800"', b'"\t"', b'{"a": [1, 2]}', b"[[[[]]]]", b'{"id": "', b"1e999", b'{"error": "x"}', b"\xff"),
    share=0.3,
)
def page_items(data: bytes) -> None:
    """Of a page with one odd order, the others are read; one that is no page is refused in a line."""
    for options in OPTIONS:
        page = b"[" + b",".join((GOOD, data, GOOD)) + b"]"
        for key in reversed(options.items.split(".") if options.items else ()):
            page = b'{"%s": %s}' % (key.encode(), page)
        try:
            found = read_page(answer_of(page), options).items
        except (Fatal, ValueError) as error:
            see_line(str(error))
            law(not _is_closed(data), "an odd order costs the page")
        else:
            law(found[0] == GOOD and found[-1] == GOOD, "an odd order costs others")


def _is_closed(data: bytes) -> bool:
    """Whether all brackets and texts in ``data`` close, so that it is one piece however odd it is."""
    try:
        return list(array_of(b"[" + data + b"]")) == [data.strip()]
    except ValueError:
        return False


@target(
    "http.pages",
    b'{"value": [{"id": 1}], "@odata.nextLink": "https://ERP.example:443/api/orders?x=1", "@odata.count": "2"}',
    b'{"d": {"results": [{"id": "7"}], "__next": "/api/orders?$skiptoken=1"}}',
    b'{"data": [{"id": 7}], "meta": {"next": "abc", "more": "yes"}}',
    b'{"items": [], "total": 0}',
    b'[{"id": 1, "status": "NEW", "createdAt": "2026-10-01"}]',
    *(
        b'{"error": {"message": "no"}}',
        b"<html><title>Log in</title>",
        b"<?xml version='1.0'?>",
        b"null",
        b'{"items": null}',
    ),
)
def pages(data: bytes) -> None:
    """A body is a page, and leads to another at the same address or to none; else it is refused in a line."""
    for options in OPTIONS:
        listing = Listing(options)
        try:
            page = listing.read(answer_of(data))
            listing.follow(page, [str(number) for number in range(len(page.items))])
        except (Fatal, ValueError) as error:
            see_line(str(error))
            continue
        law(listing.request is None or listing.request.url.startswith("https://erp.example/"), "a page leads elsewhere")
    order_in(data, "", lambda raw: raw == GOOD)
    order_in(data, "a.b", lambda raw: raw == GOOD)
    saved_answer(data)


@target(
    "http.loose",
    b'{"a": [1, {"b": "]"}], "c": NaN}',
    b'[1, "a\\"", [2], {}]',
    b'{"a" 1}',
    b"[1}",
    b'["\xff", "\\ud800"]',
)
def loose(data: bytes) -> None:
    """What is taken apart loosely are pieces of it; what is by the book JSON comes apart as by the book."""
    with contextlib.suppress(ValueError):
        law(all(piece in data for piece in object_of(data).values()), "a member is none of its bytes")
    with contextlib.suppress(ValueError):
        law(all(piece in data for piece in array_of(data)), "an element is none of its bytes")
    try:
        strict = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    law([bytes(one).strip() for one in strict] == list(array_of(data)), "good JSON comes apart as something else")


@target(
    "http.links",
    b'<https://erp.example/api/orders?page=2>; rel="next", </x>; rel=prev',
    *(
        b"</a>; rel='next last'; anchor=x",
        b'</a>;rel="n\\"ext"',
        b"<<a>>",
        b'</a>; rel="next',
        b"," * 50,
        b"</a>;;;;=\0",
    ),
)
def link_headers(data: bytes) -> None:
    """A header Link is links, or a ValueError; what it leads to is at our own host, or refused in a line."""
    text = data.decode("latin-1")
    try:
        found = links([text, text[::-1]])
    except ValueError:
        found = {}
    for link in (*found.values(), text):
        try:
            address = followed(link, URL, OPTIONS[0], "its next page")
        except Fatal as error:
            see_line(str(error))
            continue
        law(address.startswith("https://erp.example/") or address == "https://erp.example", "a link leads elsewhere")
    for options in OPTIONS:
        with contextlib.suppress(Fatal, ValueError):
            read_page(Answer(200, httpx.Headers([(b"Link", data)]), b"[]"), options)


@target(
    "http.dates",
    b"Sat, 31 Oct 2026 12:16:45 GMT",
    b"120",
    b"-1",
    b"1e9",
    b"9" * 25,
    b"Sat, 31 Oct 2026 12:16:45 +9999",
    b"0",
)
def dates(data: bytes) -> None:
    """A date is one in UTC or none; a wait is a number of seconds that is not negative, or none."""
    text = data.decode("latin-1")
    moment = http_date(text)
    law(moment is None or moment.tzinfo is UTC, "a date is not in UTC")
    for clock in (None, NOW):
        seconds = retry_after(text, clock)
        law(seconds is None or (math.isfinite(seconds) and seconds >= 0), "a wait is no time")


@target(
    "http.reasons",
    b'{"type": "about:blank", "title": "Bad", "detail": "no such asset", "errors": {"asset": ["unknown"]}}',
    b'{"error": {"code": "x", "message": {"lang": "en", "value": "locked"}, "innererror": {"errordetails": ["a"]}}}',
    b'[{"errorCode": "REQUIRED", "message": "missing", "fields": ["Name"]}]',
    b'{"status": "error", "success": "false"}',
    b'{"responses": [{"status": "HTTP/1.1 409 Conflict"}]}',
    *(
        b"Error: \x1b[31mno\r\n",
        b"<html><head><title>504 \xe2\x80\xae</title>",
        b"<s:fault>",
        b"",
        b"false",
        b'{"ok": 0}',
    ),
    share=0.3,
)
def reasons(data: bytes) -> None:
    """What an API says went wrong is one line; a push is done, or is not for a reason that can be kept."""
    for status in (200, 207, 400, 403, 412, 428, 500):
        answer = answer_of(data, status, content_type="application/json; charset=latin-1", allow="GET, \x1b[2J")
        see_line(reason(answer))
        see_line(answer.kind)
        speaks(answer)
        for options in OPTIONS[:2]:
            fate = verdict(answer, "PATCH", options, "erp.example")
            if isinstance(fate, Doubt):
                see_line(str(fate))
                see_told(fate.own)
            elif isinstance(fate, Rejected):
                see_reasons(fate.reasons)
            elif not isinstance(fate, Outcome):
                see_line(str(fate))
            law(status < 400 or not isinstance(fate, Outcome), "a refusal counts as done")


class _Body(httpx.AsyncByteStream):
    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


@target(
    "http.answer",
    b"\x00" + gzip.compress(b'{"a": 1}', mtime=0),
    b"\x01" + zlib.compress(b"[1]"),
    b"\x02\xff\xfe{\0}\0",
    b"\x03" + "ü".encode("latin-1"),
    b"\x04\xef\xbb\xbf[]",
    b"\x05" + gzip.compress(gzip.compress(b"[]", mtime=0), mtime=0) + b"x",
)
def answers(data: bytes) -> None:
    """An answer is read within bounds, in UTF-8 where it can be; else what is wrong with it is told in a line."""
    given = Given(data)
    how = given.byte()
    coding = ("gzip", "deflate", "", "identity", "X-GZIP", "br", "\x1b")[how % 7]
    kind = ("application/json", "text/plain; charset=latin-1", 'a; charset="\0"', "x; charset=utf-7", "charset=hex")[
        how % 5
    ]
    body = given.rest()
    request = httpx.Request("GET", URL)
    headers = {"Content-Encoding": coding, "Content-Type": kind}
    parts = [body[:5], body[5:]]
    try:
        response = httpx.Response(200, headers=headers, stream=_Body(parts), request=request)
        answer = now(read_answer(response, 1000))
    except (httpx.DecodingError, Fatal) as error:
        see_line(str(error))
        return
    law(len(answer.body) <= 4000, "more is read than was asked for")
    see_line(answer.kind)
    see_line(answer.moved_to)
    is_json(answer)


@target(
    "http.locations",
    b"https://x:y@erp.example/a?token=1",
    b"//[::1",
    b"/orders('7''8')",
    b"orders(Id=7)",
    b"/api/orders/%2e%2e",
)
def locations(data: bytes) -> None:
    """An address that an API names is shown without its secrets, and gives an id or none."""
    text = data.decode("latin-1")
    answer = Answer(302, httpx.Headers([(b"Location", data)]), b"")
    see_line(answer.moved_to)
    for options in (OPTIONS[0], MAXIMO.options):
        for read in (options.order_at, options.id_at):
            with contextlib.suppress(ValueError):
                found = read(text)
                law(found is None or isinstance(found, str), "an id is none")
    one_line(text, 40)


@target("http.addresses", b"7", b"../../admin", b"a'b", b"x?y#z", b"..", b"%2F", b"\xe2\x80\xae", b"A" * 1001)
def addresses(data: bytes) -> None:
    """An id leads to its own address below the list's, from which it is read again; or it is Rejected."""
    text = data.decode("utf-8", "replace")
    for options in (OPTIONS[0], ODATA):
        try:
            address = options.address(text, options.push_path)
        except Rejected as error:
            see_reasons(error.reasons)
            continue
        path = httpx.URL(address).path if text else "/api/orders"
        law(address.startswith(URL) and path.startswith("/api/orders"), "an id leads elsewhere")
        law(not text or options.order_at(address) == text, "an id is not read from its own address")
    for options in (FIND,):
        try:
            url, params = options.search(text)
        except Rejected as error:
            see_reasons(error.reasons)
            continue
        law(url == URL and set(params) == {"$filter"}, "a search leads elsewhere")


ODATA = HttpOptions(url=URL, push_path="('{id}')")
FIND = HttpOptions(url=URL, find="?$filter=ref eq '{number}'", ids="client")
MAXIMO = client_of("maximo")


@target(
    "http.token",
    b'{"access_token": "abc", "expires_in": "3600"}',
    b'{"access_token": "a\\nb"}',
    b'{"error": "hush"}',
    b"[]",
    b"<html>",
)
def tokens(data: bytes) -> None:
    """An answer gives a token that a header can hold, or a line that does not show our secret."""
    oauth = OAuth2(token_url="https://erp.example/token", client_id_env="ID", client_secret_env="SECRET")
    credentials = auth_of(oauth, lambda name: "s3cr3t-" + name)

    async def ask(method: str, url: str, **asked: Any) -> Answer:
        return answer_of(data)

    try:
        headers = now(credentials.headers(ask))
    except Fatal as error:
        see_line(str(error))
        law("s3cr3t" not in str(error), "a secret is shown")
        return
    httpx.Headers(dict(headers))
    law(all(value.isprintable() and value.isascii() for value in headers.values()), "a header holds what none may")


@target("http.csrf", b"abc", b"Required", b"a\nb", b"")
def csrf(data: bytes) -> None:
    """A token of an answer's header is what is sent back, or none."""
    handshake = Csrf("erp", HttpOptions(url=URL, csrf=True))
    answer = Answer(403, httpx.Headers([(b"X-CSRF-Token", data)]), b"")

    async def ask(method: str, url: str, **asked: Any) -> Answer:
        return answer

    is_csrf_refusal(answer)
    law(all(value.strip() for value in now(handshake.headers(ask, {})).values()), "an empty token is sent")


class _Api:
    """An API that answers the same to everything."""

    host = "erp.example"

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        return None

    def stopped(self, why: str) -> Fatal:
        return Fatal(why)

    def refusal(self, answer: Answer) -> Fatal:
        return Fatal(answer.kind)

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.sent: list[Mapping[str, Any]] = []

    async def send(self, method: str, url: str, **asked: Any) -> Answer:
        self.sent.append({"method": method, "url": url, **asked})
        if check := asked.get("check"):
            check(self._answer)
        return self._answer


OUTGOING = Outgoing("7", b'{"status": "DONE", "more": {"a": 1}}\n')
NEW = Outgoing("7", b'{"status": "DONE"}\n', is_new=True, number=7)
NOTHING_KNOWN = Known({}, {}, {}, {})


@target(
    "http.put",
    GOOD.replace(b"1", b"7", 1),
    b'{"more": {"a": 0, "b": 1}, "x": 1}',
    b'{"x": {"id": 7}, "@odata.etag": "W/1"}',
    b"[1]",
)
def put(data: bytes) -> None:
    """A PUT tells all that the order has, with what is told over it, or is Rejected: it erases nothing."""
    options = HttpOptions(url=URL, push="PUT", etag="@odata.etag")
    api = _Api(answer_of(data, etag="W/\x7f1"))
    push = Push(api, options, CLIENTS["rest_json"].ids_in)
    try:
        now(push.send(Envelope(OUTGOING, Locator("7")), NOTHING_KNOWN, options.push_patience))
    except Rejected as error:
        see_reasons(error.reasons)
        return
    if len(api.sent) > 1:
        told = msgspec.json.decode(api.sent[-1]["content"])
        law(told["status"] == "DONE" and told["more"]["a"] == 1, "what is told is not in it")


@target(
    "http.creation", b'{"id": "A-1"}', b'{"order": {"id": 8}}', b'{"id": 7}', b"", b'{"id": ""}', b'{"id": "\\u202e"}'
)
def creation(data: bytes) -> None:
    """The answer to a creation gives an id that can be one, or none; what it gives can be kept."""
    options = HttpOptions(url=URL, ids="client")
    client = CLIENTS["rest_json"]
    answer = Answer(201, httpx.Headers([(b"Location", data)]), data)

    async def request(*asked: Any) -> Told:
        return Told(Outcome.SENT, answer)

    for one in (options, HttpOptions(url=URL, ids="client", created_id="a.id")):
        made = Creation(one, None, client.ids_in)
        told = now(made.made(Envelope(NEW, Locator("7")), 7, NOTHING_KNOWN, request))
        if isinstance(told.called, str):
            law(told.called.isprintable() and told.called != "", "an id is none")


@target(
    "http.search",
    b'[{"wonum": "1", "status": "COMP", "reportdate": "2026-10-01", "externalrefid": "7"}]',
    b'{"member": []}',
    b"{}",
    b"[7]",
)
def search(data: bytes) -> None:
    """The answer to a search is an order, none, or a reason that can be kept."""
    api = _Api(answer_of(data))
    client = CLIENTS["maximo"]
    searching = Search(api, HttpOptions(url=URL, items="member", find="?ref={number}", ids="client"), client.read)
    with contextlib.suppress(StopIteration):
        try:
            found = now(searching.one(7))
        except PipelineError as error:
            see_told(error)
            return
        law(found is None or found.raw in data, "what is found is not in the answer")


@target("http.secrets", b"abc", b" abc\r\n", b"a\nb", b"\xff", b"Bearer x", b"")
def secrets(data: bytes) -> None:
    """What signs requests is a header, whatever the secret is; else what is wrong with it is told without it."""
    text = data.decode("utf-8", "surrogateescape")
    for kind in (Bearer("T"), Basic("U", "P"), ApiKey("K")):
        try:
            headers = now(auth_of(kind, ClientSettings(name="erp", secret=lambda name: text).reveal).headers(_never))
        except WrongSettings as error:
            see_told(error)
            law(len(text.strip()) < 4 or text.strip() not in str(error), "a secret is shown")
            continue
        law(all(value.isascii() and value.isprintable() for value in headers.values()), "a header holds what none may")


async def _never(*asked: Any, **more: Any) -> Answer:
    raise AssertionError("nothing is asked for")


class _State:
    """Remembers nothing."""

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        return None

    async def twins(self) -> Mapping[str, str]:
        return {}

    async def watermark(self, url: str) -> None:
        return None

    async def untaken(self) -> list[str]:
        return []

    async def stale(self) -> list[str]:
        return []

    async def listed(self) -> AsyncIterator[list[str]]:
        if False:
            yield []

    async def addresses(self, ids: Any) -> Mapping[str, str]:
        return {}

    async def set_watermark(self, url: str, time: datetime) -> None:
        return None

    async def remembered(self, known: Any) -> Mapping[str, str]:
        return {}

    etags = failures = set_etags = set_failures = set_stale = set_addresses = set_listed = remembered

    async def set_twin(self, theirs: str, ours: str) -> None:
        theirs.encode()


@target(
    "http.source",
    b'{"id": 1, "updatedAt": "2026-10-01T10:00:00Z", "etag": "W/1", "href": "/x"}',
    *(b'{"id": "\\u202e"}', b"7", b'{"id": 1}, {"id": 1}', b'{"id": "#2"}', b'{"id": 1, "updatedAt": 7, "etag": {}}'),
)
def source(data: bytes) -> None:
    """Of a list with an odd order, each has a place of its own, and the others are there; it is read to its end."""
    options = HttpOptions(url=URL, updated="updatedAt", etag="etag", href="href")
    client = CLIENTS["rest_json"]
    answer = answer_of(b"[" + b",".join((GOOD, data, GOOD)) + b"]", date="Sat, 31 Oct 2026 12:16:45 GMT")
    reading = HttpSource(_Api(answer), options, _State(), client.identify, client.moment)

    async def everything() -> list[Any]:
        return [item async for group in reading.read() for item in group]

    try:
        items = now(everything())
    except (Fatal, ValueError) as error:
        see_line(str(error))
        law(not _is_closed(data), "an odd order costs the list")
        return
    law(len({item.locator for item in items}) == len(items), "two orders have one place")
    law(items[0].raw == GOOD and items[-1].raw == GOOD, "an odd order costs others")


@target(
    "http.told",
    *(
        b'{"id": "A-1", "etag": "W/1"}',
        b'{"id": 7}',
        b"",
        b'{"error": {"message": "no"}}',
        b"<html>",
        b"Error: x",
        b"\xff",
    ),
    share=0.2,
)
def told(data: bytes) -> None:
    """Whatever the answer to a push is, the order is sent, left, or dead for a reason that can be kept."""
    options = HttpOptions(url=URL, etag="etag", href="href")
    client = CLIENTS["rest_json"]
    for status in (200, 201, 404, 409, 500):
        answer = Answer(status, httpx.Headers([(b"Location", data), (b"Allow", data)]), data)
        sink = HttpSink(_Api(answer), options, _State(), client.ids_in, client.read)
        items = [Envelope(OUTGOING, Locator("7")), Envelope(replace(OUTGOING, id="8", is_new=True), Locator("8"))]
        run(_written(sink, items))


async def _written(sink: HttpSink, items: list[Envelope[Outgoing]]) -> None:
    async with sink:
        result = await sink.write_batch(items)
    if result.stop is not None:
        see_line(str(result.stop))
    for outcome in result.outcomes:
        if isinstance(outcome, Exception):
            law(isinstance(outcome, PipelineError), f"an order is {type(outcome).__name__}: {outcome}")
            see_told(outcome)
