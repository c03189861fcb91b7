"""The inbound folder: what is read, in which order, and what cannot be."""

import asyncio
import gzip
import os
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataflow.messages import Empty, Envelope, Fate, Unreadable
from pipeline.disk import in_thread
from pipeline.errors import Fatal
from pipeline.translation import status_order
from pipeline.transports.folder import JSON_FILES, FolderOptions, FolderSource, json_files
from pipeline.transports.folder import settled as settled_module
from pipeline.transports.folder.files import list_files, look_again, open_file, place_of
from pipeline.transports.folder.records import MAX_FILE, MAX_RECORD
from pipeline.transports.folder.unread import look_for_unread
from tests.places import deliver_all, place

OLD = 1_760_000_000


def put(folder, name, data, age=0):
    path = folder / name
    path.write_bytes(data)
    os.utime(path, (OLD + age, OLD + age))
    return path


async def everything(folder, **options):
    source = FolderSource(folder, **options)
    async with source:
        return [item async for group in source.read() for item in group]


def seen(items):
    return [(str(item.locator), item.raw) for item in items if isinstance(item, Envelope)]


def broken(items):
    return {str(item.locator): item for item in items if isinstance(item, Unreadable)}


async def test_an_object_an_array_and_lines(tmp_path):
    put(tmp_path, "a.json", b' {"id": 1}\n', 1)
    put(tmp_path, "b.json", b'[{"id": 2}, 3 ,{"id":4}]', 2)
    put(tmp_path, "c.ndjson", b'{"id": 5}\n\n{"id": 6}\r\n{"id": 7', 3)
    put(tmp_path, "d.json", b'{"id": 8}\n{"id": 9}\n', 4)
    put(tmp_path, "e.jsonl.gz", gzip.compress(b'{"id": 10}\n'), 5)
    put(tmp_path, "f.json.gz", gzip.compress(b'[{"id": 11}]'), 6)
    put(tmp_path, "notes.txt", b"not ours", 7)
    put(tmp_path, "g.json", b"[]", 8)
    assert seen(await everything(tmp_path)) == [
        ("a.json", b' {"id": 1}\n'),
        ("b.json[0]", b'{"id": 2}'),
        ("b.json[1]", b"3"),
        ("b.json[2]", b'{"id":4}'),
        ("c.ndjson:1", b'{"id": 5}'),
        ("c.ndjson:3", b'{"id": 6}'),
        ("c.ndjson:4", b'{"id": 7'),
        ("d.json:1", b'{"id": 8}'),
        ("d.json:2", b'{"id": 9}'),
        ("e.jsonl.gz:1", b'{"id": 10}'),
        ("f.json.gz[0]", b'{"id": 11}'),
    ]


