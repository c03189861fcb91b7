"""One round: a plant is filled and edited on both sides, and its runs go on while the replica set fails over."""

import random
import re
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby, pairwise
from pathlib import Path

from pipeline.history.decisions import read_decisions
from tests.failovers import check
from tests.failovers.faults import FAULTS
from tests.failovers.members import Members
from tests.failovers.orders import edit, fill
from tests.mongo import again, until
from tests.plant import Plant

OPTIONS = ("", "readPreference=secondary", "w=1", "retryWrites=false", "wtimeoutMS=400", "readConcernLevel=local&w=2")
"""What a URI may say that is to make no difference."""

FAILURE_SECONDS = 15
"""So long a failure lasts where a run does not get further before, as where a frozen primary keeps the others busy."""

PATIENCE_SECONDS = 180
"""Longer than any run waits before it ends."""

LAST = 1500
"""Orders of a flow that are still to do when something befalls it."""

RUNS = 5
"""So many may end for an outage before one finishes."""


class Tally:
    """What is counted over rounds, and printed in the end."""

    def __init__(self) -> None:
        self.rounds = self.elections = self.rollbacks = self.stopped = 0
        self.struck: Counter[str] = Counter()
        self.longest = 0.0
        """Seconds in which a run got no further."""
        self.warnings: Counter[str] = Counter()


class Watched:
    """A run under way: how far it is, told from its decision log."""

    def __init__(self, plant: Plant, *arguments: str) -> None:
        self.database = plant.environ["MONGO_DATABASE"]
        self._log = plant.home / "data/decisions.jsonl"
        self._at = self._log.stat().st_size if self._log.exists() else 0
        self._lines = 0
        self._process = plant.start("src/main.py", *arguments)
        self._said: tuple[str, str] = "", ""
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def lines(self) -> int:
        """How many orders went through by now."""
        if self._log.exists():
            with self._log.open("rb") as log:
                log.seek(self._at)
                new = log.read()
            self._at += len(new)
            self._lines += new.count(b"\n")
        return self._lines

    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def goes_on(self) -> None:
        """Wait until more went through, or it has ended; no longer than a failure lasts."""
        self.reach(self.lines() + 1, FAILURE_SECONDS)

    def reach(self, lines: int, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait until so many went through, or it has ended; whether it is under way still."""
        ends = time.monotonic() + seconds
        until(lambda: self.lines() >= lines or self.is_over() or time.monotonic() > ends, 2 * seconds)
        return not self.is_over()

    def end(self) -> tuple[int, str]:
        """Its exit code and its log, once it has ended."""
        self._listener.join(5 * PATIENCE_SECONDS)
        return self._process.wait(1), self._said[1]

    def _listen(self):
        self._said = self._process.communicate()


def play(members: Members, tally: Tally, *, orders: int, kinds: Sequence[str], seed: int) -> None:
    """A round with ``orders`` on each side: all are made, then two fifths edited; ``kinds`` befall its four flows."""
    chance, part = random.Random(seed), len(kinds) // 4
    with tempfile.TemporaryDirectory(prefix="f-") as home:
        uri = f"{members.uri}&{chance.choice(OPTIONS)}".rstrip("&")
        plant = Plant(Path(home), uri, f"test-{uuid.uuid4().hex[:12]}")
        try:
            fill(plant, orders)
            _flow(members, plant, tally, "inbound", _moments(chance, orders, kinds[:part]))
            _flow(members, plant, tally, "outbound", _moments(chance, orders, kinds[part : 2 * part]))
            check.check_both_sides(plant, orders, edited=False)
            edit(plant, orders)
            theirs, ours = orders * 2 // 5, orders * 3 // 5
            _flow(members, plant, tally, "inbound", _moments(chance, theirs, kinds[2 * part : 3 * part]))
            _flow(members, plant, tally, "outbound", _moments(chance, ours, kinds[3 * part :]))
            check.check_both_sides(plant, orders, edited=True)
            check.check_counts(plant, orders)
            check.check_idle(plant)
            tally.longest = max(tally.longest, _longest_pause(plant))
        finally:
            again(lambda: plant.client.drop_database(plant.environ["MONGO_DATABASE"]))
            plant.client.close()
    tally.rounds += 1


def _moments(chance, total, kinds):
    """When what is to happen: after how many orders of a flow that has ``total`` to do."""
    moments = [1 + int(chance.random() * max(total - LAST, 0)) for _ in kinds]
    return list(zip(sorted(moments), kinds, strict=True))


def _flow(members, plant, tally, flow, moments):
    """Run one flow until it finishes; what is to happen happens in the first run."""
    for _ in range(RUNS):
        run = Watched(plant, "run", "--only", flow)
        for moment, kind in moments:
            if run.reach(moment):
                _strike(members, plant, tally, run, kind)
        code, err = run.end()
        tally.warnings.update(map(_kind_of, check.check_log(err)))
        check.check_marked_are_told(plant)
        if code == 0:
            return
        assert code in (1, 6), err  # 6: its lease was rolled back, too
        tally.stopped += 1
        moments = []
    raise AssertionError(f"none of {RUNS} runs finished: {err}")


def _strike(members, plant, tally, run, kind):
    elections, rollbacks = members.term(), members.all_rollbacks()
    with FAULTS[kind](members, run):
        pass
    members.wait_until_well()
    check.check_marked_are_told(plant)
    run.goes_on()
    tally.struck[kind] += 1
    tally.elections += members.term() - elections
    tally.rollbacks += members.all_rollbacks() - rollbacks


def _longest_pause(plant):
    """Seconds between two orders of one run that were looked up one after the other."""
    by_run = groupby(read_decisions(plant.home / "data/decisions.jsonl"), lambda entry: entry.run)
    pauses = (later.at - sooner.at for _, entries in by_run for sooner, later in pairwise(entries))
    return max(pauses, default=timedelta()).total_seconds()


def _kind_of(warning):
    """A line of the log without its numbers."""
    return re.sub(r"-?\d[\d,.]*(\.json)?", "N", warning)
