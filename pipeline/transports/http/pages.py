"""How a list is read page by page: what a page holds, and what asks for the next one; pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Raw, Struct

from pipeline.errors import Fatal
from pipeline.transports.http.api import Answer
from pipeline.transports.http.options import HttpOptions

__all__ = ["Page", "PageRequest", "first_request", "next_request", "read_page"]

_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_ARRAY: Final = msgspec.json.Decoder(list[Raw])
_ANY: Final = msgspec.json.Decoder()


class PageRequest(Struct, frozen=True):
    """What asks for one page."""

    url: str
    params: Mapping[str, str]
    position: int | None = None
    """The page's number, or its offset, where pages are counted."""


class Page(Struct, frozen=True):
    """What one page holds: the original bytes of each of its orders, and what it says of the next page."""

    items: Sequence[bytes]
    next: str | None = None


def first_request(options: HttpOptions, since: str | None) -> PageRequest:
    """What asks for the first page; ``since``: of what changed since then."""
    params = dict(options.params)
    if since is not None:
        params[options.since_param] = options.since.replace("{time}", since)
    if options.page != "none" and options.size_param:
        params[options.size_param] = str(options.page_size)
    position = {"page": options.first_page, "offset": 0}.get(options.page)
    if position is not None:
        params[options.page_param or options.page] = str(position)
    return PageRequest(options.url, params, position)


def read_page(answer: Answer, options: HttpOptions) -> Page:
    """The page in ``answer``; raises ValueError for one that came broken, or is none."""
    if not answer.is_success:
        raise Fatal(f"{options.url} answers {answer.status}: see url and params")
    try:
        found = _at(answer.body, options.items)
        if found is None:
            raise Fatal(f"{options.url}: its page has nothing at {options.items!r}: see items")
        items = [bytes(item) for item in _ARRAY.decode(found)]
        said = _at(answer.body, options.next) if options.next else None
        following = _ANY.decode(said) if said is not None else None
    except msgspec.ValidationError as error:
        where = options.items or "its top"
        raise Fatal(f"{options.url}: its page has no array of orders at {where}: see items, next ({error})") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("sends a page that is no JSON") from error
    if following is None and options.page == "link" and not options.next:
        following = answer.links.get("next")
    if not isinstance(following, str | int | None):
        raise Fatal(f"{options.url}: its page has no link and no cursor at {options.next}: see next")
    return Page(items, None if following in (None, "", False) else str(following))


def next_request(options: HttpOptions, request: PageRequest, page: Page) -> PageRequest | None:
    """What asks for the page after ``page``; None: it was the last. Raises Fatal for one that would lead astray."""
    param = options.page_param or options.page
    match options.page:
        case "link" if page.next:
            url = urljoin(request.url, page.next)
            if urlsplit(url)[:2] != urlsplit(options.url)[:2]:
                raise Fatal(f"{options.url}: its next page lies at another address, which gets no credentials of ours")
            return _moved(request, PageRequest(url, {}))
        case "cursor" if page.next:
            return _moved(request, PageRequest(request.url, {**request.params, param: page.next}))
        case "page" | "offset" if len(page.items) >= options.page_size:
            position = (request.position or 0) + (1 if options.page == "page" else len(page.items))
            return PageRequest(request.url, {**request.params, param: str(position)}, position)
    return None


def _moved(request: PageRequest, following: PageRequest) -> PageRequest:
    if following == request:
        raise Fatal(f"{request.url}: a page says that it is followed by itself: see page, next")
    return following


def _at(body: bytes, path: str) -> Any:
    """The bytes at ``path``, or None: a key, or several joined by dots; empty: all of them."""
    if not path:
        return body
    data = _OBJECT.decode(body)
    first, dot, rest = (path, "", "") if path in data else path.partition(".")
    found = data.get(first)
    if found is None or bytes(found) == b"null":
        return None
    return _at(bytes(found), rest) if dot else found
