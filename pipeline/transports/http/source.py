"""The list of orders that an API shows, page by page, from where the last run was sure of everything."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from loguru import logger
from msgspec import Struct

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Fate, Unreadable
from pipeline.dataflow.ports import NOTHING_IS_SURE, Progress, Source, Witness
from pipeline.errors import Outage, Reason, See
from pipeline.orders.workorder import ExternalId
from pipeline.translation.times import format_time
from pipeline.transports.http.absence import Absence, Removed
from pipeline.transports.http.addresses import order_address
from pipeline.transports.http.api import Answer, Api, Away
from pipeline.transports.http.listing import Listing
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.pages import Page, is_json, order_in
from pipeline.transports.http.push import GONE
from pipeline.transports.http.reasons import find, reason, speaks
from pipeline.transports.http.state import State
from pipeline.transports.http.watermark import Watermark

__all__ = ["HttpSource"]

TOLD: Final = frozenset({Fate.DELIVERED, Fate.DEAD, Fate.HELD, Fate.CLOSED})
"""What is known to be gone: it has a letter, or was deleted in TracOS."""

UNREAD: Final = frozenset({Fate.DEAD, Fate.HELD, Fate.DEFERRED})
"""What is in the list, and not taken: nobody knows what telling the client of it would write over."""

SECOND: Final = timedelta(seconds=1)
"""The header Date leaves out its fraction, so that what was just written may have a later time."""

_DECODER: Final = msgspec.json.Decoder()


class _Seen(Struct, frozen=True):
    """What the source itself reads of an order."""

    id: str
    time: datetime | None = None
    etag: str | None = None
    href: str | None = None
    is_gone: bool = False
    """It is not seen any more, in truth."""
    is_nameless: bool = False
    """Its id cannot be read, and ``id`` is one that stands for it here."""


class HttpSource(Source[bytes]):
    """Yields the orders of a list, a page a group, each under its id; ``identify`` reads that, ``moment`` a time.

    With ``since_param`` only what changed since the last run is asked for, and a little before it, as long as
    ``witness`` vouches for all that was taken before. How far the list was read is the greatest time seen in the data,
    not later than the server's own clock, or than ours where it does not tell its own, and it is remembered once all
    that came before is settled. With ``since`` what changed since then is asked for, and how far was read stays.
    """

    def __init__(
        self,
        api: Api,
        options: HttpOptions,
        state: State,
        identify: Callable[[bytes], ExternalId | None],
        moment: Callable[[Any], datetime | None],
        witness: Witness = NOTHING_IS_SURE,
        since: datetime | None = None,
    ) -> None:
        self._api = api
        self._options = options
        self._state = state
        self._identify = identify
        self._moment = moment
        self._witness = witness
        self._asked_since = since
        self._watermark = Watermark(in_order=options.in_order)
        self._seen: dict[Locator, _Seen] = {}
        self._absence = Absence(api, options, state)
        self._is_nameless = False
        """Whether the list showed an order whose id cannot be read: it may be any."""
        self._stale: set[str] = set()
        """The orders that a push found changed, or that were shown and not taken, and that are read again."""
        self._twins: Mapping[str, str] = {}
        self._shows_all = False
        self._read = 0

    @property
    def title(self) -> str:
        """The list's address."""
        return self._options.url

    @property
    def shows_all(self) -> bool:
        """Whether all of the list was read, to where the server says that it ends, and each order has an id."""
        return self._shows_all

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

    async def read(self) -> AsyncIterator[Sequence[Envelope[bytes] | Unreadable]]:
        """Yield the pages, then the orders that a push found changed, and those that are gone.

        Raises Outage when the API stays away.
        """
        self._twins = await self._state.twins()
        self._stale.update(await self._state.untaken())
        since = await self._since()
        listing = Listing(self._options, since)
        while listing.request is not None:
            answer, page = await self._page(listing)
            self._watermark.limit(answer.date + SECOND if answer.date else datetime.now(UTC))
            group = self._group(page.items)
            if group:
                yield group
            listing.follow(page, [item.locator.place for item in group])
        self._shows_all = since is None and not self._is_nameless
        async for group in self._changed():
            yield group
        if since is None and not self._is_nameless:
            async for order_id, status in self._absence.gone():
                yield [self._lost(order_id, status)]
        self._watermark.end()
        await self._remember()

    @property
    def pending(self) -> int:
        """How many orders are not settled yet."""
        return len(self._seen)

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """Remember what was taken, as it is under its ETag, and how far everything is settled."""
        seen = self._seen
        taken = [locator for locator, fate in fates.items() if fate is Fate.DELIVERED and not seen[locator].is_gone]
        await self._state.set_listed([seen[locator].id for locator in taken])
        told = [seen[locator].id for locator, fate in fates.items() if seen[locator].is_gone and fate in TOLD]
        await self._state.set_unlisted(told)
        untaken = [seen[locator] for locator, fate in fates.items() if fate in UNREAD]
        await self._state.set_untaken([one.id for one in untaken if not one.is_gone and not one.is_nameless])
        if self._options.etag:
            await self._state.set_etags({seen[locator].id: seen[locator].etag or None for locator in taken})
        elif read_again := self._stale.intersection(seen[locator].id for locator in taken):
            await self._state.set_etags(dict.fromkeys(read_again))  # else they would be read again each run
        if self._options.href:
            await self._state.set_addresses({seen[locator].id: seen[locator].href for locator in taken})
        if self._options.since_param:
            proofs = zip(taken, self._witness.take(taken), strict=True)
            await self._state.set_proofs({seen[locator].id: proof for locator, proof in proofs})
        for locator in fates:
            del seen[locator]
        self._watermark.settle(fates)
        await self._remember()

    async def _since(self) -> str | None:
        if not self._options.since_param:
            return None
        self._witness.attend()
        if self._asked_since is not None:
            return format_time(self._asked_since)
        if not self._witness.vouches:
            return None
        known = await self._state.watermark(self._options.url)
        if known is None:
            return None
        if not await self._is_borne_out():
            await self._state.begin_anew()
            return None
        return format_time(known - timedelta(seconds=self._options.overlap))

    async def _is_borne_out(self) -> bool:
        """Whether all that was taken is still where it was delivered to: else the whole list is asked for."""
        async for proofs in self._state.proofs():
            if not all(await self._witness.hold(proofs)):
                logger.info("{}: not all that was taken before is there now: everything is read again", self._api.host)
                return False
        return True

    async def _page(self, listing: Listing) -> tuple[Answer, Page]:
        request, pages = listing.request, []
        if request is None:
            raise RuntimeError("the list is at its end")

        def check(answer: Answer) -> None:
            pages.append(listing.read(answer))

        try:
            answer = await self._api.send("GET", request.url, params=request.params, check=check)
        except Away as error:
            said = f"; it says: {reason(error.answer)}" if error.answer is not None and speaks(error.answer) else ""
            raise Outage(
                f"{error}: nothing is lost; see that it runs, and that url is right, then run again{said}",
                see=See.API_AWAY,
            ) from error
        return answer, pages[-1]

    async def _changed(self) -> AsyncIterator[Sequence[Envelope[bytes] | Unreadable]]:
        """The orders whose push was refused because somebody had changed them."""
        stale = await self._state.stale()
        self._stale.update(stale)
        addresses = await self._state.addresses(stale)
        for order_id in stale:
            url = order_address(self._options, order_id, addresses.get(order_id))
            try:
                answer = await self._api.send("GET", url, params=self._options.order_params)
            except Away as error:  # the list was answered: it is this order
                logger.warning("order {} cannot be read again: {}", order_id, error)
                continue
            if answer.is_success and is_json(answer):
                raw = order_in(answer.body, self._options.item, lambda one: self._identify(one) is not None)
                yield self._group([raw], answer.headers.get("ETag"))
            elif answer.status in GONE:
                await self._state.set_etags({order_id: None})
            else:
                logger.warning("order {} cannot be read again: {} answers {}", order_id, self._api.host, answer.status)

    def _group(self, items: Sequence[bytes], etag: str | None = None) -> Sequence[Envelope[bytes] | Unreadable]:
        group: list[Envelope[bytes] | Unreadable] = []
        for raw in items:
            seen = self._look(raw, etag)
            self._absence.show(seen.id)
            locator = Locator(seen.id)
            times = 1
            while locator in self._seen:  # again in this run, and the first is on its way still
                times += 1
                locator = Locator(seen.id, f"#{times}")
            self._seen[locator] = seen
            ours = self._twins.get(seen.id)
            if ours is None:
                group.append(Envelope(raw, locator, raw))
            else:
                why = f"the client made this order of ours, {ours}, and calls it {seen.id}: it is no second one here"
                group.append(Unreadable(locator, (Reason(why),), raw))
        self._read += len(group)
        self._watermark.begin({item.locator: self._seen[item.locator].time for item in group})
        return group

    def _lost(self, order_id: str, status: int) -> Envelope[bytes] | Unreadable:
        locator = Locator(order_id)
        self._seen[locator] = _Seen(order_id, is_gone=True)
        self._watermark.begin({locator: None})
        if self._options.absent == "delete":
            raw = Removed(order_id.encode())
            return Envelope(raw, locator, raw, str(status))
        why = f"the list of {self._api.host} does not show it any more, and its own address answers {status}"
        reason = Reason(f"{why}: it was removed there; delete it in TracOS too, or discard this letter")
        return Unreadable(locator, (reason,), stamp=str(status))

    def _look(self, raw: bytes, etag: str | None) -> _Seen:
        order_id = self._identify(raw)
        if order_id is None:
            self._is_nameless = True
            return _Seen(f"without-an-id-{_hash(raw)}", is_nameless=True)
        data, options = _DECODER.decode(raw), self._options
        time, shown = self._moment(find(data, options.updated)), _text(find(data, options.etag))
        return _Seen(str(order_id), time, shown or etag, _text(find(data, options.href)))

    async def _remember(self) -> None:
        sure = self._watermark.advance()
        if sure is not None and self._options.since_param and self._asked_since is None:
            await self._state.set_watermark(self._options.url, sure)


def _text(said: Any) -> str | None:
    return said if isinstance(said, str) else None


def _hash(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=6).hexdigest()
