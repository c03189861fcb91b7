"""What one page of a list holds, and what it says of the pages after it; pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import httpx
import msgspec
from msgspec import Raw, Struct

from pipeline.errors import Fatal, See
from pipeline.transports.http.answers import ANSWER_BYTES, Answer
from pipeline.transports.http.headers import links
from pipeline.transports.http.loose import array_of, object_of
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.reasons import aside_in, failed_in, is_aside, means_error, reason, says_no, says_yes

__all__ = ["Page", "is_json", "order_in", "read_page"]

_ANY: Final = msgspec.json.Decoder()
_MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

NEXT_KEYS: Final = (
    *("next", "nextLink", "next_link", "@odata.nextLink", "odata.nextLink", "d.__next", "_links.next", "links.next"),
    *("next_page", "nextPage", "next_page_url", "nextPageUrl", "next_url", "nextUrl", "responseInfo.nextPage"),
    *("paging.next", "pagination.next", "meta.next", "next_cursor", "nextCursor", "nextPageToken", "next_page_token"),
    *("has_more", "hasMore", "has_next", "hasNext", "hasNextPage"),
)
"""Where servers commonly say that there is a next page; looked at where the settings find none."""


class Page(Struct, frozen=True):
    """What one page holds: the original bytes of each of its orders, and what it says of the pages after it."""

    items: Sequence[bytes]
    next: str | None = None
    more: bool | None = None
    """Whether there are more, where it says so."""
    total: int | None = None
    """How many orders there are in all, where it says so."""


class _Reader(NamedTuple):
    """How JSON is taken apart: by the book, or by its brackets alone."""

    object_of: Callable[[bytes], Mapping[str, Any]]
    array_of: Callable[[bytes], Sequence[Any]]


STRICT: Final = _Reader(msgspec.json.Decoder(dict[str, Raw]).decode, msgspec.json.Decoder(list[Raw]).decode)
LOOSE: Final = _Reader(object_of, array_of)


def read_page(answer: Answer, options: HttpOptions) -> Page:
    """The page in ``answer``; raises ValueError for one that came broken, Fatal for what is none."""
    _refuse_what_is_none(answer, options)
    if answer.status in {httpx.codes.NO_CONTENT, httpx.codes.RESET_CONTENT}:
        return Page((), _linked(answer, options) if options.page == "link" and not options.next else None)
    try:
        return _page(answer, options, STRICT)
    except _MALFORMED as error:
        kind = answer.kind
        if answer.page_title is not None:
            raise Fatal(f"{options.url} answers with {kind}: see auth and url", see=See.API_ANSWERS) from error
        if kind == "XML":
            raise Fatal(
                f"{options.url} answers with XML: see params and headers, to be given JSON", see=See.API_ANSWERS
            ) from error
        if kind == "nothing":
            raise ValueError(f"{options.url} answers with nothing, where a list was asked for") from error
    try:
        return _page(answer, options, LOOSE)
    except (*_MALFORMED, ValueError) as error:
        more = "" if answer.kind == "text" else f", but {answer.kind}"
        raise ValueError(f"{options.url} sends a page that is no JSON{more}") from error


def order_in(body: bytes, path: str, knows: Callable[[bytes], bool]) -> bytes:
    """The order in an answer about one, in its original bytes: what is at ``path``.

    Without a path: the answer itself, or else the only object in it, or in a list in it, that ``knows`` takes for one.
    """
    body = body.strip()
    try:
        if path:
            return _at(body, path, STRICT) or body
        if knows(body):
            return body
        within = STRICT.object_of(body).values() if body[:1] == b"{" else STRICT.array_of(body)
        found = [bytes(one).strip() for one in within]
        found += [bytes(one).strip() for array in found if array[:1] == b"[" for one in STRICT.array_of(array)]
    except _MALFORMED:
        return body
    orders = [one for one in found if one[:1] == b"{" and knows(one)]
    return orders[0] if len(orders) == 1 else body


def is_json(answer: Answer) -> bool:
    """Whether an answer's body is JSON."""
    return _lenient(answer.body) is not None


def _refuse_what_is_none(answer: Answer, options: HttpOptions) -> None:
    if answer.is_redirect:
        raise Fatal(
            f"{options.url} answers {answer.status}, moved to {answer.moved_to}: set url so, or see auth",
            see=See.API_ANSWERS,
        )
    if answer.status in {401, 403}:
        raise Fatal(
            f"{options.url} refuses us ({answer.status}: {reason(answer)}): see auth, and the variables that it names; "
            "nothing is lost, run again when it is right",
            see=See.API_REFUSES,
        )
    if not answer.is_success:
        raise Fatal(
            f"{options.url} answers {answer.status} ({reason(answer)}): see url and params", see=See.API_ANSWERS
        )
    if answer.is_cut:
        raise Fatal(
            f"{options.url} sends a page of more than {ANSWER_BYTES // 2**20} MB: ask for smaller ones (page_size)",
            see=See.API_ANSWERS,
        )


