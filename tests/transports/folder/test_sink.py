"""The outbound folder: whole, durable files, and what is in their way."""

import errno
import os

import pytest

from pipeline import disk
from pipeline.clients.connector import Outgoing
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Outcome
from pipeline.errors import Deferred, Fatal, Rejected
from pipeline.transports.folder import FolderSink


def batch(**orders):
    return [Envelope(Outgoing(name, body), Locator(name)) for name, body in orders.items()]


async def test_each_order_is_one_file_named_after_its_id(tmp_path):
    async with FolderSink(tmp_path / "out") as sink:
        assert (await sink.write_batch(batch(a=b"1", b=b"2"))).outcomes == [Outcome.SENT, Outcome.SENT]
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"a.json": b"1", "b.json": b"2"}


async def test_a_file_that_says_the_same_is_kept(tmp_path):
    async with FolderSink(tmp_path) as sink:
        await sink.write_batch(batch(a=b"1", b=b"1"))
        kept, inode = (tmp_path / "a.json").stat(), (tmp_path / "b.json").stat().st_ino
        await sink.write_batch(batch(a=b"1", b=b"2"))
        assert (tmp_path / "a.json").stat() == kept
        assert (tmp_path / "b.json").stat().st_ino != inode
    assert (tmp_path / "b.json").read_bytes() == b"2"


async def test_an_edit_of_a_new_order_waits_until_its_record_has_linked_it(tmp_path):
    first, edit = Outgoing("7", b"1", is_new=True, number=7), Outgoing("7", b"2", number=7)
    async with FolderSink(tmp_path) as sink:
        assert (await sink.write_batch([Envelope(first, Locator("7"))])).outcomes == [Outcome.SENT]
        items = [Envelope(edit, Locator("7")), *batch(a=b"3")]
        waiting, sent = (await sink.write_batch(items)).outcomes
    assert (type(waiting), sent) == (Deferred, Outcome.SENT)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"7~new.json": b"1", "a.json": b"3"}


async def test_one_order_twice_in_a_batch_is_written_as_it_is_last(tmp_path):
    async with FolderSink(tmp_path) as sink:
        twice = [*batch(a=b"1"), *batch(a=b"2")]
        assert (await sink.write_batch(twice)).outcomes == [Outcome.SENT, Outcome.SENT]
    assert (tmp_path / "a.json").read_bytes() == b"2"


async def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / f".a.json{disk.LEFTOVER}").write_bytes(b"half")
    (tmp_path / ".hidden").write_bytes(b"theirs")
    async with FolderSink(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".hidden"]


async def test_a_folder_in_the_way_is_that_order_s_dead_letter(tmp_path):
    (tmp_path / "a.json").mkdir()
    async with FolderSink(tmp_path) as sink:
        results = (await sink.write_batch(batch(a=b"1", b=b"2"))).outcomes
    assert isinstance(results[0], Rejected)
    assert results[1] is Outcome.SENT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


async def test_two_runs_at_once_are_told(tmp_path):
    async with FolderSink(tmp_path):
        with pytest.raises(Fatal, match="another run is writing"):
            await FolderSink(tmp_path).open()
    async with FolderSink(tmp_path):
        pass


async def test_a_folder_that_is_another_one_in_the_middle_of_a_run_is_not_written_into(tmp_path):
    mounted, lost = tmp_path / "out", tmp_path / "lost"
    async with FolderSink(mounted) as sink:
        await sink.write_batch(batch(a=b"1"))
        mounted.rename(lost)
        mounted.mkdir()
        with pytest.raises(Fatal, match="it is another folder than at the beginning"):
            await sink.write_batch(batch(b=b"1"))
    assert not any(mounted.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["open", "write", "rename", "fsync"])
async def test_a_disk_that_takes_no_more_is_fatal_and_leaves_no_half_file(tmp_path, monkeypatch, code, call):
    async with FolderSink(tmp_path, setting="DATA_OUTBOUND_DIR") as sink:
        await sink.write_batch(batch(a=b"old"))
        real, calls = getattr(os, call), []

        def failing(*args, **kwargs):
            if call == "open" and not args[1] & os.O_CREAT:
                return real(*args, **kwargs)
            calls.append(args)
            if len(calls) == (1 if call == "fsync" else 2):
                raise OSError(code, os.strerror(code))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, call, failing)
        with pytest.raises(Fatal, match="DATA_OUTBOUND_DIR"):
            await sink.write_batch(batch(a=b"new", b=b"new"))
        monkeypatch.undo()
    for path in tmp_path.iterdir():
        assert path.name in ("a.json", "b.json")
        assert path.read_bytes() in (b"old", b"new")


async def test_a_full_disk_that_takes_a_part_first_leaves_whole_files_only(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:3]))
    async with FolderSink(tmp_path) as sink:
        await sink.write_batch(batch(a=b"0123456789"))
    assert (tmp_path / "a.json").read_bytes() == b"0123456789"


async def test_where_the_system_has_no_syncfs_each_file_is_synced(tmp_path, monkeypatch):
    synced, real = [], os.fsync
    monkeypatch.setattr(disk, "_SYNCFS", None)
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), real(file)))
    async with FolderSink(tmp_path) as sink:
        await sink.write_batch(batch(a=b"1", b=b"2"))
    assert len(synced) == 3


async def test_files_are_made_durable_before_they_have_their_names(tmp_path, monkeypatch):
    events, rename = [], os.rename
    monkeypatch.setattr(disk, "_SYNCFS", lambda folder: events.append("sync") or 0)
    monkeypatch.setattr(os, "rename", lambda *args, **kw: (events.append("rename"), rename(*args, **kw)))
    async with FolderSink(tmp_path) as sink:
        await sink.write_batch(batch(a=b"1", b=b"2"))
    assert events == ["sync", "rename", "rename"]


@pytest.mark.parametrize(("durability", "expected"), [("file", ["fsync"] * 2), ("batch", ["sync"]), ("none", [])])
async def test_how_durable_files_are_before_they_have_their_names(tmp_path, monkeypatch, durability, expected):
    events, rename, fsync = [], os.rename, os.fsync
    monkeypatch.setattr(disk, "_SYNCFS", lambda folder: events.append("sync") or 0)
    monkeypatch.setattr(os, "fsync", lambda file: (events.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "rename", lambda *args, **kw: (events.append("rename"), rename(*args, **kw)))
    async with FolderSink(tmp_path, durability=durability) as sink:
        await sink.write_batch(batch(a=b"1", b=b"2"))
    folder = [] if durability == "none" else ["fsync"]
    assert events == [*expected, "rename", "rename", *folder]
    assert (tmp_path / "a.json").read_bytes() == b"1"


async def test_a_file_in_place_of_the_folder_is_fatal(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fatal, match="DATA_OUTBOUND_DIR"):
        await FolderSink(tmp_path / "file", setting="DATA_OUTBOUND_DIR").open()
