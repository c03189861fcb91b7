"""An API that takes orders: one request each, a few at once, which may be sent again without harm."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from pipeline.dataflow.messages import BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import BatchSink
from pipeline.errors import Deferred, Fatal, PipelineError, Reason, Rejected
from pipeline.orders.workorder import ExternalId, Record
from pipeline.translation.outgoing import Outgoing
from pipeline.translation.times import format_time
from pipeline.transports.http.answers import Answer
from pipeline.transports.http.api import Api, Away
from pipeline.transports.http.creation import Creation, Linked, Told, one_each
from pipeline.transports.http.listing import first_request
from pipeline.transports.http.options import HttpOptions, Patience
from pipeline.transports.http.pages import order_in, read_page
from pipeline.transports.http.push import GONE, Known, Push, is_same, makes
from pipeline.transports.http.reasons import find, reason, speaks
from pipeline.transports.http.search import Search
from pipeline.transports.http.state import UNTAKEN, State
from pipeline.transports.http.verdicts import Changed, Doubt, verdict

__all__ = ["HttpSink"]

RUNS: Final = 5
"""In so many runs an order may fail, while others are taken, before it becomes a letter."""
DOUBTS: Final = 10
"""Refusals in a row, after which it is asked whether we are meant, and not the orders."""
TIRED: Final = 3
"""Orders in a row that fail, after which each is tried only once, until one passes."""

_DECODER: Final = msgspec.json.Decoder()


class HttpSink(BatchSink[Outgoing]):
    """Tells an API of each order, under an Idempotency-Key that is the same however often one edit is told.

    An order that the API refuses is Rejected with its reason, and so is one that could not be told in five runs in
    which others could; one that was changed there since it was read is Deferred: the next run reads it again, merges
    and tells it again. Where everything is refused it is not the orders, and the run stops.
    """

    def __init__(
        self,
        api: Api,
        options: HttpOptions,
        state: State,
        ids_in: Callable[[bytes], Sequence[ExternalId]],
        read: Callable[[bytes], Record],
    ) -> None:
        self._api = api
        self._options = options
        self._state = state
        self._ids_in = ids_in
        self._push = Push(api, options, ids_in)
        self._creation = Creation(options, Search(api, options, read) if options.find else None, ids_in)
        self._turn = 0
        self._passed = 0
        """The turn of the last order that was taken."""
        self._failing = 0
        self._doubts = 0
        self._counted: set[str] = set()
        self._asking: asyncio.Lock
        self._stop: Fatal | None

    @property
    def title(self) -> str:
        """The orders' address."""
        return self._options.url

    async def open(self) -> None:
        """Open the connection and what is remembered."""
        self._asking, self._stop = asyncio.Lock(), None
        await self._state.__aenter__()
        await self._api.__aenter__()

    async def close(self) -> None:
        """Close both."""
        await self._api.__aexit__(None, None, None)
        await self._state.__aexit__(None, None, None)

    async def write_batch(self, items: Sequence[Envelope[Outgoing]]) -> BatchResult:
        """Tell of a batch, ``parallel`` orders at once; once the API refuses us, or stays away, the rest is left.

        Those that failed in an earlier run come last, so that they are in nobody's way.
        """
        known = await self._known([item.payload for item in items])
        places = asyncio.Semaphore(self._options.parallel)
        told: list[Told] = [Told(Deferred("the run stops"))] * len(items)

        async def one(position: int) -> None:
            async with places:
                if self._stop is None:
                    told[position] = await self._tell(items[position], known)

        first = sorted(range(len(items)), key=lambda position: known.failures.get(_name(items[position].payload), 0))
        await asyncio.gather(*map(one, first))
        unclear = [one.result for one in told if isinstance(one.result, Doubt) and one.turn > self._passed]
        ours = [one for one in unclear if not (self._passed or one.is_of_reading)]
        if unclear and self._stop is None and (ours or not await self._list_answers()):
            self._stop = self._api.stopped(str((ours or unclear)[0]))
        told = one_each([self._decided(one) for one in told])
        results = await self._counted_failures(items, told, known)
        await self._note(items, told)
        called = {position: one.called for position, one in enumerate(told) if one.called is not None}
        return BatchResult(results, self._stop, called)

    async def _known(self, orders: Sequence[Outgoing]) -> Known:
        options, state = self._options, self._state
        ids = [order.id for order in orders if order.number is None]
        twins = await state.twins()
        if options.ids == "client":
            await state.forget_twins([one for one in ids if one in twins])  # they are linked
        etags = await state.etags(ids)
        return Known(
            etags if options.etag else {one: etag for one, etag in etags.items() if etag == UNTAKEN},
            await state.addresses(ids) if options.href else {},
            await state.failures([_name(order) for order in orders]),
            {ours: theirs for theirs, ours in twins.items()},
        )

    async def _tell(self, item: Envelope[Outgoing], known: Known) -> Told:
        order = item.payload
        try:
            if order.number is not None:
                return await self._creation.made(item, order.number, known, self._request)
            if order.id in known.twins and self._options.ids == "shared":
                return Told(_twin(known.twins[order.id]))
            return await self._request(item, known)
        except Fatal as error:
            self._stop = self._stop or error
            return Told(Deferred("the run stops"))
        except Away as error:
            self._failing += 1
            said = reason(error.answer) if error.answer is not None and speaks(error.answer) else ""
            return Told(Deferred(str(error), quote=said))
        except Exception as error:  # told by position
            return Told(error)

    async def _request(self, item: Envelope[Outgoing], known: Known, patience: Patience | None = None) -> Told:
        """Tell of one order; raises Away and Fatal."""
        order, options = item.payload, self._options
        patience = patience or options.push_patience
        patience = patience._replace(attempts=1) if self._failing >= TIRED else patience
        method, answer = await self._push.send(item, known, patience)
        if answer.is_redirect:
            raise self._api.refusal(answer)
        self._turn += 1
        turn = self._turn
        result = verdict(answer, method, options, self._api.host)
        if isinstance(result, Outcome):
            self._passed, self._failing, self._doubts = turn, 0, 0
            if order.number is None and order.is_new and (theirs := self._called_otherwise(order, answer)) is not None:
                await self._state.set_twin(theirs, order.id)
                result = _twin(theirs)
        elif isinstance(result, Doubt):
            await self._doubt(result)
        elif answer.status in GONE and answer.page_title is None and not makes(order, options):
            result = await self._push.gone(order, method, answer, known)
        return Told(result, answer, turn)

    async def _doubt(self, doubt: Doubt) -> None:
        """Count a refusal; stop where so many in a row can only mean us."""
        self._doubts += 1
        if self._doubts >= DOUBTS and self._stop is None:
            async with self._asking:
                if self._doubts >= DOUBTS and not (self._passed and await self._list_answers()):
                    self._stop = self._stop or self._api.stopped(str(doubt))
                self._doubts = 0

    def _decided(self, told: Told) -> Told:
        """Whose fault a refusal was: the order's, if another one passed after it, or the run does not stop."""
        if not isinstance(told.result, Doubt):
            return told
        if self._stop is not None and told.turn > self._passed:
            return Told(Deferred("the run stops"))
        return Told(told.result.own, told.answer, told.turn)

    async def _list_answers(self) -> bool:
        """Whether we may read the list at this moment."""
        try:
            request = first_request(
                self._options, format_time(datetime.now(UTC)) if self._options.since_param else None
            )
            answer = await self._api.send("GET", request.url, params=request.params)
            read_page(answer, self._options)
        except (PipelineError, ValueError):
            return False
        return True

    async def _counted_failures(
        self, items: Sequence[Envelope[Outgoing]], told: Sequence[Told], known: Known
    ) -> list[Outcome | Exception]:
        """The results; an order that has failed in too many runs, while others were taken, is Rejected now."""
        results = [one.result for one in told]
        counts: dict[str, int] = {}
        for position, (item, result) in enumerate(zip(items, results, strict=True)):
            order_id, before = _name(item.payload), known.failures.get(_name(item.payload), 0)
            if (
                isinstance(result, Linked)
                or not isinstance(result, Deferred)
                or (self._stop is not None and told[position].turn == 0)
            ):
                counts |= {order_id: 0} if before and isinstance(result, Outcome) else {}
            elif self._passed:
                runs = before + (order_id not in self._counted)
                self._counted.add(order_id)
                counts[order_id] = runs
                if runs >= RUNS:
                    often = f"{result}; so it was in {runs} runs, while others were taken"
                    results[position] = Rejected(Reason(often, quote=result.quote))
        await self._state.set_failures(counts)
        return results

    def _called_otherwise(self, order: Outgoing, answer: Answer) -> str | None:
        """The id that the client gave to an order of ours, where that is another one than ours."""
        ids: Sequence[ExternalId] = self._ids_in(self._order_in(answer))
        if not ids:
            at = self._options.order_at(str(answer.headers.get("Location", "")))
            ids = [at] if at else []
        if answer.status not in {200, 201} or not ids or any(is_same(one, order.id) for one in ids):
            return None
        return str(ids[0])

    def _order_in(self, answer: Answer) -> bytes:
        return order_in(answer.body, self._options.item, lambda raw: bool(self._ids_in(raw)))

    async def _note(self, items: Sequence[Envelope[Outgoing]], told: Sequence[Told]) -> None:
        """Remember the ETags and addresses that orders have now, and which orders are to be read again."""
        pairs = [(_id_there(item.payload, one), one) for item, one in zip(items, told, strict=True)]
        taken = {
            order_id: one.answer
            for order_id, one in pairs
            if order_id and isinstance(one.result, Outcome) and one.answer
        }
        if self._options.etag:
            await self._state.set_etags({order_id: self._etag(answer) for order_id, answer in taken.items()})
        if self._options.href:
            made = {order_id for (order_id, _), item in zip(pairs, items, strict=True) if item.payload.is_new}
            shown = {order_id: answer.headers.get("Location") for order_id, answer in taken.items() if order_id in made}
            await self._state.set_addresses(shown)
        await self._state.set_stale(
            [order_id for order_id, one in pairs if order_id and isinstance(one.result, Changed)]
        )

    def _etag(self, answer: Answer) -> str | None:
        """None: not known until the order is read again; until then it is told without a condition."""
        etag = answer.headers.get("ETag")
        if etag is None:
            try:
                etag = find(_DECODER.decode(self._order_in(answer)), self._options.etag)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return None
        return etag or None if isinstance(etag, str) else None


def _twin(theirs: str) -> Rejected:
    return Rejected(
        f"the client calls it {theirs}: it was created there under that number, and is not told again; set "
        'ids = "client", because it numbers its orders itself, and retry this letter'
    )


def _name(order: Outgoing) -> str:
    """What is remembered of an order is remembered under this: our numbers and the client's ids may be the same."""
    return order.id if order.number is None else f"new\t{order.id}"


def _id_there(order: Outgoing, told: Told) -> str:
    """The client's id of an order; empty where it is not known."""
    if order.number is None:
        return order.id
    return "" if told.called is None else str(told.called)
