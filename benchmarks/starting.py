"""How long the program takes from its start to the first order, beside what its MongoDB alone takes; and ``--help``."""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.place import fill_with_files, order

__all__ = ["measure"]

ROOT: Final = Path(__file__).resolve().parent.parent
ALONE: Final = """
import sys, time
from pathlib import Path
from pipeline.tracos.embedded import embedded_mongod
from pymongo import MongoClient
began = time.perf_counter()
with embedded_mongod(Path(sys.argv[1])) as uri:
    MongoClient(uri).admin.command("ping")
    print(time.perf_counter() - began)
"""
"""Starts the server as the program does, with all imports done before the clock runs."""


def measure(folder: Path, *, rounds: int) -> dict[str, float]:
    """Medians in seconds: to the first order, of mongod alone, and the CPU of ``--help``."""
    fill_with_files(folder / "data" / "inbound", 1)
    _to_the_first_order(folder)  # initialises the database
    first, alone, shown = [], [], []
    for round_ in range(rounds):
        path = folder / "data" / "inbound" / f"again-{round_}.json"
        path.write_bytes(msgspec.json.encode(order(round_ + 1)))
        os.utime(path, (1_760_000_000, 1_760_000_000))
        command = [sys.executable, "-c", ALONE, "data/mongo"]
        alone.append(float(_output(command, folder)))
        first.append(_to_the_first_order(folder))
        shown.append(_cpu_of_help(folder))
    return {
        "to the first order": statistics.median(first),
        "mongod alone": statistics.median(alone),
        "cpu of --help": statistics.median(shown),
    }


def _to_the_first_order(folder: Path) -> float:
    """From the start of the process until the decision log tells of an order."""
    log = folder / "data" / "decisions.jsonl"
    before = log.stat().st_size if log.exists() else 0
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "main.py")],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not log.exists() or log.stat().st_size == before:
        if process.poll() is not None:
            raise SystemExit("the program ended before its first order")
        time.sleep(0.001)
    seconds = time.perf_counter() - began
    process.wait()
    return seconds


def _cpu_of_help(folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _output([sys.executable, str(ROOT / "src" / "main.py"), "--help"], folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _output(command: list[str], folder: Path) -> bytes:
    return subprocess.run(command, cwd=folder, env=_environment(), check=True, capture_output=True).stdout


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MONGO_", "DATA_", "CLIENT"))}
    return ours | {"PYTHONPATH": str(ROOT)}
