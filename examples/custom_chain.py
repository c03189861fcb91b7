"""The open work orders of a folder as CSV, by a chain of one's own.

    python examples/custom_chain.py data/inbound data/dead-letter > open.csv

Records that cannot be understood become dead letters; the others go on.
"""

import asyncio
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline import (
    BatchResult,
    BatchSink,
    Envelope,
    Outcome,
    Record,
    Status,
    dead_letters,
    deliver,
    filter_items,
    hold_known,
    parse,
    read,
    run,
    settle,
    translate,
    validate,
)
from pipeline.clients.connector import ClientSettings
from pipeline.clients.erp_json import connect
from pipeline.deadletters import DeadLetterFolder

CLOSED = {Status.COMPLETED, Status.CANCELLED}


def is_open(record: Record) -> bool:
    """A plain function of one item: that is all a stage needs."""
    return record.order.status not in CLOSED and not record.order.deleted


class Csv(BatchSink[Record]):
    """Prints a line an order."""

    async def write_batch(self, items: Sequence[Envelope[Record]]) -> BatchResult:
        orders = [item.payload.order for item in items]
        csv.writer(sys.stdout).writerows((order.number, order.status, order.title) for order in orders)
        return BatchResult([Outcome.SENT] * len(items))


async def main(inbound: Path, dead_letter: Path) -> None:
    client = connect(ClientSettings(name="csv", options={"inbound_dir": inbound, "outbound_dir": inbound / "unused"}))
    source = client.source()
    dead = DeadLetterFolder(dead_letter, flow="csv.open", client=client.name, identify=client.identify)

    report = await run(
        read(source, flow="csv.open")
        | hold_known(dead)
        | parse(client.parse)
        | validate(client.validate)
        | translate(client.to_record)
        | filter_items(is_open)
        | deliver(Csv())
        | dead_letters(dead)
        | settle(source)
    )
    print(f"{report.outcomes['sent']} open, {report.skipped} closed, {report.dead.total()} dead", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
