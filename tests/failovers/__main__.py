"""``python -m tests.failovers --orders N --rounds R [--kind K ...]``: runs under which a replica set fails over."""

import argparse
import random
import sys
import time

from tests.failovers.faults import FAULTS
from tests.failovers.members import living
from tests.failovers.play import Tally, play

FLOWS = 4
"""Of a round: in and out, of what is new and of what is edited."""

KINDS = [kind for kind in FAULTS if kind != "none"]


def main() -> int:
    """0 where all holds; what does not hold is raised, after the seed that shows it."""
    parser = argparse.ArgumentParser(prog="python -m tests.failovers", description=__doc__)
    parser.add_argument("--orders", type=int, default=3000, help="on each side")
    parser.add_argument("--rounds", type=int, default=1, help="how many, each with plants and a database of its own")
    parser.add_argument("--kind", action="append", choices=FAULTS, help="of failure; may be repeated (default: all)")
    parser.add_argument("--failures", type=int, default=1, help="in each of the four flows of a round")
    parser.add_argument("--seed", type=int, default=0, help="of the first round; the others follow")
    asked = parser.parse_args()
    tally, began = Tally(), time.monotonic()
    with living() as members:
        for seed in range(asked.seed, asked.seed + asked.rounds):
            kinds = random.Random(seed).choices(asked.kind or KINDS, k=FLOWS * asked.failures)
            print(f"seed {seed}: {', '.join(kinds)}", file=sys.stderr, flush=True)
            play(members, tally, orders=asked.orders, kinds=kinds, seed=seed)
    print(_told(tally, asked.orders, time.monotonic() - began))
    return 0


def _told(tally: Tally, orders: int, seconds: float) -> str:
    """The counts, a line each."""
    struck = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.struck.items()))
    lines = [
        f"{tally.rounds} rounds in {seconds:.0f} s, {orders:,} orders each way, then two fifths of all of them edited",
        f"failures: {tally.struck.total()} ({struck})",
        f"elections: {tally.elections}; rollbacks of a member: {tally.rollbacks}",
        f"runs that an outage ended, and the next one finished: {tally.stopped}",
        f"longest time in which a run got no further: {tally.longest:.1f} s",
        *("warnings, by kind:" for _ in [0] if tally.warnings),
        *(f"  {count} × {warning}" for warning, count in tally.warnings.most_common()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