def _page(answer: Answer, options: HttpOptions, reader: _Reader) -> Page:
    """The page, taken apart by ``reader``, which raises for what is malformed."""
    body = answer.body.strip()
    if body[:1] not in {b"[", b"{"}:
        _ANY.decode(body)
    top = reader.object_of(body) if body[:1] == b"{" else {}
    found = _at(body, options.items, reader)
    where = repr(options.items) if options.items else "its top"
    if found is None:
        raise Fatal(
            f"{options.url}: its page has nothing at {where}{_aside(top, ', but says: ')}: see items",
            see=See.API_ANSWERS,
        )
    items: Sequence[bytes] = ()
    if found not in {b"null", b'""'}:  # a list of none, as some write it
        if found[:1] != b"[":
            what = {b"{": "an object", b'"': "a text"}.get(found[:1], "something else")
            said = _aside(top, ", which says: ")
            raise Fatal(
                f"{options.url}: its page has no array of orders at {where}, but {what}{said}: see items",
                see=See.API_ANSWERS,
            )
        items = [bytes(item) for item in reader.array_of(found)]
    _refuse_an_error(top, options)
    more = _more(_value(top, options.more, reader), options)
    total = _total(_value(top, options.total, reader), options)
    following = _next(answer, top, options, reader)
    if options.page not in {"page", "offset"} and following is None and more is not False:
        _refuse_an_unknown_next(answer, top, options, reader)
    return Page(items, following, more, total)


def _at(data: bytes, path: str, reader: _Reader) -> bytes | None:
    """The bytes at ``path``, None where there are none; null and an array stand for themselves on the way there."""
    data = data.strip()
    if not path or data == b"null" or data[:1] == b"[":
        return data
    if data[:1] != b"{":
        return None
    members = reader.object_of(data)
    if path in members:
        return bytes(members[path]).strip()
    first, _, rest = path.partition(".")
    return _at(bytes(members[first]), rest, reader) if rest and first in members else None


def _value(top: Mapping[str, Any], path: str, reader: _Reader) -> Any:
    """The value at ``path``, decoded; None where there is none."""
    if path in top:
        return _ANY.decode(bytes(top[path]))
    first, _, rest = path.partition(".")
    found = bytes(top[first]).strip() if rest and first in top else b""
    return _value(reader.object_of(found), rest, reader) if found[:1] == b"{" else None


def _next(answer: Answer, top: Mapping[str, Any], options: HttpOptions, reader: _Reader) -> str | None:
    """The link or the cursor of the next page."""
    if options.page not in {"link", "cursor"}:
        return None
    if not options.next:
        return _linked(answer, options)
    said = _value(top, options.next, reader)
    if said is None or said is False or said in ("", 0):
        return None
    if not isinstance(said, str | int) or said is True or (options.page == "link" and not isinstance(said, str)):
        raise Fatal(
            f"{options.url}: its page has no link and no cursor at {options.next}: see next", see=See.API_ANSWERS
        )
    return str(said)


def _linked(answer: Answer, options: HttpOptions) -> str | None:
    values = answer.headers.get_list("Link")
    try:
        return links(values).get("next") or None
    except ValueError:
        if "next" in "".join(values).lower():
            raise Fatal(
                f"{options.url}: its header Link cannot be read: see next, for a link in the page", see=See.API_ANSWERS
            ) from None
        return None


def _refuse_an_unknown_next(answer: Answer, top: Mapping[str, Any], options: HttpOptions, reader: _Reader) -> None:
    """Raise Fatal where a page names a next one at a place that the settings do not look at."""
    try:
        linked = "next" in links(answer.headers.get_list("Link"))
    except ValueError:
        linked = False
    places = [key for key in (*NEXT_KEYS, options.more) if key and means_error(_value(top, key, reader))]
    if linked or places:
        where = places[0] if places else "the header Link"
        unset = ", and page is not set" if options.page == "none" else ""
        raise Fatal(
            f"{options.url}: its page says at {where} that there are more{unset}: see page, next and more",
            see=See.API_ANSWERS,
        )


def _more(said: Any, options: HttpOptions) -> bool | None:
    if said is None:
        return None
    if says_yes(said) or says_no(said):
        return says_yes(said)
    raise Fatal(f"{options.url}: its page says neither yes nor no at {options.more}: see more", see=See.API_ANSWERS)


def _total(said: Any, options: HttpOptions) -> int | None:
    if said is None or (type(said) is int and said >= 0):
        return said
    if isinstance(said, str) and said.isascii() and said.isdigit():
        return int(said)
    raise Fatal(f"{options.url}: its page has no number at {options.total}: see total", see=See.API_ANSWERS)


def _refuse_an_error(top: Mapping[str, Any], options: HttpOptions) -> None:
    """Raise Fatal where the page says that it is an error, although its status says none."""
    roots = {"status", *(key.partition(".")[0] for key in (*options.errors, *options.success)), *options.errors}
    said = {key: _lenient(bytes(value)) for key, value in top.items() if key in roots or is_aside(key)}
    if failed_in(said, options.errors, options.success):
        why = _aside(top, ": ")
        raise Fatal(
            f"{options.url}: its page says that there was an error{why}; see auth, or errors and success",
            see=See.API_ANSWERS,
        )


def _aside(top: Mapping[str, Any], word: str) -> str:
    said = aside_in({key: _lenient(bytes(value)) for key, value in top.items() if is_aside(key)})
    return f"{word}{said}" if said else ""


def _lenient(data: bytes) -> Any:
    try:
        return _ANY.decode(data)
    except _MALFORMED:
        return None
