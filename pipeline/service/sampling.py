"""How a client reads a sample of its records, and what it would be told back: without MongoDB, network or a write."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from pipeline.clients.connector import Connector
from pipeline.clients.records.reading import FieldRead, fields_read
from pipeline.clients.records.shapes import named, outermost, paths_of, shape_of
from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import Record, Status, Values
from pipeline.service.secrets import Secrets
from pipeline.service.settings import Settings
from pipeline.translation.layout import Layout

__all__ = ["Sampled", "Told", "offline", "sampled"]

DEAD: Final = "would be dead"


class Told(Struct, frozen=True, omit_defaults=True):
    """What the client would be told of an order."""

    when: Literal["as a change", "as a new order"]
    body: str = ""
    """The client's bytes, as text."""
    reasons: tuple[Reason, ...] = ()
    """Why it cannot be told; then there is no body."""


class Sampled(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One record of a sample."""

    locator: str
    verdict: Literal["passes", "would be dead", "of others"]
    layout: str = ""
    reasons: tuple[Reason, ...] = ()
    """All that is wrong with it."""
    stage: str = ""
    """Where it would fail."""
    fields: tuple[FieldRead, ...] = ()
    """Empty where the layout is no table, or is not known."""
    unnamed: tuple[str, ...] = ()
    """The paths of keys that the layout does not name."""
    told: tuple[Told, ...] = ()


class _Unneeded(Secrets):
    """Secrets for a client that asks nobody: whether they are set makes no difference."""

    def get(self, variable: str) -> str | None:
        return "-"


def offline(settings: Settings) -> Settings:
    """The settings for clients that reach nobody, and need no secret for it."""
    return replace(settings, secrets=_Unneeded(said=settings.secrets.said))


def sampled(client: Connector, file: Path) -> Iterator[Sampled]:
    """Each record of ``file``, as ``client`` reads it; raises WrongUsage for a file that is none of the client's."""
    with asyncio.Runner() as runner:
        for item in client.sample(file):
            if isinstance(item, Unreadable):
                yield Sampled(locator=str(item.locator), verdict=DEAD, stage="read", reasons=item.reasons)
            else:
                yield runner.run(_sampled(client, item))


async def _sampled(client: Connector, item: Envelope[bytes]) -> Sampled:
    data, wrong = await _called(client.parse, item.payload)
    if wrong:
        return Sampled(locator=str(item.locator), verdict=DEAD, stage="parse", reasons=wrong)
    layout = _layout(client, data)
    is_ours = client.is_ours(data)
    checked, wrong = await _called(client.validate, data)
    stage, record = "validate", None
    if not wrong:
        record, wrong = await _called(client.to_record, checked)
        stage = "translate"
    read = Sampled(
        locator=str(item.locator),
        verdict="passes" if is_ours and not wrong else DEAD if is_ours else "of others",
        layout=layout.name if layout else "",
        reasons=wrong if is_ours else (),
        stage=stage if wrong and is_ours else "",
        fields=_fields(client, layout, data, wrong if is_ours else ()),
        unnamed=_unnamed(layout, data),
    )
    if record is None or not is_ours:
        return read
    return replace(read, told=await _told(client, record))


def _layout(client: Connector, data: Any) -> Layout[Any] | None:
    try:
        return client.recognise(data)
    except Exception:  # why not is told by ``validate``
        return None


def _fields(
    client: Connector, layout: Layout[Any] | None, data: Any, reasons: Sequence[Reason]
) -> tuple[FieldRead, ...]:
    if layout is None or layout.table is None:
        return ()
    return tuple(fields_read(layout.table, data, client.timezone, reasons))


def _unnamed(layout: Layout[Any] | None, data: Any) -> tuple[str, ...]:
    if layout is None or not isinstance(data, dict):
        return ()
    known = named(layout.paths or [(key,) for key in layout.keys])
    return outermost(paths_of(shape_of(data)) - known)


async def _told(client: Connector, record: Record) -> tuple[Told, ...]:
    """What the client would be told of the order: as an edit of it, and as a new one, where that differs."""
    order = record.order
    if order.status is None:
        order = replace(order, status=Status.CANCELLED)  # what a new document gets
    held = Values(status=order.status, deleted=order.deleted, deleted_at=order.deleted_at)
    change = await _as("as a change", client, replace(record, order=order, known=held))
    terms = client.terms
    number = terms.number_of(record.external_id)
    born = replace(record, order=replace(order, number=number), known=None)
    if terms.ids == "client":
        born = replace(born, external_id=number, is_linked=False)
    new = await _as("as a new order", client, born)
    return (change,) if (new.body, new.reasons) == (change.body, change.reasons) else (change, new)


async def _as(when: Literal["as a change", "as a new order"], client: Connector, record: Record) -> Told:
    out, wrong = await _called(client.from_record, record)
    return Told(when, reasons=wrong) if wrong else Told(when, out.body.decode(errors="replace"))


async def _called(function: Any, value: Any) -> tuple[Any, tuple[Reason, ...]]:
    """What a client's function makes of a value, and what is wrong with that."""
    try:
        result = function(value)
        return (await result if hasattr(result, "__await__") else result), ()
    except Rejected as error:
        return None, error.reasons
    except Exception as error:  # a client's own code
        return None, (Reason(f"unexpected {type(error).__name__}"),)