async def test_the_case_of_an_ending_does_not_matter(tmp_path):
    put(tmp_path, "A.JSON", b'{"id": 1}')
    put(tmp_path, "b.Ndjson", b'{"id": 2}\n', 1)
    put(tmp_path, "c.json.GZ", gzip.compress(b'[{"id": 3}]'), 2)
    put(tmp_path, "D.JSONL.gz", gzip.compress(b'{"id": 4}'), 3)
    put(tmp_path, ".JSON", b'{"id": 5}')
    assert [locator for locator, _ in seen(await everything(tmp_path))] == [
        "A.JSON",
        "b.Ndjson:1",
        "c.json.GZ[0]",
        "D.JSONL.gz:1",
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\r\r\n"])
@pytest.mark.parametrize("name", ["a.ndjson", "a.json"])
async def test_a_line_ends_in_lf_crlf_or_cr(tmp_path, name, end):
    put(tmp_path, name, b'{"id": 1}' + end + b'{"id": 2}' + end + end + b'{"id": 3}' + end)
    assert seen(await everything(tmp_path)) == [
        (f"{name}:1", b'{"id": 1}'),
        (f"{name}:2", b'{"id": 2}'),
        (f"{name}:4", b'{"id": 3}'),
    ]


async def test_a_pretty_printed_object_may_have_any_line_ends_and_a_mark(tmp_path):
    put(tmp_path, "a.json", b'\xef\xbb\xbf{\r "id": 1\r}\r')
    put(tmp_path, "b.json", b'\xef\xbb\xbf [{"id": 2}]', 1)
    put(tmp_path, "c.ndjson", b'\xef\xbb\xbf{"id": 3}\r{"id": 4}', 2)
    put(tmp_path, "d.json", b'\xef\xbb\xbf\n{"id": 5}\n{"id": 6}\n', 3)
    found = seen(await everything(tmp_path))
    assert [locator for locator, _ in found] == [
        "a.json",
        "b.json[0]",
        "c.ndjson:1",
        "c.ndjson:2",
        "d.json:2",
        "d.json:3",
    ]
    assert found[2][1].startswith(b"\xef\xbb\xbf")


ORDER = b'{"id": 1, "status": "NEW", "createdAt": "2026-10-01"}'


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.json", b"", "empty"),
        ("a.ndjson", b"", "empty"),
        ("a.json", b"\xef\xbb\xbf\r\n \n", "empty"),
        ("a.jsonl", b"\r\r \n\n", "empty"),
        ("a.jsonl", b"\xef\xbb\xbf", "empty"),
        ("a.json", b"\0" * 300_000, "NUL bytes"),
        ("a.ndjson", b"\0" * 4096, "NUL bytes"),
        ("a.json", ORDER.decode().encode("utf-16"), "this is UTF-16"),
        ("a.json", ORDER.decode().encode("utf-16-le"), "this is UTF-16"),
        ("a.ndjson", (ORDER + b"\n" + ORDER).decode().encode("utf-16-be"), "this is UTF-16"),
        ("a.ndjson", ORDER.decode().encode("utf-32"), "this is UTF-32"),
        ("a.json", ORDER.decode().encode("utf-32-be"), "this is UTF-32"),
        ("a.json", gzip.compress(ORDER, mtime=0), "this is gzip data: give its name the ending .gz"),
        ("a.ndjson", b"PK\x03\x04" + b"x" * 9, "workbook"),
        ("a.json", b'{"items": [%s], "total": 1}' % ORDER, r"in $.items: write those alone, as an array"),
        ("a.json", b'{"d": {"results": [%s]}}' % ORDER, r"in $.d.results"),
        ("a.json", b'[{"id": 1}, {"id": ]', "not JSON"),
    ],
)
async def test_a_file_that_is_not_understood_is_one_letter_with_its_bytes(tmp_path, name, data, why):
    put(tmp_path, name, data)
    (item,) = await everything(tmp_path, form=json_files((status_order.LAYOUT,)))
    assert isinstance(item, Unreadable)
    assert (str(item.locator), item.raw) == (name, data)
    assert why in str(item.reasons[0])


async def test_an_empty_list_is_understood(tmp_path):
    for number, data in enumerate([b"[]", b" [ ] \n", b"\xef\xbb\xbf[]"]):
        put(tmp_path, f"{number}.json", data)
    assert await everything(tmp_path) == [Empty(place(f"{number}.json")) for number in range(3)]


async def test_an_order_with_objects_in_it_is_an_order(tmp_path):
    data = b'{"id": 1, "lines": [{"id": 2, "status": "NEW"}]}'
    put(tmp_path, "a.json", data)
    assert seen(await everything(tmp_path, form=json_files((status_order.LAYOUT,)))) == [("a.json", data)]


async def test_what_is_too_large_for_a_letter_is_told_without_its_bytes(tmp_path):
    put(tmp_path, "a.ndjson", b"\xff\xfe" + b"x\0" * MAX_RECORD)
    (item,) = await everything(tmp_path)
    assert (str(item.locator), item.raw) == ("a.ndjson", b"")


def test_names_that_are_no_utf_8_are_listed_and_read(tmp_path):
    name = b"caf\xe9.json"
    put(tmp_path, os.fsdecode(name), b'{"id": 1}')
    put(tmp_path, os.fsdecode(b"caf\xe9.t\xe9xt"), b"")
    (found,) = list_files(tmp_path, JSON_FILES)
    assert os.fsencode(found.name) == name
    assert look_again(tmp_path, found) == found
    within = os.open(tmp_path, os.O_RDONLY)
    opened = open_file(tmp_path, found, within)
    assert [part.raw for part in opened.parts(JSON_FILES)] == [b'{"id": 1}']
    os.close(within)
    assert "1 .t\\udce9xt" in str(look_for_unread(tmp_path, JSON_FILES))


