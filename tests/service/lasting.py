"""``python -m tests.service.lasting --minutes 15``: two services serve three clients, under edits and kills.

One client is a folder, one an API that is looked at each second, one is broken. People edit on both sides; the services
are told to read their settings again, and are killed in turns, so that the other takes over. At the end both sides are
equal, and no two passes of a client were at the same time. A line for each kind of edit tells how long it took to the
other side: with wake-ups, and separately while a service was gone.
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from pymongo import MongoClient

from pipeline.history.journal import Run, read_runs
from pipeline.testing import FakeErp
from tests.mongo import Mongod, until
from tests.plant import Plant

CLIENTS = """\
[clients.folder]
kind = "erp_json"
inbound_dir = "folder/in"
outbound_dir = "folder/out"
collection = "folder"
quiet_seconds = 0

[clients.api]
kind = "rest_json"
url = "{url}"
items = "items"
collection = "api"
every = "1s"

[clients.broken]
kind = "erp_json"
inbound_dir = "broken"
outbound_dir = "broken-out"
collection = "broken"
"""
ORDERS = 8
"""So many orders of each client are edited there, and so many others in TracOS."""
EVERY_SECONDS = 0.4
"""How often somebody edits something."""
HANG_UP_SECONDS, KILL_SECONDS, GONE_SECONDS = 11, 17, 4
"""How often a service is to read its settings again, how often one is killed, and how long it is gone then."""
LATEST_SECONDS = 60
"""How long the last edits may take."""


class Kind(NamedTuple):
    """Whose order somebody edits, and where."""

    client: str
    side: str

    def __str__(self) -> str:
        return f"{self.client}, edited {'at the client' if self.side == 'client' else 'in TracOS'}"


class Edit(NamedTuple):
    """Something that somebody has typed, and that is not on the other side yet."""

    text: str
    at: float
    is_alone: bool
    """Whether a service was gone, or was just killed, when it was typed."""


KINDS = [Kind(client, side) for client in ("folder", "api") for side in ("client", "tracos")]


class Lasting:
    """Two services on one set of one, and the people of three clients."""

    def __init__(self, home: Path, server: Mongod, erp: FakeErp) -> None:
        self.plant = Plant(home, server.uri, "lasting")
        self.database = self.plant.client["lasting"]
        self.erp = erp
        self.took: dict[tuple[Kind, bool], list[float]] = defaultdict(list)
        self.kills = self.hang_ups = 0
        self.faults: list[str] = []
        self.exits: list[int] = []
        self._texts = itertools.count()
        self._random = random.Random(1)
        self._open: dict[tuple[Kind, int], Edit] = {}
        self._gone_until = 0.0
        (home / "clients.toml").write_text(CLIENTS.format(url=erp.url))
        (home / "folder/in").mkdir(parents=True)
        (home / "broken").write_text("a file in its place")
        self.services = [self._start() for _ in range(2)]

    def _start(self):
        return self.plant.start(
            *("pipeline/__main__.py", "serve"),
            CLIENTS_FILE="clients.toml",
            SERVE_EVERY="20s",
            SERVE_PORT=0,
            LEASE_SECONDS=5,
            LOG_LEVEL="ERROR",
        )

    def play(self, seconds: float) -> None:
        """Edit, kill and look for so long; then wait until all is on both sides, and end the services in peace."""
        began = time.monotonic()
        edits, hang_ups = began + 3, began + HANG_UP_SECONDS
        kills, back = began + KILL_SECONDS, float("inf")
        while (now := time.monotonic()) < began + seconds:
            self._look()
            if now >= edits:
                edits = now + EVERY_SECONDS
                self._edit(self._random.choice(KINDS), self._random.randrange(ORDERS))
            if now >= hang_ups:
                hang_ups, self.hang_ups = now + HANG_UP_SECONDS, self.hang_ups + 1
                self.services[0].send_signal(signal.SIGHUP)  # the older one: it is up
            if now >= kills:
                kills, back = now + KILL_SECONDS, now + GONE_SECONDS
                self._kill()
            if now >= back:
                back = float("inf")
                self.services.append(self._start())
            time.sleep(0.02)
        until(lambda: not self._look(), LATEST_SECONDS)
        for service in self.services:
            service.send_signal(signal.SIGTERM)
        for service in self.services:
            self.exits.append(service.wait(30))
            service.communicate()

    def _kill(self) -> None:
        self.kills, self._gone_until = self.kills + 1, time.monotonic() + 2 * GONE_SECONDS
        victim = self.services.pop(0)
        if victim.poll() is not None:
            raise AssertionError(f"a service ended by itself, with {victim.returncode}: {victim.communicate()[1]}")
        os.killpg(victim.pid, signal.SIGKILL)
        victim.communicate()

    def _edit(self, kind: Kind, nth: int) -> None:
        """Somebody types a new title; one of which the last is still on its way is left alone."""
        if (kind, nth) in self._open:
            return
        number, text = _number(kind, nth), f"title {next(self._texts)}"
        if kind.side == "tracos":
            if (
                not self.database[kind.client]
                .update_one({"number": number}, {"$set": {"title": text, "isSynced": False, "updatedAt": _now()}})
                .matched_count
            ):
                made = {"number": number, "status": "created", "title": text, "createdAt": _now(), "isSynced": False}
                self.database[kind.client].insert_one(made)
        else:
            order = {"id": number, "status": "NEW", "title": text, "createdAt": "2026-10-01", "updatedAt": _now()}
            if kind.client == "api":
                self.erp.put(order)
            else:
                aside = self.plant.home / f"folder/{number}"
                aside.write_text(json.dumps(order))
                aside.rename(self.plant.home / f"folder/in/{number}.json")
        now = time.monotonic()
        self._open[kind, nth] = Edit(text, now, is_alone=now < self._gone_until)

    def _look(self) -> int:
        """See which edits have come to the other side; how many have not."""
        for (kind, nth), edit in list(self._open.items()):
            if self._shown(kind, nth) == edit.text:
                now = time.monotonic()
                self.took[kind, edit.is_alone or edit.at < self._gone_until <= now].append(now - edit.at)
                del self._open[kind, nth]
        return len(self._open)

    def _shown(self, kind: Kind, nth: int) -> str | None:
        """The title on the other side."""
        number = _number(kind, nth)
        if kind.side == "client":
            return (self.database[kind.client].find_one({"number": number}) or {}).get("title")
        if kind.client == "api":
            return self.erp.orders.get(str(number), {}).get("title")
        try:
            return json.loads((self.plant.home / f"folder/out/{number}.json").read_bytes()).get("title")
        except (FileNotFoundError, ValueError):
            return None

    def wrong(self) -> Iterator[str]:
        """What is not as it should be at the end, a line each."""
        if set(self.exits) != {0}:
            yield f"the services ended with {self.exits}"
        for client in ("folder", "api"):
            code, out, err = self.plant.ask("plan", "--client", client, CLIENTS_FILE="clients.toml")
            if code != 0:
                yield f"{client}: a run would do something still: {out}{err}"
            if waiting := self.database[client].count_documents({"isSynced": {"$ne": True}}):
                yield f"{client}: {waiting} orders are not told"
        for document in self.database["api"].find():
            if self.erp.orders[str(document["number"])]["title"] != document["title"]:
                yield f"api: order {document['number']} is not the same on both sides"
        yield from overlapping(list(read_runs(self.plant.home / "data/runs.jsonl")))

    def told(self) -> Iterator[str]:
        """How long edits took, a line for each kind."""
        yield f"{self.kills} kills, {self.hang_ups} hang-ups"
        for kind, is_alone in sorted(self.took):
            took = sorted(self.took[kind, is_alone])
            where = f"{kind}{', a service gone' if is_alone else ''}: {len(took)} edits"
            yield f"{where}, p50 {at(took, 0.5):.2f} s, p95 {at(took, 0.95):.2f} s, max {took[-1]:.2f} s"


def overlapping(runs: Sequence[Run]) -> Iterator[str]:
    """Two passes of one client at the same time, as the journal tells.

    It has whole seconds, and a pass begins before it has the lease: one second of two of them is let pass.
    """
    by_client: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        for client in {flow.client for flow in run.flows}:
            by_client[client].append(run)
    for client, passes in by_client.items():
        passes.sort(key=lambda run: run.began)
        for one, after in itertools.pairwise(passes):
            if one.ended is not None and after.began < one.ended - timedelta(seconds=1):
                yield f"{client}: the passes {one.run} and {after.run} overlap"


def at(took: Sequence[float], part: float) -> float:
    """The quantile of what is sorted."""
    return took[min(len(took) - 1, int(len(took) * part))]


def _number(kind: Kind, nth: int) -> int:
    return nth + (0 if kind.side == "client" else 100)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 10**6 % 1000:03}Z"


def lasting(home: Path, seconds: float) -> Lasting:
    """One that was played for so long."""
    server = Mongod(home, replica_set=True).start()
    try:
        with MongoClient(server.uri) as client, FakeErp() as erp:
            until(lambda: client.admin.command("hello")["isWritablePrimary"])
            played = Lasting(home, server, erp)
            try:
                played.play(seconds)
                played.faults = list(played.wrong())
            finally:
                for service in played.services:
                    service.kill()
                    service.communicate()
                played.plant.client.close()
        return played
    finally:
        server.stop()


def main() -> int:
    """1 where something was wrong, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.lasting", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="l-") as folder:
        played = lasting(Path(folder), asked.minutes * 60)
    print("\n".join([*played.told(), *played.faults, f"{len(played.faults)} faults"]))  # noqa: T201 - it is run to be read
    return bool(played.faults)


if __name__ == "__main__":
    sys.exit(main())
