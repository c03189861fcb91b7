"""The two chains: inbound, from the client to TracOS, and outbound, from TracOS to the client."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from pipeline.clients.connector import Connector
from pipeline.dataflow.aside import close_unseen, dead_letters, hold_known, hold_repeats
from pipeline.dataflow.budget import Budget
from pipeline.dataflow.lanes import Lanes, spread
from pipeline.dataflow.messages import Outcome
from pipeline.dataflow.ports import BatchSink, DeadLetters, Source
from pipeline.dataflow.stage import Chain, Stage
from pipeline.dataflow.stages import deliver, filter_items, parse, read, settle, translate, validate, within
from pipeline.orders.workorder import Record
from pipeline.tracos.source import TracosSource
from pipeline.tracos.store import Tracos
from pipeline.tracos.witness import TracosWitness

__all__ = ["FLOWS", "inbound", "outbound", "taking"]


def inbound(
    client: Connector,
    tracos: Tracos,
    dead: DeadLetters,
    *,
    source: Source[bytes] | None = None,
    sink: BatchSink[Record] | None = None,
    lanes: Callable[[TracosWitness], Lanes] | None = None,
    budget: Budget | None = None,
    stop: asyncio.Event | None = None,
) -> Chain[Outcome]:
    """What the client shows, merged into TracOS; ``source`` and ``sink``, where they are not the usual ones.

    In ``lanes``, which keep the proofs of what they deliver in the witness, the records are taken side by side.
    """
    witness = tracos.witness(client.terms)
    source = source or client.source(witness)
    taken = taking(client, sink or tracos.sink(client.terms, witness), first=tracos.confirm)
    return (
        read(source, flow=f"{client.name}.inbound", stop=stop)
        | hold_known(dead, but=("deliver",))  # what TracOS refuses depends on its document, which people mend
        | (spread(taken, lanes(witness)) if lanes else taken)
        | hold_repeats(dead)
        | within(budget or Budget())
        | dead_letters(dead)
        | settle(source)
    )


def taking(
    client: Connector, sink: BatchSink[Record], *, first: Callable[[], Awaitable[None]] | None = None
) -> Stage[bytes, Outcome]:
    """How a client's records are taken: from their bytes into TracOS; ``first`` is told by ``deliver``."""
    parsed = parse(client.parse)
    ours = parsed | filter_items(client.is_ours, name="where") if client.is_choosy else parsed
    return ours | validate(client.validate) | translate(client.to_record) | deliver(sink, first=first)


def outbound(
    client: Connector,
    tracos: Tracos,
    dead: DeadLetters,
    *,
    source: TracosSource | None = None,
    lanes: Callable[[], Lanes] | None = None,
    budget: Budget | None = None,
    stop: asyncio.Event | None = None,
) -> Chain[Outcome]:
    """What TracOS has to tell, handed to the client and marked as synced; from ``source``, where it is not all.

    A client that it suits is handed its orders in ``lanes``, while the next ones are read and the last ones marked.
    """
    source, sink = source or tracos.source(client.terms), client.sink()
    handed = deliver(sink, first=tracos.confirm)
    if sink.takes_late:
        source.note_ahead()
    return (
        read(source, flow=f"{client.name}.outbound", stop=stop)
        | hold_known(dead)
        | validate(source.to_record)
        | translate(client.from_record)
        | (spread(handed, lanes()) if lanes and sink.suits_a_lane else handed)
        | within(budget or Budget())
        | dead_letters(dead)
        | settle(source)
        | close_unseen(dead, source)
    )


FLOWS: Final[Mapping[str, Callable[..., Chain[Outcome]]]] = {"inbound": inbound, "outbound": outbound}
"""In the order in which they are run: what the client shows is merged before it is told anything."""
