"""The two chains: inbound, from the client to TracOS, and outbound, from TracOS to the client."""

import asyncio

from aiostream.core import Stream

from pipeline.clients.connector import Connector
from pipeline.dataflow.messages import Batch, Outcome
from pipeline.dataflow.ports import DeadLetters
from pipeline.dataflow.stages import dead_letters, deliver, hold_known, parse, read, settle, translate, validate
from pipeline.tracos.store import Tracos

__all__ = ["inbound", "outbound"]


def inbound(
    client: Connector, tracos: Tracos, dead: DeadLetters, stop: asyncio.Event | None = None
) -> Stream[Batch[Outcome]]:
    """What the client shows, merged into TracOS."""
    source = client.source()
    projections = {name: layout.project for name, layout in client.layouts.items()}
    return (
        read(source, flow=f"{client.name}.inbound", stop=stop)
        | hold_known(dead)
        | parse(client.parse)
        | validate(client.validate)
        | translate(client.to_record)
        | deliver(tracos.sink(client.name, projections))
        | dead_letters(dead)
        | settle(source)
    )


def outbound(
    client: Connector, tracos: Tracos, dead: DeadLetters, stop: asyncio.Event | None = None
) -> Stream[Batch[Outcome]]:
    """What TracOS has to tell, handed to the client and marked as synced."""
    source = tracos.source(client.name, client.default_layout)
    return (
        read(source, flow=f"{client.name}.outbound", stop=stop)
        | hold_known(dead)
        | validate(source.to_record)
        | translate(client.from_record)
        | deliver(client.sink())
        | dead_letters(dead)
        | settle(source)
    )
