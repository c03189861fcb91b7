"""The list of orders that an API shows, page by page, from where the last run was sure of everything."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from pipeline.dataflow.messages import DeadLetter, Envelope
from pipeline.dataflow.ports import Progress, Source
from pipeline.errors import Outage
from pipeline.orders.workorder import ExternalId
from pipeline.translation.times import format_time, parse_time
from pipeline.transports.http.api import Answer, Api, Away
from pipeline.transports.http.listing import Listing
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.pages import Page
from pipeline.transports.http.state import State
from pipeline.transports.http.watermark import Watermark

__all__ = ["HttpSource"]

_DECODER: Final = msgspec.json.Decoder()


class _Seen(Struct, frozen=True):
    """What the source itself reads of an order."""

    id: str
    time: datetime | None = None
    etag: str | None = None


class HttpSource(Source[bytes]):
    """Yields the orders of a list, a page a group, each under its id; ``identify`` reads that.

    With ``since_param`` only what changed since the last run is asked for, and a little before it. How far the list was
    read is the greatest time seen in the data, not later than the server's own clock, and it is remembered once all
    that came before is settled.
    """

    def __init__(
        self, api: Api, options: HttpOptions, state: State, identify: Callable[[bytes], ExternalId | None]
    ) -> None:
        self._api = api
        self._options = options
        self._state = state
        self._identify = identify
        self._watermark = Watermark(in_order=options.in_order)
        self._seen: dict[str, _Seen] = {}
        self._read = 0

    @property
    def title(self) -> str:
        """The list's address."""
        return self._options.url

    def progress(self) -> Progress:
        """How many orders have been read; nobody knows of how many."""
        return Progress(self._read, None, "orders")

    async def open(self) -> None:
        """Open the connection and what is remembered."""
        await self._state.__aenter__()
        await self._api.__aenter__()

    async def close(self) -> None:
        """Close both."""
        await self._api.__aexit__(None, None, None)
        await self._state.__aexit__(None, None, None)

    async def read(self) -> AsyncIterator[Sequence[Envelope[bytes]]]:
        """Yield the pages, then the orders that a push found changed; raises Outage when the API stays away."""
        listing = Listing(self._options, await self._since())
        while listing.request is not None:
            answer, page = await self._page(listing)
            self._watermark.limit(answer.date)
            if page.items:
                yield self._group(page.items)
            listing.follow(page)
        async for group in self._changed():
            yield group
        self._watermark.end()
        await self._remember()

    async def ack(self, locators: Sequence[str]) -> None:
        """These are taken, as they are under their ETags."""
        seen = [self._seen[locator] for locator in locators]
        if self._options.etag:
            await self._state.set_etags({one.id: one.etag for one in seen})
        await self._settle(locators)

    async def held(self, locators: Sequence[str]) -> None:
        """These were read, and there is nothing new about them."""
        await self._settle(locators)

    async def nack(self, letters: Sequence[DeadLetter]) -> None:
        """These are dead, and safe."""
        await self._settle([letter.locator for letter in letters])

    async def _since(self) -> str | None:
        if not self._options.since_param:
            return None
        known = await self._state.watermark(self._options.url)
        return format_time(known - timedelta(seconds=self._options.overlap)) if known else None

    async def _page(self, listing: Listing) -> tuple[Answer, Page]:
        request = listing.request
        if request is None:
            raise RuntimeError("the list is at its end")
        answer = await self._send(request.url, params=request.params, check=listing.read)
        return answer, listing.read(answer)

    async def _changed(self) -> AsyncIterator[Sequence[Envelope[bytes]]]:
        """The orders whose push was refused because somebody had changed them."""
        for order_id in await self._state.stale():
            answer = await self._send(self._options.address(order_id, self._options.push_path))
            if answer.is_success:
                yield self._group([answer.body.strip()], answer.headers.get("ETag"))
            else:
                await self._state.set_etags({order_id: None})

    async def _send(self, url: str, **more: Any) -> Answer:
        try:
            return await self._api.send("GET", url, **more)
        except Away as error:
            raise Outage(
                f"{error}: nothing is lost; see that it runs, and that url is right, then run again"
            ) from error

    def _group(self, items: Sequence[bytes], etag: str | None = None) -> list[Envelope[bytes]]:
        envelopes = []
        for raw in items:
            seen = self._look(raw, etag)
            locator = seen.id
            times = 1
            while locator in self._seen:  # again in this run, and the first is on its way still
                times += 1
                locator = f"{seen.id}#{times}"
            self._seen[locator] = seen
            envelopes.append(Envelope(raw, locator, raw))
        self._read += len(envelopes)
        self._watermark.begin({envelope.locator: self._seen[envelope.locator].time for envelope in envelopes})
        return envelopes

    def _look(self, raw: bytes, etag: str | None) -> _Seen:
        order_id = self._identify(raw)
        if order_id is None:
            return _Seen(f"without-an-id-{_hash(raw)}")
        data = _DECODER.decode(raw)
        if self._options.etag:
            said = data.get(self._options.etag)
            etag = said if isinstance(said, str) else etag
        return _Seen(str(order_id), _time(data.get(self._options.updated)), etag)

    async def _settle(self, locators: Sequence[str]) -> None:
        for locator in locators:
            del self._seen[locator]
        self._watermark.settle(locators)
        await self._remember()

    async def _remember(self) -> None:
        sure = self._watermark.advance()
        if sure is not None and self._options.since_param:
            await self._state.set_watermark(self._options.url, sure)


def _time(said: Any) -> datetime | None:
    try:
        return parse_time(said, UTC) if isinstance(said, str) else None
    except ValueError:
        return None


def _hash(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=6).hexdigest()
