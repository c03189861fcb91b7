"""``python -m tests.faults [--only COMMAND] [--jobs J]``: lets every file operation fail in each way that it can."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from loguru import logger

from tests.faults.disk import FAULTS
from tests.faults.play import Story
from tests.faults.world import SCENARIOS, World
from tests.mongo import Mongod


def main() -> int:
    """1 where a fault does harm, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", choices=SCENARIOS, nargs="*", default=[*SCENARIOS], help="these commands alone")
    parser.add_argument("--fault", choices=FAULTS, nargs="*", default=[*FAULTS], help="these faults alone")
    parser.add_argument("--at", type=int, help="this operation alone")
    parser.add_argument("--every", type=int, default=1, help="one operation in so many")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    asked = parser.parse_args()
    began, total, harm = time.monotonic(), Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="m-") as folder, ProcessPoolExecutor(asked.jobs) as pool:
        server = Mongod(Path(folder)).start()
        plays = [pool.submit(_play, server.uri, name, asked.fault, asked.at, asked.every) for name in asked.only]
        print(f"{'':10} {'operations':>10} {'sites':>6} " + " ".join(f"{name:>15}" for name in asked.fault))
        for name, play in zip(asked.only, plays, strict=True):
            operations, sites, counts, wrong = play.result()
            row = " ".join(f"{counts[fault]:>15}" for fault in asked.fault)
            print(f"{name:10} {operations:>10} {sites:>6} {row}", flush=True)
            total.update(counts)
            harm += len(wrong)
            for one in wrong:
                print(one, flush=True)
        server.stop()
    print(f"{total.total():,} faults in {time.monotonic() - began:.0f} s, {harm} did harm")
    return bool(harm)


def _play(
    uri: str, name: str, faults: list[str], at: int | None, every: int
) -> tuple[int, int, Counter[str], list[str]]:
    """Operations, places in the program that make them, faults by kind, and what was wrong."""
    logger.remove()
    counts, wrong = Counter[str](), list[str]()
    with tempfile.TemporaryDirectory(prefix="f-") as home:
        world = World(Path(home), uri, f"faults-{name}", SCENARIOS[name])
        story = Story(world)
        for fault in faults:
            for number in range(0, story.count(fault), every) if at is None else [at]:
                hit, said = story.play(fault, number)
                counts[fault] += hit is not None
                if said:
                    replay = f"python -m tests.faults --only {name} --fault '{fault}' --at {number}"
                    wrong.append(f"{fault} at {hit}: {said[0]}\nreplay: {replay}")
        world.close()
    return len(story.operations), len({one.site for one in story.operations}), counts, wrong


if __name__ == "__main__":
    logger.remove()
    sys.exit(main())
