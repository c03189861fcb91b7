"""A Dask cluster of processes on loopback, which can be killed, and a folder that its workers see as the run does."""

import contextlib
import os
import signal
import subprocess
import sys

from tests.mongo import free_port
from tests.plant import ROOT

CALM = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__EVENT_LOOP": "asyncio",
}


class Cluster:
    """A scheduler, and workers of one thread each."""

    def __init__(self, folder, *, path=str(ROOT)):
        self.port = free_port()
        self.url = f"dask://127.0.0.1:{self.port}"
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._folder = folder
        self._path = path
        self.processes = []
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"
        )

    def worker(self, *extra, path=None, **environ):
        """One more worker; with a nanny, which starts another in its place, where ``extra`` says so."""
        arguments = ["--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--local-directory", str(self._folder)]
        extra = extra or ("--no-nanny",)
        return self._start("worker", f"tcp://127.0.0.1:{self.port}", *arguments, *extra, path=path, **environ)

    def _start(self, *arguments, path=None, **environ):
        self._folder.mkdir(exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MONGO", "DATA_"))}
        with (self._folder / f"{len(self.processes)}-{arguments[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                cwd=self._folder,  # not where the run is
                env=clean | CALM | {"PYTHONPATH": path or self._path} | environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def logs(self):
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    def end(self):
        for process in self.processes:
            for number in (signal.SIGCONT, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            process.wait(30)
