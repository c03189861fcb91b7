"""Orders per second, both ways, as a ratio to a hand-written single-thread loop on the same server.

    python -m benchmarks.throughput [--orders 20000] [--rounds 3]

A quick look at what ``python -m benchmarks`` measures in full: each round measures the floor and the pipeline one after
the other, each in a new database and new folders; the table gives medians, and the ratio is the median of the rounds'.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.suite import Results, Suite, rate, ratio
from pipeline.tracos.embedded import embedded_mongod


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder, embedded_mongod(Path(folder) / "mongo") as uri:
        print(f"{options.orders} orders, {options.rounds} rounds, {os.cpu_count()} cores")
        suite = Suite(uri, Path(folder), rounds=options.rounds)
        results = Results({experiment.name: suite.measure(experiment) for experiment in suite.basic(options.orders)})
    for name, sides in results.done.items():
        ours, floor = rate(results, name, "pipeline"), rate(results, name, "floor")
        share, peak = ratio(results, name, "pipeline", "floor"), max(done.peak_mb for done in sides["pipeline"])
        print(f"  {name:14} pipeline {ours:8,.0f}/s   floor {floor:8,.0f}/s   ratio {share:.2f}   peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
