"""An API that takes orders: one request each, a few at once, which may be sent again without harm."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from pipeline.dataflow.messages import BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import BatchSink
from pipeline.errors import Deferred, Fatal, Reason, Rejected
from pipeline.translation.outgoing import Outgoing
from pipeline.transports.http.api import Answer, Api, Away
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.reasons import reason
from pipeline.transports.http.state import State

__all__ = ["HttpSink"]

PRECONDITION_FAILED: Final = 412

_DECODER: Final = msgspec.json.Decoder()


class HttpSink(BatchSink[Outgoing]):
    """Tells an API of each order, under an Idempotency-Key that is the same however often the same is told.

    An order that the API refuses (4xx) is Rejected with its reason; one that was changed there since it was read (412,
    where ETags are known) is Deferred: the next run reads it again, merges and tells it again.
    """

    def __init__(self, api: Api, options: HttpOptions, state: State) -> None:
        self._api = api
        self._options = options
        self._state = state

    @property
    def title(self) -> str:
        """The orders' address."""
        return self._options.url

    async def open(self) -> None:
        """Open the connection and what is remembered."""
        await self._state.__aenter__()
        await self._api.__aenter__()

    async def close(self) -> None:
        """Close both."""
        await self._api.__aexit__(None, None, None)
        await self._state.__aexit__(None, None, None)

    async def write_batch(self, items: Sequence[Envelope[Outgoing]]) -> BatchResult:
        """Tell of a batch, ``parallel`` orders at once; once the API refuses us, or stays away, the rest is left."""
        places = asyncio.Semaphore(self._options.parallel)
        etags = await self._state.etags([item.payload.id for item in items]) if self._options.etag else {}

        stops: list[Fatal] = []

        async def one(item: Envelope[Outgoing]) -> Answer | Exception:
            async with places:
                if stops:
                    return Deferred("the run stops")
                try:
                    return await self._push(item, etags.get(item.payload.id))
                except Fatal as error:
                    stops.append(error)
                    return Deferred("the run stops")
                except Exception as error:  # told by position
                    return error

        answers = await asyncio.gather(*(one(item) for item in items))
        if self._options.etag:
            await self._note(items, answers)
        return BatchResult([self._outcome(answer) for answer in answers], next(iter(stops), None))

    async def _push(self, item: Envelope[Outgoing], etag: str | None) -> Answer:
        order, options = item.payload, self._options
        method, url = options.creation(order.id) if order.is_new else options.update(order.id)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": _key(method, url, item),
            **options.push_headers,
            **({} if order.is_new else options.update_headers),
        }
        if etag is not None:
            headers["If-Match"] = etag
        elif order.is_new and options.etag:
            headers["If-None-Match"] = "*"
        return await self._api.send(
            method,
            url,
            params=options.order_params,
            headers=headers,
            content=order.body,
            patience=options.push_patience,
        )

    def _outcome(self, answer: Answer | Exception) -> Outcome | Exception:
        if isinstance(answer, Away):
            return Deferred(str(answer))
        if isinstance(answer, Exception):
            return answer
        if answer.is_success:
            return Outcome.SENT
        if answer.status == PRECONDITION_FAILED:
            return Deferred("somebody changed it at the client since it was read: it is read and merged again first")
        if answer.is_redirect or answer.status in {401, 403}:
            raise self._api.refusal(answer)
        return Rejected(Reason(f"{self._api.host} refuses it ({answer.status})", quote=reason(answer)))

    async def _note(self, items: Sequence[Envelope[Outgoing]], answers: Sequence[Answer | Exception]) -> None:
        """Remember the ETags that orders have now, and which orders are to be read again."""
        told = [(item.payload.id, one) for item, one in zip(items, answers, strict=True) if isinstance(one, Answer)]
        await self._state.set_etags({order_id: self._etag(one) for order_id, one in told if one.is_success})
        await self._state.set_stale([order_id for order_id, one in told if one.status == PRECONDITION_FAILED])

    def _etag(self, answer: Answer) -> str | None:
        """None: not known until the order is read again; until then it is told without a condition."""
        etag = answer.headers.get("ETag")
        if etag is None:
            try:
                etag = _DECODER.decode(answer.body)[self._options.etag]
            except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, IndexError):
                return None
        return etag if isinstance(etag, str) else None


def _key(method: str, url: str, item: Envelope[Outgoing]) -> str:
    """One for each state of an order: TracOS's bytes tell two edits apart that say the same to the client."""
    parts = (method.encode(), url.encode(), item.payload.body, item.raw)
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
