"""The process that does one Task: ``python -m benchmarks.work '<the task as JSON>'`` prints what became of it."""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import msgspec
from loguru import logger

from benchmarks.place import Place
from benchmarks.task import Done, Task
from pipeline.cli.start import collect_rarely


def main() -> None:
    """Do it; all imports are done, and the server has answered, before the clock runs."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    module, _, name = task.work.partition(".")
    work: Callable[[Place, Task], int] = getattr(import_module(f"benchmarks.{module}"), name)
    place = Place(task.uri, Path(task.root), task.place)
    place.orders.database.client.admin.command("ping")
    logger.remove()
    collect_rarely()  # as the program does; the others get it too
    stdout, sys.stdout = sys.stdout, sys.stderr  # some talk
    began, cpu = time.perf_counter(), _cpu_seconds()
    orders = work(place, task)
    seconds, cpu = time.perf_counter() - began, _cpu_seconds() - cpu
    place.close()
    done = Done(orders=orders, seconds=seconds, cpu_seconds=cpu, peak_mb=_peak_mb())
    print(msgspec.json.encode(done).decode(), file=stdout)


def _cpu_seconds() -> float:
    """Of this process and of those that it started, once they have ended."""
    used = [getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return max(own, getrusage(RUSAGE_CHILDREN).ru_maxrss) / 1024


if __name__ == "__main__":
    main()
