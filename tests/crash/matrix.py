"""The matrix itself: one recording of a flow lists its points, then it is killed at each, started again and checked."""

import random
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.crash import check
from tests.crash.breaks import BREAKS
from tests.crash.check import Seen
from tests.crash.flows import FLOWS, Flow
from tests.crash.nursery import Lived
from tests.crash.points import Kill, Point, When
from tests.crash.worlds import Snapshot, World, standing

__all__ = ["Fault", "Played", "play", "play_broken"]

ELSEWHERE: Final = frozenset({"command", "request"})
"""Kinds of changes that are made by others, and take time: while one is under way we may do something else."""

RUNS: Final = 4
"""After so many there must be nothing to do."""


class Fault(Struct, frozen=True):
    """What went wrong after one kill."""

    flow: str
    world: str
    kill: Kill | None
    """None: what goes wrong without any."""
    point: Point | None
    wrong: Sequence[str]

    def __str__(self) -> str:
        where = "not killed"
        if self.kill is not None and self.point is not None:
            point = self.point
            where = f"killed {self.kill.when} point {self.kill.at}: {point.kind} {point.what} at {point.place}"
        lines = "\n  ".join(self.wrong)
        again = f"--flow {self.flow} --client {self.world}" + (f" --at {self.kill.at}" if self.kill else "")
        return f"{self.flow}, {self.world}, {where}\n  {lines}\n  again: python -m tests.crash {again}"


class Played(Struct):
    """What became of one flow in one world."""

    flow: str
    world: str
    recorded: Sequence[Point] = ()
    killed: list[Point] = []
    """Where it was killed, each time."""
    passed: int = 0
    """How often it ended before it came to the point."""
    faults: list[Fault] = []
    unseen: set[str] = set()
    """Changes that no wrapper knows."""


def play(
    flow: Flow,
    name: str,
    folder: Path,
    uri: str,
    database: str,
    *,
    sample: int | None = None,
    seed: int = 0,
    at: int = 0,
) -> Played:
    """Kill ``flow`` in the world ``name`` at every point, at a ``sample`` of them, or around the one ``at``."""
    with standing(name, folder, uri, database) as world:
        return _Matrix(flow, world).play(sample=sample, seed=seed, at=at)


def play_broken(name: str, folder: Path, uri: str, database: str) -> Played:
    """Kill the program with the break ``name`` until something is wrong."""
    broken = BREAKS[name]
    (flow,) = (flow for flow in FLOWS if flow.name == broken.flow)
    with standing(broken.world, folder, uri, database) as world:
        return _Matrix(flow, world).play_broken(name, broken.kinds)


class _Matrix:
    def __init__(self, flow: Flow, world: World) -> None:
        self._flow = flow
        self._world = world
        self._played = Played(flow.name, world.name)
        self._start: Snapshot
        self._expected: Seen
        self._arguments: Sequence[str]
        self._is_recording = False
        self._runs = 0
        """How many runs it takes without a kill until there is nothing to do."""

    def play(self, *, sample: int | None, seed: int, at: int) -> Played:
        played = self._played
        self._prepare()
        points = self._record()
        played.recorded = points
        kills = [one for one in kills_of(points) if self._is_meant(points[one.at - 1]) and at in (0, one.at)]
        if sample is not None and sample < len(kills):
            chosen = random.Random(f"{seed} {played.flow} {played.world}").sample(range(len(kills)), sample)
            kills = [kills[one] for one in sorted(chosen)]
        for kill in kills:
            self._kill(kill)
        return played

    def play_broken(self, name: str, kinds: Collection[str]) -> Played:
        self._prepare()
        self._world.broken = name
        points = self._record()
        assert not self._played.faults, f"it shows without a kill: {self._played.faults[0]}"
        for kill in kills_of(points):
            if kill.kind in kinds and not self._played.faults:
                self._kill(kill)
        return self._played

    def _is_meant(self, point: Point) -> bool:
        return any(file.startswith(self._flow.only) for file, _ in point.stack)

    def _prepare(self) -> None:
        world, flow = self._world, self._flow
        flow.prepare(world)
        self._arguments = [
            world.letter_of(int(one.removeprefix("letter:"))) if one.startswith("letter:") else one
            for one in flow.arguments
        ]
        self._start = world.snapshot()

    def _record(self) -> Sequence[Point]:
        """The points of a run that nobody kills, and what it comes to; what is wrong with that is a fault."""
        world, flow = self._world, self._flow
        lived = self._run(meddler=flow.meddler)
        said = list(_ended(lived, flow.exits))
        self._is_recording = True
        said += self._on()
        self._is_recording = False
        self._expected = check.look(world)
        dead = sorted(letter.id for letter in world.letters().values() if letter.id is not None)
        if dead != sorted(flow.dead):
            said.append(f"dead are {dead}, not {sorted(flow.dead)}")
        self._tell(None, None, said)
        return [point for point in lived.points if not point.is_unseen]

    def _kill(self, kill: Kill) -> None:
        world, flow, played = self._world, self._flow, self._played
        world.restore(self._start)
        lived = self._run(kill=kill, meddler=flow.meddler)
        point = lived.killed
        if point is not None:
            played.killed.append(point)
        else:
            played.passed += 1
        said = list(check.torn(world))
        said += _ended(self._run(), flow.again)
        said += self._on()
        said += check.wrong(self._expected, check.look(world))
        self._tell(kill, point, said)

    def _run(self, kill: Kill | None = None, meddler: str = "") -> Lived:
        lived = self._world.run(*self._arguments, kill=kill, meddler=meddler, **self._flow.environ)
        self._played.unseen |= {
            f"{point.kind} {point.what} at {point.place}" for point in lived.points if point.is_unseen
        }
        return lived

    def _on(self) -> Iterator[str]:
        """Runs as they come every few minutes, until one has nothing to do; what is wrong then."""
        world = self._world
        before, runs = world.snapshot(), 0
        while runs < RUNS:
            runs += 1
            lived = world.run("run", **self._flow.environ)
            yield from _ended(lived, (0,))
            after = world.snapshot()
            if check.is_idle(before, after, lived):
                break
            before = after
        else:
            made = ", ".join(f"{one.kind} {one.what} at {one.place}" for one in lived.points)
            yield f"after {RUNS} runs there is still something to do: {made}"
        self._runs = max(self._runs, runs) if self._is_recording else self._runs
        if runs > self._runs + 1:
            yield f"{runs} runs until there was nothing to do, {self._runs} without the kill"
        yield from check.left_behind(world)
        yield from check.unequal(world)

    def _tell(self, kill: Kill | None, point: Point | None, said: Sequence[str]) -> None:
        if said:
            self._played.faults.append(Fault(self._played.flow, self._played.world, kill, point, said))


def kills_of(points: Sequence[Point]) -> Iterator[Kill]:
    """Before each point, within each write, and after the last one.

    After a point is before the next one, unless it is somebody else who makes the change: then both are tried.
    """
    for number, point in enumerate(points, 1):
        within: Sequence[When] = ["within"] if point.kind == "write" else []
        after: Sequence[When] = ["after"] if point.kind in ELSEWHERE or number == len(points) else []
        for when in ("before", *within, *after):
            yield Kill(point.kind, point.stack, point.turn, when, number)


def _ended(lived: Lived, exits: Sequence[int] | frozenset[int]) -> Iterator[str]:
    if lived.code not in exits or "Traceback" in lived.printed:
        yield f"ended with {lived.code}: {lived.printed}"
