"""The results as tables for a person, and as JSON."""

import os
import platform
import statistics
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.goals import Reached, reached
from benchmarks.sides import pathway_version
from benchmarks.suite import Results, rate, ratio
from benchmarks.task import Done

__all__ = ["Machine", "Report", "table_of_goals", "tables"]

PACKAGES: Final = (
    *("aiostream", "motor", "pymongo", "aiofiles", "msgspec"),
    *("polars", "pymongoarrow", "pyarrow", "duckdb", "dlt", "singer-sdk"),
)


class Machine(Struct, frozen=True):
    """Where it was measured."""

    system: str
    processor: str
    cores: int
    python: str
    mongod: str
    packages: dict[str, str]
    disk: str = ""
    """The kind of file system that all of it lay on."""

    @classmethod
    def here(cls, mongod: str, root: Path, pathway: Path) -> "Machine":
        """This one; ``mongod`` is the server's version, ``root`` where was measured, ``pathway`` the Python with it."""
        models = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
        return cls(
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            processor=models[0] if models else platform.processor(),
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
            mongod=mongod,
            packages={name: found for name in PACKAGES if (found := _version(name))}
            | ({"pathway": found} if (found := pathway_version(pathway)) else {}),
            disk=_disk(root),
        )


class Report(Struct):
    """All that a run of the suite tells."""

    machine: Machine
    scale: float
    results: Results

    def beside(self, other: "Report") -> "Report":
        """This, and what ``other`` has of experiments that are not in it, with the versions that it names."""
        machine = replace(self.machine, packages={**other.machine.packages, **self.machine.packages})
        done = {**other.results.done, **self.results.done}
        return Report(machine, self.scale, Results(done, self.results.starting or other.results.starting))

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def tables(report: Report) -> str:
    """Everything, as text."""
    machine, results = report.machine, report.results
    packages = ", ".join(f"{name} {found}" for name, found in machine.packages.items())
    lines = [
        f"{machine.processor}, {machine.cores} cores, {machine.system}",
        f"Python {machine.python}, mongod {machine.mongod}, {packages}",
        *([f"files on {machine.disk}"] if machine.disk else []),
    ]
    for name, sides in results.done.items():
        first, *_ = sides
        lines += [
            "",
            name,
            f"  {'':26} {'orders':>9} {'orders/s':>10} {'spread':>7} {'ratio':>7} {'cpu µs':>7} {'peak MB':>8}",
        ]
        for side, done in sides.items():
            share = ratio(results, name, side, first)
            peak = max(one.peak_mb for one in done)
            cpu = statistics.median(one.cpu_seconds / one.orders * 1e6 for one in done)
            lines.append(
                f"  {side:26} {done[0].orders:9,} {rate(results, name, side):10,.0f} {_spread(done):7.0%} {share:7.2f} "
                f"{cpu:7.1f} {peak:8.0f}"
            )
    if results.starting:
        lines += ["", "start"] + [f"  {name:26} {seconds:9.2f} s" for name, seconds in results.starting.items()]
    return "\n".join([*lines, "", table_of_goals(reached(results))])


def table_of_goals(goals: list[Reached]) -> str:
    """The goals as a table in Markdown."""
    lines = ["| work | goal | measured | |", "|---|---|---|---|"]
    lines += [f"| {one.work} | {one.goal} | {one.measured} | {'✓' if one.is_reached else '✗'} |" for one in goals]
    return "\n".join(lines)


def _spread(done: list[Done]) -> float:
    """The widest distance between rounds, as a share of the median."""
    seconds = [one.seconds for one in done]
    return (max(seconds) - min(seconds)) / statistics.median(seconds)


def _cpuinfo() -> Iterator[str]:
    path = Path("/proc/cpuinfo")
    if path.exists():
        yield from path.read_text().splitlines()


def _disk(root: Path) -> str:
    """ext4, tmpfs, ...: the kind of the mount that holds ``root``; empty where the system does not tell."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    kinds = {place: kind for _, place, kind, *_ in map(str.split, mounts.read_text().splitlines())}
    return next((kinds[str(place)] for place in (root.resolve(), *root.resolve().parents) if str(place) in kinds), "")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
