"""``python -m tests.fuzz``: gives every parser bytes that nobody would write, and shows what breaks a law.

With atheris (``pip install --group fuzz``) coverage guides it; else seeds are mutated at random.
"""

import argparse
import base64
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from loguru import logger

from tests.fuzz import blind, guided
from tests.fuzz.played import HEAD, total
from tests.fuzz.registry import targets

FOREVER = 10**9


def main() -> int:
    """1 where a law is broken, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--target", action="append", help="only this one, or those whose names begin so; may come again"
    )
    parser.add_argument("--executions", type=int, help="of all targets together")
    parser.add_argument("--seconds", type=float, help="of all targets together, on one core")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--blind", action="store_true", help="without coverage, although atheris is there")
    parser.add_argument("--replay", metavar="BASE64", help="run one input, which a failure has shown")
    asked = parser.parse_args()
    logger.remove()
    wanted = {name: one for name, one in targets().items() if not asked.target or name.startswith(tuple(asked.target))}
    if not wanted:
        parser.error(f"there is no such target; known: {', '.join(targets())}")
    if asked.replay is not None:
        for one in wanted.values():
            one.run(base64.b64decode(asked.replay.strip("=") and asked.replay))
        return 0
    is_guided = guided.is_there() and not asked.blind
    shares = sum(one.share for one in wanted.values())
    executions = None if asked.executions is None and asked.seconds is not None else asked.executions or 100_000
    often = [
        FOREVER if executions is None else max(1, round(executions * one.share / shares)) for one in wanted.values()
    ]
    long = [FOREVER if asked.seconds is None else asked.seconds / len(wanted)] * len(wanted)
    seeds = [asked.seed] * len(wanted)
    began = time.monotonic()
    print(HEAD)
    found = []
    corpora = [one.corpus for one in wanted.values()]
    with ThreadPoolExecutor(asked.jobs) if is_guided else ProcessPoolExecutor(asked.jobs) as workers:
        for one in workers.map(guided.play if is_guided else blind.play, wanted, corpora, often, long, seeds):
            print(one.row, *([one.told] if one.why else []), sep="\n", flush=True)
            found.append(one)
    print(total(found))
    how = "guided by coverage" if is_guided else "mutated at random"
    print(f"{len(found)} targets, {how}, seed {asked.seed}, {time.monotonic() - began:.0f} s on {asked.jobs} processes")
    return any(one.why for one in found)


if __name__ == "__main__":
    sys.exit(main())
