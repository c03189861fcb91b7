"""A file of lines loaded with polars and PyMongoArrow, as their documentation shows it; all in memory at once."""

from pathlib import Path

import polars
from polars import col
from pymongoarrow.api import write

from benchmarks.place import WORDS, Place
from benchmarks.task import Task

__all__ = ["load"]

TEXTS = ("status", "title", "description", "createdAt", "updatedAt")


def load(place: Place, task: Task) -> int:
    """Scan, translate in columns, and insert the whole frame."""
    schema = {"id": polars.Int64, **dict.fromkeys(TEXTS, polars.String)}
    frame = polars.read_ndjson(Path(task.source) / "orders.ndjson", schema=schema).select(
        col("id").alias("number"),
        col("status").replace_strict(WORDS),
        polars.lit(value=True).alias("isSynced"),
        "title",
        "description",
        "createdAt",
        "updatedAt",
    )
    return write(place.orders, frame).inserted_count
