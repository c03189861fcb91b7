"""Make the breaks one by one, in a copy of the project, and count those that the tests notice.

``python -m tests.mutation [--only WORD] [--jobs N]``; the exit code is 1 where one survives that is not explained.
"""

import argparse
import os
import queue
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutation.breaks import Break, read_breaks

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 300
"""How long the tests of one break may take; a suite that hangs is noticed, too."""


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--only", default="", help="those with this word in their name or file")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    asked = parser.parse_args()
    breaks = [one for one in read_breaks() if asked.only in f"{one.file} {one.name}"]
    with tempfile.TemporaryDirectory() as folder:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(asked.jobs):
            copies.put(_copy(Path(folder) / str(number)))
        with ThreadPoolExecutor(asked.jobs) as threads:
            survivors = [one for one in threads.map(lambda one: _told(one, copies), breaks) if one is not None]
    print(f"{len(breaks)} breaks, {len(breaks) - len(survivors)} caught, {len(survivors)} survived")
    return int(any(not one.survives for one in survivors))


def _told(one: Break, copies: "queue.Queue[Path]") -> Break | None:
    """Make the break and say what became of it; the break itself where no test notices it."""
    copy = copies.get()
    try:
        before, start = one.path(copy).read_text(), time.monotonic()
        one.path(copy).write_text(one.broken(before))
        try:
            caught_by = _caught_by(copy, one.tests)
        finally:
            one.path(copy).write_text(before)
    finally:
        copies.put(copy)
    seconds = time.monotonic() - start
    what = f"caught by {caught_by}" if caught_by else f"SURVIVES{f' ({one.survives})' if one.survives else ''}"
    print(f"{seconds:5.1f} s  {one.file}: {one.name}: {what}", flush=True)
    return None if caught_by else one


def _caught_by(copy: Path, tests: tuple[str, ...]) -> str:
    """The first test that fails; empty where none does."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "--no-header"]
    try:
        done = subprocess.run(
            [*command, *(f"tests/{test}" for test in tests)],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {PATIENCE_SECONDS} s"
    if not done.returncode:
        return ""
    failed = [line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].removeprefix("tests/") if failed else f"pytest's exit code {done.returncode}"


def _copy(place: Path) -> Path:
    """What git knows of the project, so that nothing is broken where somebody works."""
    place.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    subprocess.run(["xargs", "-0", "cp", "--parents", "-t", str(place)], cwd=ROOT, input=listed.stdout, check=True)
    return place


if __name__ == "__main__":
    sys.exit(main())
