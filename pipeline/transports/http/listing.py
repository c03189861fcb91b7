"""The way through a list: what asks for its next page, until the server says that it is at its end; pure.

It says so by a page without a next one where it names those, by ``more`` or ``total``, else by an empty page. A short
page says nothing: servers cap.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pipeline.errors import Fatal, See
from pipeline.transports.http.addresses import followed
from pipeline.transports.http.answers import Answer
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.pages import Page, is_json, read_page

__all__ = ["Listing", "PageRequest", "first_request"]

NO_SUCH_PAGE: Final = frozenset({404, 416})
"""How some servers answer to a number beyond the last page."""


REPEATS: Final = 2
"""How often the same page has to come again: once may be orders that were added before it meanwhile."""


class PageRequest(Struct, frozen=True):
    """What asks for one page."""

    url: str
    params: Mapping[str, str]
    position: int | None = None
    """The page's number, or its offset, where pages are counted."""

    @property
    def print(self) -> bytes:
        """Equal for equal requests."""
        return _hash(self.url, *(f"{key}={value}" for key, value in sorted(self.params.items())))


def first_request(options: HttpOptions, since: str | None, find: str | None = None) -> PageRequest:
    """What asks for the first page; ``since``: of what changed since then; ``find``: of what has this reference."""
    url, params = (options.url, options.query(since)) if find is None else options.search(find)
    if options.page != "none" and options.size_param:
        params[options.size_param] = str(options.page_size)
    position = {"page": options.first_page, "offset": 0}.get(options.page)
    if position is not None:
        params[options.page_param or options.page] = str(position)
    return PageRequest(url, params, position)


class Listing:
    """One pass over a list: ``request`` asks for its next page; None: the server has said that it is at its end."""

    def __init__(self, options: HttpOptions, since: str | None = None, *, find: str | None = None) -> None:
        self._options = options
        self.request: PageRequest | None = first_request(options, since, find)
        self._asked: set[bytes] = set()
        self._pages = 0
        self._orders = 0
        self._last, self._same = b"", 0
        self._differ = False
        """Whether two pages after each other held different orders: the server does count."""

    def read(self, answer: Answer) -> Page:
        """The page that answers ``request``; raises ValueError for one that came broken, Fatal for one that is none."""
        counted = self.request is not None and self.request.position is not None
        if counted and self._pages and answer.status in NO_SUCH_PAGE and is_json(answer):
            return Page(())  # the API itself says so; a proxy before it has no JSON
        return read_page(answer, self._options)

    def follow(self, page: Page, ids: Sequence[str]) -> None:
        """``page``, with orders of these ids, was taken: go to the next one. Raises Fatal where that leads astray."""
        request = self.request
        if request is None:
            return
        self._asked.add(request.print)
        self._pages += 1
        self._orders += len(page.items)
        following = self._after(request, page, ids)
        if following is not None and following.print in self._asked:
            if following == request and not page.items and not page.more:
                following = None  # an empty page that is followed by itself
            else:
                what = "a page is followed by itself, or by one that was read before"
                raise self._astray(what, "page, next and more")
        if following is None and page.total is not None and page.total > self._orders:
            what = f"it says that it has {page.total} orders, and shows {self._orders}"
            raise self._astray(what, "page and total")
        self.request = following

    def _after(self, request: PageRequest, page: Page, ids: Sequence[str]) -> PageRequest | None:
        options = self._options
        if page.more is False:
            return None
        if options.page == "none":
            return None
        param = options.page_param or options.page
        if options.page in {"page", "offset"}:
            return self._counted(request, page, ids, param)
        if page.next is None:
            return None
        if options.page == "link":
            return PageRequest(followed(page.next, request.url, options, "its next page"), {})
        return PageRequest(request.url, {**request.params, param: page.next})

    def _counted(self, request: PageRequest, page: Page, ids: Sequence[str], param: str) -> PageRequest | None:
        options = self._options
        if not page.items and not page.more:
            return None
        if page.items and self._repeats(ids) >= REPEATS:
            if self._differ:
                return None  # the last page again, for any number after it
            what = "its second page is its first one again, and so is the third"
            raise self._astray(what, f"page_param ({param}); or set total or more, which tell the end")
        if page.total is not None and self._orders >= page.total and not page.more:
            return None
        position = (request.position or 0) + (1 if options.page == "page" else len(page.items))
        return PageRequest(request.url, {**request.params, param: str(position)}, position)

    def _repeats(self, ids: Sequence[str]) -> int:
        """How often the page has come again, one right after the other."""
        current = _hash(*ids)
        if current == self._last:
            self._same += 1
        else:
            self._differ |= bool(self._last)
            self._last, self._same = current, 0
        return self._same

    def _astray(self, what: str, see: str) -> Fatal:
        return Fatal(f"{self._options.url}: {what}: see {see}", see=See.API_ANSWERS)


def _hash(*parts: str) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode(errors="surrogatepass")
        state.update(len(data).to_bytes(8, "big") + data)
    return state.digest()
