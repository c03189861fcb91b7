"""Orders per second, both ways, as a ratio to a hand-written single-thread loop on the same server.

    python -m benchmarks.throughput [--orders 20000] [--rounds 3]

Each round measures the floor and the pipeline one after the other, each in a new database and new folders; the table
gives medians, and the ratio is the median of the rounds' ratios. ``peak`` is the resident memory of this process.
"""

import argparse
import asyncio
import gc
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection

from benchmarks import floor
from pipeline.cli.start import COLLECT_AFTER
from pipeline.clients.connector import ClientSettings, Connector
from pipeline.clients.erp_json import connect
from pipeline.dataflow.run import Report, run
from pipeline.deadletters.folder import DeadLetterFolder
from pipeline.decisions import DecisionLog
from pipeline.flows import inbound, outbound
from pipeline.tracos.embedded import embedded_mongod
from pipeline.tracos.store import Tracos

Documents = Collection[dict[str, Any]]


class Bench:
    """One measured place: a database and folders of its own."""

    def __init__(self, uri: str, root: Path, name: str) -> None:
        self.uri, self.name, self.root = uri, name, root / name
        self.inbound_dir, self.outbound_dir = self.root / "inbound", self.root / "outbound"
        self.inbound_dir.mkdir(parents=True)
        self.outbound_dir.mkdir()
        self.client: MongoClient[dict[str, Any]] = MongoClient(uri)
        database = self.client.get_database(name, write_concern=WriteConcern(w="majority", j=True))
        self.orders: Documents = database["workorders"]
        self.orders.create_index("number", unique=True, partialFilterExpression={"number": {"$exists": True}})
        self.orders.create_index([("isSynced", 1), ("_id", 1)])

    def fill_folder(self, count: int) -> None:
        """``count`` inbound files, one small order each."""
        for number in range(count):
            data = msgspec.json.encode(_order(number))
            path = self.inbound_dir / f"{number:07}.json"
            path.write_bytes(data)
            os.utime(path, (1_760_000_000 + number, 1_760_000_000 + number))

    def fill_tracos(self, count: int) -> None:
        """``count`` unsynced documents."""
        for start in range(0, count, 5000):
            self.orders.insert_many([_document(number) for number in range(start, min(start + 5000, count))])

    def pipeline(self, way: Callable[..., Any]) -> Report:
        """Run one chain of the pipeline here."""
        return asyncio.run(self._run(way))

    async def _run(self, way: Callable[..., Any]) -> Report:
        erp: Connector = connect(
            ClientSettings(
                name="erp_json", options={"inbound_dir": self.inbound_dir, "outbound_dir": self.outbound_dir}
            )
        )
        flow = f"erp_json.{way.__name__}"
        dead = DeadLetterFolder(self.root / "dead-letter", flow=flow, client=erp.name, identify=erp.identify)
        decisions = DecisionLog(self.root / "decisions.jsonl")
        async with Tracos(uri=self.uri, database=self.name, collection="workorders", decisions=decisions) as tracos:
            return await run(way(erp, tracos, dead))

    def close(self) -> None:
        """Forget it all."""
        self.client.drop_database(self.name)
        self.client.close()


def _order(number: int) -> dict[str, Any]:
    created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "id": number,
        "status": list(floor.STATUS)[number % 6],
        "title": f"Work order {number}",
        "description": "Check the bearing, note the temperature, grease where needed",
        "createdAt": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "updatedAt": (created + timedelta(hours=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _document(number: int) -> dict[str, Any]:
    order = _order(number)
    return {
        "number": number,
        "title": order["title"],
        "description": order["description"],
        "status": floor.STATUS[order["status"]],
        "createdAt": order["createdAt"],
        "updatedAt": order["updatedAt"],
        "deleted": False,
        "isSynced": False,
    }


def _timed(count: int, work: Callable[[], int]) -> float:
    start = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - start
    if done != count:
        raise SystemExit(f"expected {count} orders, got {done}: the figures would mean nothing")
    return count / seconds


def measure(uri: str, root: Path, way: str, side: str, round_: int, orders: int) -> float:
    """Orders per second of one side, one way, in one round."""
    bench = Bench(uri, root, f"{way}_{side}_{round_}")
    try:
        if way == "inbound":
            bench.fill_folder(orders)
            if side == "floor":
                return _timed(orders, lambda: floor.inbound(bench.inbound_dir, bench.orders))
            return _timed(orders, lambda: bench.pipeline(inbound).outcomes["created"])
        bench.fill_tracos(orders)
        if side == "floor":
            return _timed(orders, lambda: floor.outbound(bench.outbound_dir, bench.orders))
        return _timed(orders, lambda: bench.pipeline(outbound).outcomes["sent"])
    finally:
        bench.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logger.remove()
    gc.set_threshold(COLLECT_AFTER, 10, 10)  # as the program does; the floor has it too
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        root = Path(folder)
        with embedded_mongod(root / "mongo") as uri:
            print(f"{options.orders} orders, {options.rounds} rounds, {os.cpu_count()} cores")
            for way in ("inbound", "outbound"):
                rates: dict[str, list[float]] = {"floor": [], "pipeline": []}
                for round_ in range(options.rounds):
                    for side, found in rates.items():
                        found.append(measure(uri, root, way, side, round_, options.orders))
                ratio = statistics.median(p / f for p, f in zip(rates["pipeline"], rates["floor"], strict=True))
                ours, theirs = statistics.median(rates["pipeline"]), statistics.median(rates["floor"])
                print(f"  {way:9} pipeline {ours:8,.0f}/s   floor {theirs:8,.0f}/s   ratio {ratio:.2f}")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
