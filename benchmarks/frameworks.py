"""The inbound half in two frameworks for such work, each in its own idiom; left out where it is not installed.

``pip install dlt singer-sdk``. Neither comes with a destination for MongoDB: dlt gets a custom destination, the Singer
SDK a target with a batch sink, and both write with bulk_write, 500 orders at a time.
"""

import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import dlt
from pymongo import UpdateOne
from singer_sdk import BatchSink, Target
from singer_sdk import typing as th

from benchmarks.place import Place
from benchmarks.task import Task

__all__ = ["with_dlt", "with_singer"]

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"


def with_dlt(place: Place, task: Task) -> int:
    """Resource -> extract, normalize, load -> custom destination."""
    done = 0

    @dlt.destination(batch_size=500, loader_file_format="typed-jsonl", name="tracos")
    def tracos(items: Any, table: Any) -> None:
        nonlocal done
        done += _upsert(items, place)

    @dlt.resource(name="workorders", write_disposition="append")
    def workorders() -> Any:
        for path in sorted(Path(task.source).iterdir()):
            yield json.loads(path.read_bytes())

    with tempfile.TemporaryDirectory() as state:
        dlt.pipeline("workorders", pipelines_dir=state, destination=tracos).run(workorders())
    return done


def with_singer(place: Place, task: Task) -> int:
    """A tap's messages -> a target that validates them and drains batches."""
    done = 0

    class TracosSink(BatchSink):
        max_size = 500

        def process_batch(self, context: dict[str, Any]) -> None:
            nonlocal done
            done += _upsert(context["records"], place)

    class TracosTarget(Target):
        name = "target-tracos"
        default_sink_class = TracosSink
        config_jsonschema = th.PropertiesList().to_dict()

    text = {"type": ["string", "null"]}
    keys = ("status", "title", "description", "createdAt", "updatedAt")
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, **dict.fromkeys(keys, text)}}
    messages = io.StringIO()
    head = {"type": "SCHEMA", "stream": "workorders", "schema": schema, "key_properties": ["id"]}
    messages.write(json.dumps(head) + "\n")
    for path in sorted(Path(task.source).iterdir()):
        record = json.loads(path.read_bytes())
        messages.write(json.dumps({"type": "RECORD", "stream": "workorders", "record": record}) + "\n")
    messages.seek(0)
    TracosTarget(config={}).listen(messages)
    return done


def _upsert(items: list[dict[str, Any]], place: Place) -> int:
    upserts = [UpdateOne({"number": item["id"]}, {"$set": dict(item)}, upsert=True) for item in items]
    return len(place.orders.bulk_write(upserts, ordered=False).upserted_ids or {})
