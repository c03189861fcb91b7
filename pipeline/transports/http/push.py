"""One order as it is told: the request that says it, and what a PUT must not erase."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from pipeline.dataflow.messages import Envelope
from pipeline.errors import Deferred, Gone, Reason, Rejected
from pipeline.orders.workorder import ExternalId, id_key
from pipeline.translation.outgoing import Outgoing
from pipeline.transports.http.addresses import order_address
from pipeline.transports.http.answers import Answer
from pipeline.transports.http.api import Api
from pipeline.transports.http.options import HttpOptions, Patience
from pipeline.transports.http.pages import order_in
from pipeline.transports.http.reasons import find, reason
from pipeline.transports.http.state import UNTAKEN
from pipeline.transports.http.verdicts import Changed

__all__ = ["GONE", "Known", "Push", "decoded", "is_same", "makes"]

ANSWER_BYTES: Final = 8 * 1024 * 1024
GONE: Final = frozenset({404, 410})

_DECODER: Final = msgspec.json.Decoder()
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")


class Known(Struct, frozen=True):
    """What is remembered of the orders of a batch, by id."""

    etags: Mapping[str, str]
    addresses: Mapping[str, str]
    failures: Mapping[str, int]
    twins: Mapping[str, str]
    """By our id, the client's."""


class _Shown(NamedTuple):
    answer: Answer
    body: bytes
    etag: str


def makes(order: Outgoing, options: HttpOptions) -> bool:
    """Whether telling of the order has the client make a new one."""
    return order.is_new if options.ids == "shared" else order.number is not None


def is_same(one: ExternalId, other: str) -> bool:
    """Whether two ids are one."""
    return id_key(one) == id_key(other) or str(one).casefold() == other.casefold()


def decoded(body: bytes) -> Any:
    """The JSON in ``body``; None where it is none."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Push:
    """Tells of one order, under an Idempotency-Key that is the same however often one edit is told."""

    def __init__(self, api: Api, options: HttpOptions, ids_in: Callable[[bytes], Sequence[ExternalId]]) -> None:
        self._api = api
        self._options = options
        self._ids_in = ids_in

    async def send(self, item: Envelope[Outgoing], known: Known, patience: Patience) -> tuple[str, Answer]:
        """The method, and the answer: to the read that goes before a PUT, where that was refused."""
        order, options = item.payload, self._options
        is_made = makes(order, options)
        if is_made:
            method, url = options.creation(order.id)
        else:
            method, url = options.push, order_address(options, order.id, known.addresses.get(order.id))
        body, etag = order.body, ""
        if not is_made:  # else what is known is of another document, which is gone
            etag = known.etags.get(order.id, "")
            if known.etags.get(order.id) == UNTAKEN:
                raise Changed("what the client has of it was never taken: it is read and merged first")
        if method == "PUT" and not is_made:
            shown = await self._shown(order, url, patience)
            if not shown.body:
                return method, shown.answer
            body, etag = shown.body, etag or shown.etag
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": _key(method, url, item),
            **options.push_headers,
            **({} if is_made else options.update_headers),
        }
        if _HEADER_VALUE.fullmatch(etag):
            headers["If-Match"] = etag
        elif is_made and options.ids == "shared" and (options.etag or method == "PUT"):
            headers["If-None-Match"] = "*"  # over no order that it has already
        answer = await self._api.send(
            method,
            url,
            params=options.order_params,
            headers=headers,
            content=body,
            patience=patience,
            most=ANSWER_BYTES,
        )
        return method, answer

    async def gone(self, order: Outgoing, method: str, answer: Answer, known: Known) -> Rejected | Deferred:
        """What becomes of an order that the client has, and that it says is not there; raises Away."""
        status, host = answer.status, self._api.host
        says = f"{host} does not have it ({status}): it was removed there, or its address is wrong"
        if self._options.absent == "dead_letter":
            return Rejected(Reason(f"{says}: see push_path, or set absent", quote=reason(answer)))
        url = order_address(self._options, order.id, known.addresses.get(order.id))
        read = await self._api.send("GET", url, params=self._options.order_params)
        if read.status in GONE and read.page_title is None:
            return Gone(f"{host} does not have it any more ({read.status})", quote=reason(read))
        if read.is_success:
            return Rejected(
                Reason(f"{host} takes no {method} of it ({status}), and has it: see push", quote=reason(answer))
            )
        return Deferred(f"{says}; asked for it, it answers {read.status}", quote=reason(read))

    async def _shown(self, order: Outgoing, url: str, patience: Patience) -> _Shown:
        """The order as the client has it, with what is told of it; without a body where it does not show it."""
        answer = await self._api.send(
            "GET", url, params=self._options.order_params, patience=patience, most=ANSWER_BYTES
        )
        if not answer.is_success or answer.page_title is not None:
            return _Shown(answer, b"", "")
        raw = order_in(answer.body, self._options.item, lambda one: bool(self._ids_in(one)))
        ids = self._ids_in(raw)
        if ids and not any(is_same(one, order.id) for one in ids):
            raise Rejected(f"its own address shows another order, {ids[0]}, which PUT would replace: see push_path")
        held, told = decoded(raw), decoded(order.body)
        if answer.is_cut or not isinstance(held, dict) or not isinstance(told, dict):
            raise Rejected("its own address shows no order, so that PUT would erase what it has: see push and item")
        etag = answer.headers.get("ETag") or find(held, self._options.etag)
        body = msgspec.json.encode(_joined(_without(held, self._options.etag), told))
        return _Shown(answer, body, etag if isinstance(etag, str) else "")


def _joined(held: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """``held`` with what is ``told`` over it."""
    joined = dict(held)
    for key, value in told.items():
        before = joined.get(key)
        joined[key] = _joined(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return joined


def _without(held: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """``held`` without what is at ``path``, which is no part of the order."""
    first, _, rest = path.partition(".")
    if path in held or first not in held:
        return {key: value for key, value in held.items() if key != path}
    return {**held, first: _without(held[first], rest)} if isinstance(held[first], dict) else held


def _key(method: str, url: str, item: Envelope[Outgoing]) -> str:
    """One for each edit of an order: two may say the same, to TracOS as to the client."""
    order = item.payload
    if order.intent is not None:
        return order.intent.key
    parts = (method.encode(), url.encode(), order.body, item.raw, str(order.edit).encode())
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