async def test_what_nobody_reads_is_counted_and_told_once_a_run(tmp_path, log):
    assert not look_for_unread(tmp_path / "none", JSON_FILES)
    for name in (
        "a.json",
        "b.JSON.gz",
        ".hidden",
        ".keep.txt",
        "c.txt",
        "d.TXT",
        "e.csv.bak",
        "f.json.tmp",
        "g",
        "h.csv.gz",
    ):
        put(tmp_path, name, b"")
    for name in ("archive", "sub", "folder.json"):
        (tmp_path / name).mkdir()
    unread = look_for_unread(tmp_path, JSON_FILES)
    assert unread.counts == {".txt": 2, ".bak": 1, ".tmp": 1, "without an ending": 1, ".csv.gz": 1, "folders": 1}
    says = (
        "7 that nobody reads: 2 .txt, 1 .bak, 1 .csv.gz, 1 .tmp, 1 folders, ...; read are .json, .ndjson, .jsonl, "
        "plain or .gz"
    )
    assert str(unread) == says
    await everything(tmp_path, setting="DATA_INBOUND_DIR", quiet_seconds=0)
    assert log == [f"WARNING the folder {tmp_path} (DATA_INBOUND_DIR): {says}"]
    options = FolderOptions(inbound_dir=tmp_path, outbound_dir=tmp_path / "out")
    (found,) = [one for one in options.check(str) if one.state == "warning"]
    assert (found.name, found.says) == ("other files", f"{tmp_path}: {says}")


async def test_files_come_in_the_order_of_time_and_name(tmp_path):
    for name, age in [("b.json", 1), ("a.json", 2), ("d.json", 2), ("c.json", 0)]:
        put(tmp_path, name, b"{}", age)
    assert [locator for locator, _ in seen(await everything(tmp_path))] == ["c.json", "b.json", "a.json", "d.json"]


async def test_groups_are_bounded_by_number_and_by_bytes(tmp_path):
    put(tmp_path, "many.ndjson", b"{}\n" * 2203)
    put(tmp_path, "big.ndjson", b"\n".join(b'{"a": "%s"}' % (b"x" * 3_000_000) for _ in range(6)), 1)
    source = FolderSource(tmp_path)
    async with source:
        groups = [len(group) async for group in source.read()]
    assert groups[:2] == [1000, 1000]
    assert sum(groups) == 2209
    assert len(groups) == 4


async def test_a_line_longer_than_a_block_is_one_record(tmp_path):
    line = b'{"a": "%s"}' % (b"x" * 700_000)
    put(tmp_path, "a.ndjson", line + b"\n" + line)
    assert [len(raw) for _, raw in seen(await everything(tmp_path))] == [len(line), len(line)]


async def test_a_malformed_array_is_one_dead_letter_with_its_bytes_and_position(tmp_path):
    put(tmp_path, "a.json", b'[{"id": 1}, {"id": ]')
    (item,) = (await everything(tmp_path),)[0]
    assert (str(item.locator), item.raw, item.reasons[0].offset) == ("a.json", b'[{"id": 1}, {"id": ]', 19)


async def test_a_pretty_printed_object_with_rubbish_behind_it_is_no_file_of_lines(tmp_path):
    put(tmp_path, "a.json", b'{\n  "id": 1\n}\n{"id": 2}\n')
    assert [locator for locator, _ in seen(await everything(tmp_path))] == ["a.json"]


