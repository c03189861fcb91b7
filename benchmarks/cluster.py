"""Those who work for a run on this machine, a Dask cluster or workers at a folder, for as long as it is measured."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["at_parts", "cluster", "free_address"]

ROOT: Final = Path(__file__).resolve().parents[1]
START_SECONDS: Final = 60


@contextmanager
def at_parts(folder: Path, workers: int) -> Iterator[list[int]]:
    """So many workers at the folder of parts ``folder``, all of them there; yields their processes."""
    command = [sys.executable, "-m", "pipeline", "work", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOG_LEVEL": "ERROR"}
    processes = [subprocess.Popen(command, env=environment) for _ in range(workers)]
    try:
        until = time.monotonic() + START_SECONDS
        while len(list(folder.glob("*.worker"))) < workers:
            if time.monotonic() > until:
                raise SystemExit("the workers do not start")
            time.sleep(0.05)
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def free_address() -> str:
    """One for ENGINE, of a port of this machine that nobody has yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"dask://127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def cluster(folder: Path, address: str, workers: int) -> Iterator[list[int]]:
    """A scheduler at ``address`` and so many workers of one thread, all of them there; yields the workers' processes.

    What they write goes into ``folder``. Needs the extra ``dask``.
    """
    from distributed import Client  # noqa: PLC0415 - an extra, of which the other experiments know nothing

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> int:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        processes.append(
            subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return processes[-1].pid

    scheduler = address.replace("dask://", "tcp://")
    try:
        start("scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2])
        alone = ("--no-nanny", "--nthreads", "1", "--host", "127.0.0.1")
        pids = [start("worker", scheduler, *alone) for _ in range(workers)]
        with Client(scheduler, timeout=START_SECONDS) as client:
            client.wait_for_workers(workers, timeout=START_SECONDS)
        yield pids
    finally:
        for process in processes:
            process.kill()
            process.wait()
