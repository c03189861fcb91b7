"""A file of lines read and translated by DuckDB, which has no way into MongoDB: its rows go by insert_many."""

from pathlib import Path

import duckdb

from benchmarks.place import WORDS, Place
from benchmarks.task import Task

__all__ = ["load"]

QUERY = """
SELECT id AS number, words.tracos AS status, true AS isSynced, title, description, createdAt, updatedAt
FROM read_ndjson($source, columns = {id: 'BIGINT', status: 'VARCHAR', title: 'VARCHAR', description: 'VARCHAR',
                                     createdAt: 'VARCHAR', updatedAt: 'VARCHAR'})
JOIN (SELECT unnest($words) AS word, unnest($statuses) AS tracos) AS words ON status = words.word
"""


def load(place: Place, task: Task) -> int:
    """Query, fetch 10,000 rows at a time, insert."""
    done = 0
    with duckdb.connect() as connection:
        source = str(Path(task.source) / "orders.ndjson")
        found = connection.execute(QUERY, {"source": source, "words": list(WORDS), "statuses": list(WORDS.values())})
        names = [name for name, *_ in found.description]
        while rows := found.fetchmany(10_000):
            documents = [dict(zip(names, row, strict=True)) for row in rows]
            done += len(place.orders.insert_many(documents, ordered=False).inserted_ids)
    return done
