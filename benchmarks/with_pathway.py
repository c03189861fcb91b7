"""A file of lines through pathway, in an environment of its own (see sides); it writes by itself, in Rust.

In the form of a stream of changes, which adds ``diff`` and ``time`` to each document: the other form, in which it
updates what is there, needs MongoDB 8.
"""

import pathway as pw

from benchmarks.place import WORDS, Place
from benchmarks.task import Task

__all__ = ["load"]


class Order(pw.Schema):
    """A status_order; a column named ``id`` is a key of pathway's own."""

    number: int
    status: str
    title: str
    description: str
    createdAt: str
    updatedAt: str


def load(place: Place, task: Task) -> int:
    """Read all that is there, translate, write; how many documents there are then: pathway counts for nobody."""
    read = pw.io.jsonlines.read(task.source, schema=Order, mode="static", json_field_paths={"number": "/id"})
    status = pw.apply_with_type(WORDS.__getitem__, str, pw.this.status)
    durable = f"{place.uri}{'&' if '?' in place.uri else '/?'}w=majority&journal=true"
    pw.io.mongodb.write(
        read.with_columns(status=status, isSynced=True),
        connection_string=durable,
        database=place.name,
        collection=place.orders.name,
    )
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, default_logging=False)
    return place.orders.estimated_document_count()
