"""Whether the client has an order of ours already: it is asked for the one that has our number as its reference."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from pipeline.errors import Deferred, Fatal, Reason, Rejected
from pipeline.orders.workorder import ExternalId, Record, id_key
from pipeline.transports.http.answers import Answer
from pipeline.transports.http.api import Api
from pipeline.transports.http.listing import Listing
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.pages import is_json, order_in
from pipeline.transports.http.push import decoded
from pipeline.transports.http.reasons import find

__all__ = ["Found", "Search"]

PAGES: Final = 20
"""Of an answer to a search: one that has more is no search for one order."""
SHOWN: Final = 5
NONE_THERE: Final = frozenset({404, 410})


class Found(Struct, frozen=True):
    """An order that the client has made of ours: its id, and its original bytes."""

    id: ExternalId
    raw: bytes


class Search:
    """Asks the client for the order that has our number as its reference, as ``find`` says."""

    def __init__(self, api: Api, options: HttpOptions, read: Callable[[bytes], Record]) -> None:
        self._api = api
        self._options = options
        self._read = read

    async def one(self, number: ExternalId) -> Found | None:
        """That order; None where there is none. Raises Rejected where several have it, or where it cannot be told.

        Raises Deferred where the client does not answer as it should.
        """
        found: dict[ExternalId, Found] = {}
        listing = Listing(self._options, find=str(number))
        for _ in range(PAGES):
            if (request := listing.request) is None:
                break
            answer = await self._api.send("GET", request.url, params=request.params)
            if answer.status in NONE_THERE and (is_json(answer) or not answer.body.strip()):
                break
            if (single := self._single(answer)) is not None:
                found |= self._meant([single], number)
                break
            try:
                page = listing.read(answer)
                ids = [str(self._id_of(raw)) for raw in page.items]
                found |= self._meant(page.items, number)
                listing.follow(page, ids)
            except (Fatal, ValueError) as error:
                raise Deferred(f"whether the client has made it already cannot be asked: {error}: see find") from error
        else:
            raise Rejected(f"the answer to find has more than {PAGES} pages: it does not ask for one order: see find")
        if len(found) > 1:
            several = ", ".join(str(one.id) for one in list(found.values())[:SHOWN])
            raise Rejected(
                f"the client has {len(found)} orders whose reference is this number: {several}: nothing was told; "
                "remove all but one of them there"
            )
        return next(iter(found.values()), None)

    def _single(self, answer: Answer) -> bytes | None:
        """The order, where the answer is one and no list."""
        body, options = answer.body.strip(), self._options
        if not answer.is_success or body[:1] != b"{":
            return None
        if options.items and find(decoded(body), options.items) is not None:
            return None
        raw = order_in(body, options.item, lambda one: self._id_of(one) is not None)
        return raw if self._id_of(raw) is not None else None

    def _id_of(self, raw: bytes) -> ExternalId | None:
        try:
            return self._read(raw).external_id
        except Rejected:
            return None

    def _meant(self, items: Sequence[bytes], number: ExternalId) -> dict[ExternalId, Found]:
        """Those whose reference is ``number`` exactly, by id."""
        found = {}
        for raw in items:
            try:
                record = self._read(raw)
            except Rejected as error:
                if str(number).lower().encode() in raw.lower():
                    what = "an order there names this number, and cannot be read, so that nothing was told"
                    raise Rejected(Reason(what), *error.reasons) from error
                continue
            said = record.reference
            if said is not None and id_key(said) == id_key(number):
                found[id_key(record.external_id)] = Found(record.external_id, raw)
            elif said is not None and _alike(said, number):
                raise Rejected(
                    f"the client's order {record.external_id} has a reference that differs from this number in case or "
                    "blanks alone, so that nothing was told: set the reference there right, or clear it"
                )
        return found


def _alike(one: ExternalId, other: ExternalId) -> bool:
    return str(one).strip().casefold() == str(other).strip().casefold()
