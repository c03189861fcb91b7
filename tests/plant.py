"""A whole plant in a temporary folder: both folders, a database, and the program that runs on them."""

import gc
import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import msgspec
from loguru import logger
from pymongo import MongoClient

from pipeline.cli import main
from pipeline.deadletters import read_letters

ROOT = Path(__file__).resolve().parents[1]


class Terminal(io.StringIO):
    """Standard output that a person looks at."""

    def isatty(self):
        return True


class Plant:
    """The program's surroundings; ``run`` is ``python src/main.py`` in them."""

    def __init__(self, home, uri=None, database=None):
        self.home = home
        ours = ("MONGO", "DATA_", "PYTHON")  # PYTHONUNBUFFERED here hid an output that was not flushed elsewhere
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environ |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        if uri:
            self.environ |= {"MONGO_URI": uri, "MONGO_DATABASE": database}
            self.client = MongoClient(uri, tz_aware=True)
            self.orders = self.client[database]["workorders"]
        self.inbound, self.outbound = home / "data/inbound", home / "data/outbound"
        self.clock = 1_760_000_000

    def start(self, script="src/main.py", *arguments, **environ):
        if script == "setup.py":  # into a MongoDB that is there for tests
            arguments = ("--yes", *arguments)
        command = [sys.executable, "-W", "error", str(ROOT / script), *arguments]
        return subprocess.Popen(
            command,
            cwd=self.home,
            env=self.environ | {name: str(value) for name, value in environ.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, script="src/main.py", *arguments, exits=0, **environ):
        process = self.start(script, *arguments, **environ)
        out, err = process.communicate(timeout=120)
        assert process.returncode == exits, out + err
        assert "Traceback" not in err
        return out, err

    def command(self, *arguments, exits=0, **environ):
        """What ``python -m pipeline`` prints, without its log; in this process, which is quicker."""
        code, out, err = self.ask(*arguments, **environ)
        assert code == exits, out + err
        return out

    def shown(self, columns, *arguments, exits=0, **environ):
        """What ``python -m pipeline`` prints on a terminal of so many columns, without colours."""
        code, out, err = self.ask(*arguments, out=Terminal(), COLUMNS=columns, TERM="xterm", **environ)
        assert code == exits, out + err
        return re.sub(r"\x1b\[[0-9;]*m", "", out)

    def ask(self, *arguments, out=None, **environ):
        """The exit code of ``python -m pipeline``, what it prints, and its log; in this process."""
        environ = self.environ | {name: str(value) for name, value in environ.items()}
        before, thresholds, out, err = Path.cwd(), gc.get_threshold(), out or io.StringIO(), io.StringIO()
        os.chdir(self.home)
        try:
            with mock.patch.dict(os.environ, environ, clear=True), redirect_stdout(out), redirect_stderr(err):
                code = main(arguments)
        finally:
            os.chdir(before)
            logger.remove()
            gc.unfreeze()  # what the program does for its own lifetime would hide garbage from the tests after this one
            gc.set_threshold(*thresholds)
        return code, out.getvalue(), err.getvalue()

    def put(self, name, data):
        """A file of the client's, older than any that is put later."""
        self.inbound.mkdir(parents=True, exist_ok=True)
        path = self.inbound / name
        path.write_bytes(data if isinstance(data, bytes) else msgspec.json.encode(data))
        self.clock += 1
        os.utime(path, (self.clock, self.clock))
        return path

    def sent(self):
        """What lies in the outbound folder, by file name."""
        return {path.name: msgspec.json.decode(path.read_bytes()) for path in self.outbound.glob("*.json")}

    def letters(self):
        return {letter.locator: letter for _, letter in read_letters(self.home / "data/dead-letter")}

    def documents(self):
        return {document["number"]: document for document in self.orders.find()}

    def state(self):
        """Everything that a run may touch, but for the journal."""
        files = [path for path in (self.home / "data").rglob("*") if path.is_file() and "mongo" not in path.parts]
        files = [path for path in files if path.name != "runs.jsonl"]
        return {str(path): path.stat().st_mtime_ns for path in files}, list(self.orders.find().sort("_id"))
