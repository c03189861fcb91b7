"""Runs the program many times, quickly: each run is forked from one process that has imported everything already."""

import gc
import importlib
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn, Self

import httpx
import msgspec
from msgspec import Struct

from tests.crash import meddlers, points
from tests.crash.breaks import BREAKS
from tests.crash.points import Kill, Point

PATIENCE_SECONDS: Final = 60
"""How long one run may take; then it is ended by SIGALRM."""
ROOT: Final = Path(__file__).resolve().parents[2]


class Asked(Struct, frozen=True):
    """One run of the program."""

    home: str
    arguments: Sequence[str]
    environ: Mapping[str, str]
    notes: str
    """The folder for the trace and for what is printed."""
    kill: Kill | None = None
    meddler: str = ""
    broken: str = ""
    """Which break is made first."""


class Lived(Struct, frozen=True):
    """What became of a run."""

    code: int
    """Its exit code, or minus the number of the signal that ended it."""
    points: Sequence[Point]
    printed: str

    @property
    def killed(self) -> Point | None:
        """Where it was killed."""
        return next((point for point in self.points if point.killed), None)


class Nursery:
    """Runs the program in ``environ``, one run at a time; ``notes`` is a folder of its own."""

    def __init__(self, environ: Mapping[str, str], notes: Path) -> None:
        self._notes = notes
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**self._environ, "PYTHONPATH": str(ROOT)},
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stdin.close()
            self._process.wait(PATIENCE_SECONDS)
            self._process.stdout.close()

    def run(
        self, home: Path, *arguments: str, kill: Kill | None = None, meddler: str = "", broken: str = "", **environ: str
    ) -> Lived:
        """One run of ``python -m pipeline`` in ``home``, with these variables too."""
        asked = Asked(str(home), arguments, {**self._environ, **environ}, str(self._notes), kill, meddler, broken)
        self._process.stdin.write(msgspec.json.encode(asked) + b"\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        printed = (self._notes / "printed").read_text(errors="replace")
        return Lived(code, points.read_trace(self._notes / "trace"), printed)


def serve() -> None:
    """Fork a run for each line on standard input; answer how it ended."""
    import pipeline
    import pipeline.cli

    names = [info.name for info in pkgutil.walk_packages(pipeline.__path__, "pipeline.")]
    modules = [importlib.import_module(name) for name in names if name != "pipeline.__main__"]
    httpx.AsyncHTTPTransport()  # which imports what it needs when it is first made
    points.install()
    points.wrap_foreign(modules)
    gc.freeze()
    decode = msgspec.json.Decoder(Asked).decode
    for line in sys.stdin.buffer:
        child = os.fork()
        if not child:
            _live(decode(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _live(asked: Asked) -> NoReturn:
    """Be the program, until it ends or is killed."""
    code = 70
    try:
        signal.alarm(PATIENCE_SECONDS)
        os.chdir(asked.home)
        os.environ.clear()
        os.environ.update(asked.environ)
        _stand_in(os.open(os.devnull, os.O_RDONLY), 0)
        _stand_in(os.open(f"{asked.notes}/printed", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        if asked.broken:
            BREAKS[asked.broken].make()
        trace = os.open(f"{asked.notes}/trace", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        points.watch(points.Watch(trace, asked.kill, meddlers.named(asked.meddler)))
        code = importlib.import_module("pipeline.cli").main(asked.arguments)
    except BaseException as error:  # the nursery goes on, whatever it is
        sys.stderr.write(f"Traceback: {error!r}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _stand_in(opened: int, number: int) -> None:
    os.dup2(opened, number)
    os.close(opened)


if __name__ == "__main__":
    serve()
