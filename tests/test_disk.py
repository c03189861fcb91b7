"""Files appear whole, also where several write them at once, and a crash leaves nothing for ever."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from loguru import logger

from pipeline import disk
from pipeline.disk import LEFTOVER, Scratch, append_lines, in_thread, remove_leftovers, write_files
from tests.mongo import until

SAVES = """
import sys
from pathlib import Path
from pipeline.disk import remove_leftovers, write_files
body = sys.argv[1].encode() * int(sys.argv[2])
sys.stdin.readline()
for _ in range(300):
    remove_leftovers(Path())
    write_files(Path(), {"index": body, "other": body}, durability="none")
"""
KILLED = """
import os, signal
from pathlib import Path
from pipeline import disk
def killed(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
disk.os.rename = killed
disk.write_files(Path(), {"index": b"new", "other": b"new"})
"""

SCRATCH = """
import subprocess, sys
from pipeline.disk import Scratch
with Scratch() as scratch:
    keeps = [scratch.lock] if sys.argv[1:] else []
    editor = subprocess.Popen(["cat"], stdin=sys.stdin, stdout=subprocess.DEVNULL, pass_fds=keeps)
    print(scratch.path, editor.pid, flush=True)
    editor.wait()
"""


def python(folder, code, *arguments):
    environ = os.environ | {"PYTHONPATH": str(Path(disk.__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=folder, env=environ, stdin=subprocess.PIPE)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_processes_that_save_one_file_at_once_leave_it_whole(tmp_path):
    (tmp_path / "index").write_bytes(b"a")
    savers = [python(tmp_path, SAVES, letter, str(size)) for letter, size in (("a", 1), ("b", 70_000), ("c", 300_000))]
    for saver in savers:
        saver.stdin.write(b"\n")
        saver.stdin.flush()
    while any(saver.poll() is None for saver in savers):
        body = (tmp_path / "index").read_bytes()
        assert (body[:1], len(body)) in {(b"a", 1), (b"b", 70_000), (b"c", 300_000)}
        assert body == body[:1] * len(body)
    for saver in savers:
        saver.communicate()
        assert saver.returncode == 0
    assert names(tmp_path) == ["index", "other"]


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(tmp_path, monkeypatch):
    killed = python(tmp_path, KILLED)
    killed.communicate()
    (tmp_path / f".from-an-older-version.json{LEFTOVER}").touch()
    (tmp_path / ".hidden").touch()
    assert len(names(tmp_path)) == 5
    written, go = threading.Event(), threading.Event()
    rename = os.rename

    def waits(*arguments, **options):
        written.set()
        assert go.wait(30)
        rename(*arguments, **options)

    monkeypatch.setattr(disk.os, "rename", waits)
    writer = threading.Thread(target=write_files, args=(tmp_path, {"index": b"x"}))
    writer.start()
    assert written.wait(30)
    remove_leftovers(tmp_path)
    assert len(names(tmp_path)) == 3
    go.set()
    writer.join()
    assert (names(tmp_path), (tmp_path / "index").read_bytes()) == ([".hidden", "index"], b"x")


def test_lines_that_the_disk_takes_in_part_are_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "log"
    append_lines(path, [b"one"])
    write = os.write

    def fills_up(file, body):
        if len(body) < 4:
            raise OSError(28, "No space left on device")
        return write(file, body[:-3])

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "write", fills_up)
        with pytest.raises(OSError, match="No space"):
            append_lines(path, [b"two", b"three"])
    append_lines(path, [b"four"])
    assert path.read_bytes() == b"one\nfour\n"


def test_a_cleaner_between_the_making_of_a_lock_and_its_taking_costs_nothing(tmp_path, monkeypatch):
    lock, calls = disk.fcntl.flock, []

    def late(file, how):
        calls.append(how)
        if len(calls) == 1:
            remove_leftovers(tmp_path)
        lock(file, how)

    monkeypatch.setattr(disk.fcntl, "flock", late)
    write_files(tmp_path, {"index": b"x"})
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["index"]
    assert len(calls) == 3  # its own, the cleaner's, its own again


@pytest.mark.parametrize("durability", ["file", "batch", "none"])
def test_a_name_may_be_as_long_as_the_file_system_has_them_and_errors_leave_nothing(tmp_path, durability):
    longest = "x" * 255
    (tmp_path / "taken").mkdir()
    blocked = write_files(tmp_path, {longest: b"1", "taken": b"2", "z": b"3"}, durability=durability)
    assert (set(blocked), names(tmp_path)) == ({"taken"}, sorted(["taken", longest, "z"]))
    with pytest.raises(OSError, match="too long"):
        write_files(tmp_path, {"new": b"1", longest + "x": b"2"}, durability=durability)
    with pytest.raises(FileNotFoundError):
        write_files(tmp_path / "not there", {"new": b"1"}, durability=durability)
    assert not [name for name in names(tmp_path) if name.endswith(LEFTOVER)]


def test_a_disk_that_takes_a_part_at_a_time_gets_the_whole(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(disk.os, "write", lambda file, body: write(file, body[:3]))
    write_files(tmp_path, {"index": b"0123456789"}, durability="none")
    assert (tmp_path / "index").read_bytes() == b"0123456789"


async def test_who_is_cancelled_waits_for_the_thread_that_writes():
    began, goes_on = threading.Event(), threading.Event()
    done = []

    def writes():
        began.set()
        goes_on.wait()
        done.append("written")

    hop = asyncio.create_task(in_thread(writes))
    await asyncio.to_thread(began.wait)
    hop.cancel()
    try:
        await asyncio.sleep(0)
        assert not hop.done()
    finally:
        goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await hop
    assert done == ["written"]


async def test_what_a_thread_logs_says_whose_it_is():
    told = []
    handler = logger.add(lambda message: told.append(message.record["extra"]))
    with logger.contextualize(client="acme"):
        await in_thread(logger.info, "written")
    logger.remove(handler)
    assert told == [{"client": "acme"}]


@pytest.fixture
def scratch_of(tmp_path, monkeypatch):
    """Has a process make a scratch folder, start a program, and be killed: the folder, and the program's pid."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    started = []

    def scratch(*arguments):
        environ = os.environ | {"PYTHONPATH": str(Path(disk.__file__).parents[1])}
        command = [sys.executable, "-c", SCRATCH, *arguments]
        process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        path, pid = process.stdout.readline().split()
        started.append((process, int(pid)))
        process.kill()
        process.wait()
        process.stdout.close()
        return Path(path), int(pid)

    yield scratch
    for process, _ in started:
        process.stdin.close()


def test_the_scratch_folder_of_a_killed_process_is_removed_by_the_next(tmp_path, scratch_of):
    left, _ = scratch_of()
    assert left.is_dir()
    with Scratch() as one, Scratch() as other:
        assert set(tmp_path.iterdir()) == {one.path, other.path}
        assert one.path.stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == []


def test_a_scratch_folder_stays_while_a_program_that_was_given_it_goes_on(tmp_path, scratch_of):
    left, program = scratch_of("keeps")
    with Scratch():
        assert left.is_dir()
    os.kill(program, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{program}/fd").exists() or not list(Path(f"/proc/{program}/fd").iterdir()))
    with Scratch():
        assert not left.exists()


def test_a_scratch_folder_that_is_taken_for_a_dead_one_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock, calls = disk.fcntl.flock, []

    def late(file, how):
        calls.append(how)
        if len(calls) == 1:
            next(tmp_path.iterdir()).rmdir()
        lock(file, how)

    monkeypatch.setattr(disk.fcntl, "flock", late)
    with Scratch() as scratch:
        assert scratch.path.is_dir()
    assert (len(calls), names(tmp_path)) == (2, [])