async def test_what_is_no_file_is_told_and_left(tmp_path):
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(tmp_path, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket.json")
        os.close(here)
        for name in ("folder.json", "pipe.json"):
            os.utime(tmp_path / name, (OLD, OLD))
        os.utime(tmp_path / "socket.json", (OLD, OLD))
        items = broken(await everything(tmp_path))
    assert set(items) == {"folder.json", "pipe.json", "socket.json"}
    assert all(item.raw == b"" for item in items.values())
    assert "not a file" in str(items["pipe.json"].reasons[0])
    assert (tmp_path / "pipe.json").exists()


async def test_links_stay_in_the_folder(tmp_path):
    inbound = tmp_path / "inbound"
    inbound.mkdir()
    put(tmp_path, "secret.json", b'{"id": 1}')
    put(inbound, "real.json", b'{"id": 2}')
    (inbound / "out.json").symlink_to(tmp_path / "secret.json")
    (inbound / "in.json").symlink_to(inbound / "real.json")
    (inbound / "nowhere.json").symlink_to(tmp_path / "nothing.json")
    items = await everything(inbound, quiet_seconds=0.01)
    assert sorted(locator for locator, _ in seen(items)) == ["in.json", "real.json"]
    told = broken(items)
    assert "link out of the folder" in str(told["out.json"].reasons[0])
    assert "No such file" in str(told["nowhere.json"].reasons[0])


async def test_a_file_that_may_not_be_read_is_told_without_bytes(tmp_path, monkeypatch):
    put(tmp_path, "a.json", b'{"id": 1}')
    put(tmp_path, "b.json", b'{"id": 2}', 1)
    real = os.open

    def refusing(path, *args, **kwargs):
        if str(path).endswith("a.json"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refusing)
    items = await everything(tmp_path)
    assert seen(items) == [("b.json", b'{"id": 2}')]
    assert (broken(items)["a.json"].raw, str(broken(items)["a.json"].reasons[0])) == (
        b"",
        "cannot be read: Permission denied; set it right or move it away",
    )


async def test_records_and_files_that_are_too_large_are_told_without_bytes(tmp_path):
    put(tmp_path, "a.json", b'{"a": "%s"}' % (b"x" * MAX_RECORD))
    put(tmp_path, "b.ndjson", b'{"a": "%s"}\n{"id": 1}\n' % (b"x" * MAX_RECORD), 1)
    put(tmp_path, "c.json.gz", gzip.compress(b"[" + b" " * MAX_FILE + b"]", 1), 2)
    items = await everything(tmp_path)
    assert seen(items) == [("b.ndjson:2", b'{"id": 1}')]
    told = broken(items)
    assert {locator: item.raw for locator, item in told.items()} == {"a.json": b"", "b.ndjson:1": b"", "c.json.gz": b""}
    assert "more than 8 MB" in str(told["a.json"].reasons[0])
    assert "more than 64 MB" in str(told["c.json.gz"].reasons[0])


async def test_of_a_damaged_gzip_the_good_lines_pass(tmp_path):
    packed = gzip.compress(
        b"".join(b'{"id": %d, "x": "%s"}\n' % (n, os.urandom(40).hex().encode()) for n in range(9999))
    )
    put(tmp_path, "cut.ndjson.gz", packed[: len(packed) // 2])
    put(tmp_path, "none.json.gz", b"no gzip", 1)
    items = await everything(tmp_path)
    good = seen(items)
    assert len(good) > 1000
    assert set(broken(items)) == {f"cut.ndjson.gz:{len(good) + 1}", "none.json.gz"}


async def test_a_file_that_is_being_written_is_looked_at_again(tmp_path):
    (tmp_path / "young.json").write_bytes(b'{"id": 1}')
    put(tmp_path, "future.json", b'{"id": 2}')
    os.utime(tmp_path / "future.json", (time.time() + 9999,) * 2)
    put(tmp_path, "old.json", b'{"id": 3}')
    items = await everything(tmp_path, quiet_seconds=0.05)
    assert [locator for locator, _ in seen(items)] == ["old.json", "young.json", "future.json"]


async def test_one_that_still_changes_is_left_for_the_next_run(tmp_path, log):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"id":')
    young = path.stat().st_mtime

    def clock():
        """Asked once the folder is listed: its file is young, and written to."""
        path.write_bytes(b'{"id": 1}')
        return young

    async with FolderSource(tmp_path, quiet_seconds=0.01, clock=clock) as source:
        assert await anext(source.read(), None) is None
    assert log == ["INFO a.json is still being written: left for the next run"]


async def test_a_file_that_is_gone_since_the_folder_was_listed_is_nobodys_fault(tmp_path, log):
    put(tmp_path, "a.json", b"{}")
    put(tmp_path, "b.json", b"{}", 1)
    source = FolderSource(tmp_path)
    listed = source._items

    def gone(files):
        (tmp_path / "a.json").unlink()
        return listed(files)

    source._items = gone
    async with source:
        assert [str(item.locator) async for group in source.read() for item in group] == ["b.json"]
    assert "INFO a.json is gone since the folder was listed" in log


async def test_a_folder_that_is_gone_since_it_was_opened_is_fatal(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    put(folder, "a.json", b"{}")
    source = FolderSource(folder)
    listed = source._items

    def gone(files):
        folder.rename(tmp_path / "elsewhere")
        return listed(files)

    source._items = gone
    with pytest.raises(Fatal, match="cannot read the folder"):
        async with source:
            [group async for group in source.read()]


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=6))
def test_places_are_utf_8_and_two_names_never_have_one(names):
    names = {os.fsdecode(name) for name in names} | {"a%25E9", "a%E9", os.fsdecode(b"a\xe9"), "a%2525E9"}
    places = {name: place_of(name) for name in names}
    assert len(set(places.values())) == len(names)
    for name, where in places.items():
        assert where.encode()
        assert where == name or "%" in where


async def test_a_name_that_is_no_utf_8_is_read_like_any(tmp_path):
    put(tmp_path, os.fsdecode(b"caf\xe9.json"), b"{}")
    assert seen(await everything(tmp_path)) == [("caf%E9.json", b"{}")]


async def test_the_stamp_changes_when_somebody_touches_the_file(tmp_path):
    path = put(tmp_path, "a.json", b"{}")
    (first,) = await everything(tmp_path)
    (same,) = await everything(tmp_path)
    os.utime(path, (OLD + 5, OLD + 5))
    (touched,) = await everything(tmp_path)
    assert first.stamp == same.stamp != touched.stamp


async def test_a_folder_that_is_missing_holds_nothing_and_one_that_cannot_be_read_is_fatal(tmp_path, log):
    assert await everything(tmp_path / "a" / "b") == []
    assert [line for line in log if "nothing to read" in line]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fatal, match="DATA_INBOUND_DIR"):
        await everything(tmp_path / "file", setting="DATA_INBOUND_DIR")


class TestAfter:
    async def settle(self, folder, after, *, dead=(), left=(), **options):
        source = FolderSource(folder, after=after, **options)
        fates = {place(text): Fate.DEAD for text in dead} | {place(text): Fate.DEFERRED for text in left}
        async with source:
            async for group in source.read():
                await source.settle({item.locator: fates.get(item.locator, Fate.DELIVERED) for item in group})
            assert source.pending == 0
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    async def test_keep_archive_and_delete(self, tmp_path):
        put(tmp_path, "a.json", b"{}")
        assert await self.settle(tmp_path, "keep") == ["a.json"]
        assert await self.settle(tmp_path, "archive") == ["archive/a.json"]
        put(tmp_path, "a.json", b"[1]")
        assert await self.settle(tmp_path, "archive") == ["archive/a.json", "archive/a.json.1"]
        put(tmp_path, "a.json", b"{}")
        assert await self.settle(tmp_path, "delete") == ["archive/a.json", "archive/a.json.1"]

    async def test_a_file_goes_with_its_last_record(self, tmp_path):
        put(tmp_path, "a.json", b"[1, 2]")
        put(tmp_path, "b.ndjson", b"{}\n" * 1200, 1)
        assert await self.settle(tmp_path, "delete", left=["a.json[1]", "b.ndjson:3"]) == ["a.json", "b.ndjson"]
        assert await self.settle(tmp_path, "delete", dead=["a.json[1]"]) == []

    async def test_a_file_whose_bytes_no_letter_holds_stays(self, tmp_path):
        put(tmp_path, "a.ndjson", b'{"id": 1}\n"%s"\n' % (b"x" * MAX_RECORD))
        assert await self.settle(tmp_path, "delete", dead=["a.ndjson:2"]) == ["a.ndjson"]

    async def test_a_file_of_which_the_rest_cannot_be_unzipped_stays(self, tmp_path):
        lines = b"".join(b'{"id": %d, "x": "%s"}\n' % (n, os.urandom(40).hex().encode()) for n in range(9999))
        packed = gzip.compress(lines)
        put(tmp_path, "cut.ndjson.gz", packed[: len(packed) // 2])
        assert await self.settle(tmp_path, "delete") == ["cut.ndjson.gz"]

    @pytest.mark.parametrize(
        "body",
        [
            b'{"id": 1',
            b"\0" * 4096,
            b"",
            b"id,status\r\n",
            b"[1, 2",
            b'{"id": 1} {"id": 2}',
            b"{\0}\0",
            b"\xef\xbb\xbf5",
        ],
    )
    async def test_a_file_that_was_not_understood_stays_though_a_letter_holds_its_bytes(self, tmp_path, body):
        put(tmp_path, "a.json", body)
        assert await self.settle(tmp_path, "delete", dead=["a.json"]) == ["a.json"]

    @pytest.mark.parametrize("fate", [Fate.HELD, Fate.CLOSED, Fate.DEAD, Fate.SKIPPED])
    async def test_whatever_became_of_its_records_a_file_is_put_away_with_the_last(self, tmp_path, fate):
        put(tmp_path, "a.json", b"[1, 2]")
        source = FolderSource(tmp_path, after="archive")
        async with source:
            async for group in source.read():
                one, two = (item.locator for item in group)
                await source.settle({one: Fate.DELIVERED, two: fate})
        assert [path.name for path in (tmp_path / "archive").iterdir()] == ["a.json"]

    async def test_a_file_without_any_record_is_told_and_put_away(self, tmp_path):
        put(tmp_path, "a.json", b"[]")
        assert await everything(tmp_path) == [Empty(place("a.json"))]
        assert await self.settle(tmp_path, "archive") == ["archive/a.json"]

    async def test_nothing_is_put_away_by_reading_alone(self, tmp_path):
        put(tmp_path, "a.json", b"[]")
        put(tmp_path, "b.json", b"{}")
        await everything(tmp_path, after="delete")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]

    async def test_one_that_replaced_it_while_it_was_put_away_is_never_taken_unread(self, tmp_path, monkeypatch):
        path = put(tmp_path, "a.json", b'{"id": 1}')
        real, looked = settled_module._is_same, []

        def replaced(now, read):
            looked.append(path)
            if len(looked) == 1:
                path.unlink()
                put(tmp_path, "a.json", b'{"id": 2}', 5)
                return True
            return real(now, read)

        monkeypatch.setattr(settled_module, "_is_same", replaced)
        assert await self.settle(tmp_path, "delete") == ["a.json"]
        assert path.read_bytes() == b'{"id": 2}'

    async def test_a_putting_away_that_was_broken_off_is_taken_up_by_the_next_run(self, tmp_path, monkeypatch):
        put(tmp_path, "a.json", b'{"id": 1}')
        monkeypatch.setattr(settled_module, "_archive", lambda *_: os._exit(9))
        child = os.fork()
        if child == 0:
            asyncio.set_event_loop(asyncio.new_event_loop())
            asyncio.get_event_loop().run_until_complete(self.settle(tmp_path, "archive"))
        assert await in_thread(os.waitpid, child, 0) == (child, 9 << 8)
        assert [path.name.startswith(".~aside~") for path in tmp_path.iterdir() if path.is_file()] == [True]
        monkeypatch.undo()
        assert await self.settle(tmp_path, "archive") == ["archive/a.json"]

    async def test_a_file_whose_putting_away_was_broken_off_is_read_under_its_own_name_as_far_as_that_is_free(
        self, tmp_path
    ):
        for number, name in enumerate(("a.json", ".~aside~01~b.json", ".~aside~02~b.json", ".~aside~03~a.json")):
            put(tmp_path, name, b'{"id": %d}' % number, number)
        source = FolderSource(tmp_path, after="delete")
        async with source:
            read = [item async for group in source.read() for item in group]
            await deliver_all(source, read)
        places = [str(item.locator) for item in read]
        assert places == ["a.json", "b.json", ".~aside~02~b.json", ".~aside~03~a.json"]
        assert [item.arrival[1] for item in read] == places
        assert list(tmp_path.iterdir()) == []

    async def test_more_copies_of_a_name_than_the_archive_takes_are_told_and_it_stays(self, tmp_path, monkeypatch, log):
        monkeypatch.setattr(settled_module, "COPIES", 2)
        for _ in range(3):
            put(tmp_path, "a.json", b"{}")
            left = await self.settle(tmp_path, "archive")
        assert left == ["a.json", "archive/a.json", "archive/a.json.1"]
        assert "holds 2 copies of this name" in "\n".join(log)

    async def test_a_file_that_is_written_again_before_its_turn_is_left_and_stays(self, tmp_path):
        put(tmp_path, "a.json", b"{}")
        path = put(tmp_path, "b.json", b"{}", 1)
        source = FolderSource(tmp_path, after="delete")
        listed = source._items

        def written_again(files):
            put(tmp_path, "b.json", b'{"id": 2}', 2)
            return listed(files)

        source._items = written_again
        async with source:
            read = [item async for group in source.read() for item in group]
            await deliver_all(source, read)
        assert (seen(read), path.read_bytes()) == ([("a.json", b"{}")], b'{"id": 2}')

    async def test_a_file_that_has_changed_since_stays(self, tmp_path):
        path = put(tmp_path, "a.json", b"{}")
        source = FolderSource(tmp_path, after="delete")
        async with source:
            async for group in source.read():
                path.write_bytes(b'{"id": 2}')
                await deliver_all(source, group)
        assert path.read_bytes() == b'{"id": 2}'
