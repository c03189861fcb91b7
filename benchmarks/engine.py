"""What an engine costs: one file of lines taken by one process, by two lanes, and by each engine on this machine.

    python -m benchmarks.engine [--orders 100000] [--rounds 3]

Of each: the seconds, and the microseconds of CPU an order in the run, in what works for it, and in MongoDB. The least
of the rounds; the start of the workers is not measured, that of the run and of its lanes is. Needs the extra ``dask``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.cluster import at_parts, cluster, free_address
from benchmarks.place import Place, fill_with_lines
from pipeline.tracos.embedded import embedded_mongod

ROOT = Path(__file__).resolve().parents[1]
TICK = os.sysconf("SC_CLK_TCK")
Cost = tuple[float, float, float, float]
"""Seconds; of CPU: in the run, in those that work for it, in MongoDB."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="engine-") as folder, embedded_mongod(Path(folder) / "mongo") as uri:
        lines = Path(folder) / "lines"
        lines.mkdir()
        fill_with_lines(lines, options.orders)
        one, two = free_address(), free_address()
        parts = Path(folder) / "parts"
        with (
            cluster(Path(folder), one, 1) as alone,
            cluster(Path(folder), two, 2) as both,
            at_parts(parts, 2) as workers,
        ):
            ways = {
                "one process": ((), ()),
                "two lanes": (("--workers", "2"), ()),
                "Dask, 1 worker": (("--engine", one), alone),
                "Dask, 2 workers": (("--engine", two), both),
                "parts, 2 workers": (("--engine", f"parts://{parts}"), workers),
            }
            for turn in range(options.rounds):
                for name, (arguments, others) in ways.items():
                    place = Place(uri, Path(folder), f"{name.replace(' ', '').replace(',', '')}{turn}").make("pipeline")
                    costs.setdefault(name, []).append(_cost(place, lines, arguments, others))
                    place.remove()
    print(f"{options.orders:,} orders, the least of {options.rounds} rounds, {os.cpu_count()} cores")
    for name, of_one in costs.items():
        seconds, run, others, mongod = map(min, zip(*of_one, strict=True))
        of_run, of_others, of_mongod = (f"{one / options.orders * 1e6:5.1f}" for one in (run, others, mongod))
        print(f"  {name:16} {seconds:6.1f} s   run {of_run}  others {of_others}  mongod {of_mongod}")


def _cost(place: Place, lines: Path, arguments: Sequence[str], workers: Sequence[int]) -> Cost:
    [mongod] = {pid for pid, command in _processes() if "--dbpath" in command and str(place.root.parent) in command}
    before, began = [_cpu(pid) for pid in (mongod, *workers)], time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MONGO", "DATA_"))}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "MONGO_URI": place.uri,
        "MONGO_DATABASE": place.name,
        "DATA_INBOUND_DIR": str(lines),
        "LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "pipeline", "run", "--only", "inbound", *arguments]
    process = subprocess.Popen(command, cwd=place.root, env=environment, stdout=subprocess.DEVNULL)
    lanes: dict[int, float] = {}
    own = 0.0
    while process.poll() is None:
        own = max(own, _cpu(process.pid))
        for pid, command_of in _processes():
            if " lane " in command_of and _stat(pid)[1:2] == [str(process.pid)]:
                lanes[pid] = max(lanes.get(pid, 0.0), _cpu(pid))
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    after = [_cpu(pid) for pid in (mongod, *workers)]
    spent = [one - other for one, other in zip(after, before, strict=True)]
    return seconds, own, sum(spent[1:]) + sum(lanes.values()), spent[0]


def _processes() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            yield int(path.name), (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICK if fields else 0.0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


if __name__ == "__main__":
    main()
