"""The whole suite: ``python -m benchmarks [--scale 1] [--rounds 3] [--only NAME] [--into FOLDER] [--pathway PYTHON]``.

Prints a table of everything and one of the goals; writes both as ``performance.json`` and draws ``performance.png``
into ``--into`` (with matplotlib). With ``--only`` the other experiments stay there as they were, and nothing is drawn.
Runs on an embedded MongoDB of its own, in the folder for temporary files (TMPDIR), for about an hour; ``--scale 0.01``
is a look of two minutes that proves nothing.
"""

import argparse
import shutil
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
from pymongo import MongoClient

from benchmarks.report import Machine, Report, tables
from benchmarks.sides import PATHWAY
from benchmarks.suite import Suite
from pipeline.tracos.embedded import embedded_mongod

ROOM: Final = 16e9
"""Bytes that a whole run needs: its small files are removed at the end alone (see Place.remove)."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="how many of the orders (1: a million at most)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each comparison is made")
    parser.add_argument("--only", default="", help="the beginning of an experiment's name")
    parser.add_argument("--into", type=Path, help="where the JSON and the plot go")
    parser.add_argument("--pathway", type=Path, default=PATHWAY, help="the Python that has pathway")
    options = parser.parse_args()
    free, needed = shutil.disk_usage(tempfile.gettempdir()).free, ROOM * options.scale
    if free < needed and not options.only:
        parser.error(f"{needed / 1e9:.0f} GB are needed, {tempfile.gettempdir()} has {free / 1e9:.0f}: set TMPDIR")
    if options.into:
        options.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, embedded_mongod(Path(folder) / "mongo") as uri:
        mongod = MongoClient(uri).server_info()["version"]
        suite = Suite(uri, Path(folder), scale=options.scale, rounds=options.rounds, pathway=options.pathway)
        machine = Machine.here(mongod, Path(folder), options.pathway)
        results = suite.run(lambda text: print(text, file=sys.stderr, flush=True), options.only)
    report = Report(machine, options.scale, results)
    if options.into:
        path = options.into / "performance.json"
        if options.only and path.exists():
            report = report.beside(msgspec.json.decode(path.read_bytes(), type=Report))
        report.write(path)
        if not options.only and find_spec("matplotlib"):
            import_module("benchmarks.plot").plot(report, options.into / "performance.png")
    print(tables(report))


if __name__ == "__main__":
    main()
