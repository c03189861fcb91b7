"""Orders that the client numbers itself: it is told of each once, and never twice of one because an answer was lost."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

import httpx
from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.messages import Envelope, Outcome
from pipeline.errors import Deferred, Rejected
from pipeline.orders.workorder import ExternalId
from pipeline.translation.ids import fault_of
from pipeline.translation.outgoing import Outgoing
from pipeline.transports.http.answers import Answer
from pipeline.transports.http.api import Away
from pipeline.transports.http.options import HttpOptions, Patience
from pipeline.transports.http.pages import order_in
from pipeline.transports.http.push import Known, decoded
from pipeline.transports.http.reasons import find
from pipeline.transports.http.search import Found, Search

__all__ = ["Creation", "Linked", "Told", "one_each"]

ATTEMPTS: Final = 3
"""How often in a run the client is told to make an order, where it is asked in between whether it has."""


NAMELESS: Final = (
    "the client has been told of it, and has not said under which id it keeps it: its list says so, where it shows our "
    "number; else set created_id, or find"
)


REPEATED: Final = (
    "the client was told again to make it, and may have answered as the first time, although it was edited since: the "
    "edit is told once its list shows the order under our number; else set created_id, or find"
)


class Linked(Deferred):
    """The client has the order already, under an id that is known now: what it does not say yet is told later."""


class Told(Struct, frozen=True):
    """What became of one order, the API's answer, and when in the run that was."""

    result: Outcome | Exception
    answer: Answer | None = None
    turn: int = 0
    called: ExternalId | None = None
    """The id that the client gave to an order of ours."""


Request: TypeAlias = Callable[[Envelope[Outgoing], Known, Patience | None], Awaitable[Told]]
"""Tells of one order; raises Away."""


class Creation:
    """Has the client make orders. One that it may have been told of before is asked for first, as far as ``find`` says.

    Else it is told again under the same Idempotency-Key.
    """

    def __init__(
        self, options: HttpOptions, search: Search | None, ids_in: Callable[[bytes], Sequence[ExternalId]]
    ) -> None:
        self._options = options
        self._search = search
        self._ids_in = ids_in
        self._is_nameless = False

    async def made(self, item: Envelope[Outgoing], number: ExternalId, known: Known, request: Request) -> Told:
        """What became of an order of ours that has no id of the client's yet; raises Away, and what a search does."""
        order = item.payload
        if (theirs := known.twins.get(order.id)) is not None:
            return _linked(theirs)
        is_old = order.intent is not None and order.intent.is_old
        if is_old or not order.is_new:
            if (found := await self._asked(number)) is not None:
                return _found(found, order)
            if not order.is_new:
                return Told(Deferred(NAMELESS))
            also = "set find, to ask for it first" if self._search is None else "it was not found there"
            logger.warning(
                "order {} may have been told before, and the answer lost ({}): told again, under the same "
                "Idempotency-Key",
                number,
                also,
            )
        attempts = 1 if self._search is None else ATTEMPTS
        patience = None if self._search is None else Patience(1, self._options.push_patience.seconds, is_last=False)
        while True:
            attempts -= 1
            try:
                return self._named(await request(item, known, patience), order, is_old=is_old)
            except Away:
                if (found := await self._asked(number)) is not None:
                    return _found(found, order)
                if not attempts:
                    raise

    async def _asked(self, number: ExternalId) -> Found | None:
        return None if self._search is None else await self._search.one(number)

    def _named(self, told: Told, order: Outgoing, *, is_old: bool) -> Told:
        """What became of it, with the id that the answer gives it."""
        if not isinstance(told.result, Outcome) or told.answer is None:
            return told
        given = self._id_given(told.answer)
        if given is None:
            if not self._is_nameless:
                self._is_nameless = True
                logger.warning(
                    "{}: the answer to a creation does not say under which id the order is kept: the list will, where "
                    "it shows our number; or set created_id",
                    self._options.url,
                )
            is_said = order.intent is None or not (is_old and order.intent.is_edited)
            return told if is_said or _holds(self._order_in(told.answer), order.body) else Told(Deferred(REPEATED))
        if is_old and not _holds(self._order_in(told.answer), order.body):
            return replace(told, result=_linked(given).result, called=given)  # it may say what was told the first time
        return replace(told, called=given)

    def _id_given(self, answer: Answer) -> ExternalId | None:
        """The id that an answer gives to the new order; None where it gives none that can be one."""
        options = self._options
        if options.created_id:
            said = find(decoded(answer.body), options.created_id)
            return said if _is_id(said) else None
        if answer.status == httpx.codes.ACCEPTED:
            return None  # not made yet: what it names is the job that will
        if ids := self._ids_in(self._order_in(answer)):
            return ids[0]
        for header in ("OData-EntityId", "Location"):
            if address := str(answer.headers.get(header, "")):
                at = options.id_at(address)
                return at if _is_id(at) else None
        return None

    def _order_in(self, answer: Answer) -> bytes:
        return order_in(answer.body, self._options.item, lambda one: bool(self._ids_in(one)))


def one_each(told: Sequence[Told]) -> list[Told]:
    """The same, where no two orders were given one id; those that were are Rejected."""
    times = Counter(str(one.called) for one in told if one.called is not None)
    return [
        Told(Rejected(f"the client says of several new orders that it keeps them as {one.called}: see created_id"))
        if times[str(one.called)] > 1
        else one
        for one in told
    ]


def _found(found: Found, order: Outgoing) -> Told:
    """It was made before: nothing is told where it says all that there is to tell."""
    return Told(Outcome.SENT, called=found.id) if _holds(found.raw, order.body) else _linked(found.id)


def _linked(given: ExternalId) -> Told:
    why = f"the client has made it before, and calls it {given}: what differs is told by the next run"
    return Told(Linked(why), called=given)


def _holds(shown: bytes, body: bytes) -> bool:
    """Whether an order, as it is shown, has all that ``body`` says."""
    return _within(decoded(body), decoded(shown))


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _within(value, whole[key]) for key, value in part.items())
    return type(part) is type(whole) and bool(part == whole)


def _is_id(said: Any) -> bool:
    return type(said) is int or (isinstance(said, str) and said != "" and fault_of(said) is None)
