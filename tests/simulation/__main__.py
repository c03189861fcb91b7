"""``python -m tests.simulation --histories N --seed S [--jobs J]``: plays histories, and shows what fails, shrunk.

With ``--seconds`` it plays as many as there is time for; without ``--seed`` the day says where it begins. At the end it
counts what was played and what went wrong in it, a line each, as a table of Markdown.
"""

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import UTC, datetime

from loguru import logger
from msgspec import Struct, field

from tests.simulation.clock import runner as new_runner
from tests.simulation.draw import draw
from tests.simulation.play import failure
from tests.simulation.shrink import shrunk

CHUNK = 25
MOST = 1_000_000
"""Histories, where only the time says how many."""


class Played(Struct):
    """What became of some histories."""

    histories: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    """By seed, what was wrong."""
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Played") -> None:
        """Count these too."""
        self.histories += other.histories
        self.failed |= other.failed
        self.counts += other.counts


def main() -> int:
    """1 where a history fails, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--histories", type=int, help="how many (1000, where --seconds is not set)")
    parser.add_argument("--seconds", type=float, help="how long")
    parser.add_argument("--seed", type=int, help="of the first; the others follow (else the day says it)")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="after a failure, which is shown as it is")
    asked = parser.parse_args()
    first = asked.seed if asked.seed is not None else int(f"{datetime.now(UTC):%Y%m%d}") * 10_000
    many = asked.histories or (1000 if asked.seconds is None else MOST)
    print(f"seeds from {first}", flush=True)
    began, played = time.monotonic(), Played()
    until = began + asked.seconds if asked.seconds is not None else float("inf")
    for done in _played(range(first, first + many), asked.jobs, until):
        played.add(done)
        if done.failed and not asked.keep_going:
            break
        for seed, why in sorted(done.failed.items()):
            print(f"seed {seed}: {why}", flush=True)
    seconds = time.monotonic() - began
    pace = f"{played.histories / seconds:.0f} a second"
    print(f"{played.histories} histories in {seconds:.0f} s ({pace}), {len(played.failed)} failed\n")
    print("| what | how often |\n|---|---|")
    for what, count in sorted(played.counts.items()):
        print(f"| {what} | {count:,} |")
    for seed, why in sorted(played.failed.items())[: 0 if asked.keep_going else 1]:
        print(told(seed, why))
    return bool(played.failed)


def told(seed: int, why: str) -> str:
    """A failing history, as short as it can be, and how to play it again."""
    with new_runner() as runner:
        kind = _kind(why)
        short = shrunk(draw(seed), lambda one: _kind(runner.run(failure(one)) or "") == kind)
        why = runner.run(failure(short)) or why
    return f"\nseed {seed}: {why}\n{short}\nreplay: python -m tests.simulation --histories 1 --seed {seed}"


def _played(seeds: range, jobs: int, until: float) -> Iterator[Played]:
    chunks = (seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK))
    with ProcessPoolExecutor(jobs) as pool:
        begun = {pool.submit(_play_all, chunk) for chunk in itertools.islice(chunks, jobs)}
        try:
            while begun:
                done, begun = _wait(begun)
                if time.monotonic() < until:
                    begun |= {pool.submit(_play_all, chunk) for chunk in itertools.islice(chunks, len(done))}
                yield from (one.result() for one in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _wait(begun: set[Future[Played]]) -> tuple[set[Future[Played]], set[Future[Played]]]:
    return wait(begun, return_when=FIRST_COMPLETED)


def _play_all(seeds: Iterable[int]) -> Played:
    logger.remove()
    played = Played()
    with new_runner() as runner:
        for seed in seeds:
            why = runner.run(failure(draw(seed), counts=played.counts))
            played.histories += 1
            if why is not None:
                played.failed[seed] = why
    return played


def _kind(why: str) -> str:
    """What is wrong, whatever the order and its values."""
    return " ".join(word for word in why.split() if word.isalpha())


if __name__ == "__main__":
    logger.remove()
    sys.exit(main())
