"""``python -m tests.crash [--flow F] [--client C] [--jobs J]``: the whole crash matrix, and what it found."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash.flows import FLOWS, Flow
from tests.crash.matrix import Played, play
from tests.crash.places import places, unreached
from tests.crash.worlds import IN_MEMORY, WORLDS
from tests.mongo import Mongod


def main() -> int:
    """1 where something is wrong after a kill, or a place was never reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument(
        "--flow", choices=[flow.name for flow in FLOWS], action="append", help="only this; may be repeated"
    )
    parser.add_argument("--client", choices=list(WORLDS), action="append", help="only this; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--sample", type=int, help="so many kills of each flow and client, not all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--at", type=int, default=0, help="only around this point")
    asked = parser.parse_args()
    began = time.monotonic()
    meant = [
        (flow, name)
        for flow in FLOWS
        for name in flow.worlds
        if flow.name in (asked.flow or [flow.name]) and name in (asked.client or [name])
    ]
    with tempfile.TemporaryDirectory(prefix="m-", dir=IN_MEMORY) as folder:
        server = Mongod(Path(folder)).start()

        def one(flow: Flow, name: str) -> Played:
            with tempfile.TemporaryDirectory(prefix="crash-", dir=IN_MEMORY) as home:
                played = play(
                    flow,
                    name,
                    Path(home),
                    server.uri,
                    f"crash-{flow.name}-{name}",
                    sample=asked.sample,
                    seed=asked.seed,
                    at=asked.at,
                )
            print(row(played), flush=True)
            for fault in played.faults:
                print(fault, flush=True)
            return played

        try:
            with ThreadPoolExecutor(asked.jobs) as pool:
                all_played = list(pool.map(lambda both: one(*both), meant))
        finally:
            server.kill()
    is_whole = not (asked.flow or asked.client or asked.sample or asked.at)
    return told(all_played, time.monotonic() - began, is_whole=is_whole)


def row(played: Played) -> str:
    """One flow in one world, in one line."""
    kinds = Counter(point.kind for point in played.recorded)
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return (
        f"{played.flow:9} {played.world:8} {len(played.recorded):4} points {len(played.killed):4} kills "
        f"{played.passed:3} passed {len(played.faults):3} faults   ({shown})"
    )


def told(all_played: Sequence[Played], seconds: float, *, is_whole: bool) -> int:
    """Print the sums; the exit code."""
    killed = [point for played in all_played for point in played.killed]
    faults = sum(len(played.faults) for played in all_played)
    unseen = {said for played in all_played for said in played.unseen}
    points = sum(len(played.recorded) for played in all_played)
    different = len({(point.kind, point.stack) for point in killed})
    print(f"{points} points, {different} of them different; {len(killed)} kills in {seconds:.0f} s; {faults} faults")
    left = unreached(killed)
    print(f"{len(places()) - len(left)} of {len(places())} places in the source were killed at")
    for said in sorted(unseen):
        print(f"no wrapper knows: {said}")
    for place in left if is_whole else ():
        print(f"never reached: {place}")
    return bool(faults or unseen or (left and is_whole))


if __name__ == "__main__":
    sys.exit(main())
