"""``python -m tests.simulation --histories N --seed S [--jobs J]``: plays histories, and shows what fails, shrunk."""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from loguru import logger

from tests.simulation.play import failure
from tests.simulation.shrink import shrunk
from tests.simulation.steps import draw

CHUNK = 50


def main() -> int:
    """1 where a history fails, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--histories", type=int, default=1000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="after a failure")
    asked = parser.parse_args()
    began, found = time.monotonic(), dict[int, str]()
    seeds = range(asked.seed, asked.seed + asked.histories)
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    played = 0
    with ProcessPoolExecutor(asked.jobs) as pool:
        for chunk, failed in zip(chunks, pool.map(_play_all, chunks), strict=True):
            played += len(chunk)
            found |= failed
            if found and not asked.keep_going:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    seconds = time.monotonic() - began
    print(f"{played} histories in {seconds:.1f} s ({played / seconds:.0f} a second), {len(found)} failed")
    for seed, why in found.items():
        print(f"seed {seed}: {why}" if asked.keep_going else told(seed, why))
        if not asked.keep_going:
            break
    return bool(found)


def told(seed: int, why: str) -> str:
    """A failing history, as short as it can be, and how to play it again."""
    with asyncio.Runner() as runner:
        kind = _kind(why)
        short = shrunk(draw(seed), lambda one: _kind(runner.run(failure(one)) or "") == kind)
        why = runner.run(failure(short)) or why
    return f"seed {seed}: {why}\n{short}\nreplay: python -m tests.simulation --histories 1 --seed {seed}"


def _play_all(seeds: Iterable[int]) -> dict[int, str]:
    logger.remove()
    with asyncio.Runner() as runner:
        return {seed: why for seed in seeds if (why := runner.run(failure(draw(seed)))) is not None}


def _kind(why: str) -> str:
    """What is wrong, whatever the order and its values."""
    return " ".join(word for word in why.split() if word.isalpha())


if __name__ == "__main__":
    logger.remove()
    sys.exit(main())
