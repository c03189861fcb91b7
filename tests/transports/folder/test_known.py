"""The index of known files: what is not read again, and what makes it be read."""

import msgspec
import pytest

from pipeline.dataflow.messages import Envelope, Fate, Spared
from pipeline.dataflow.ports import NOTHING_IS_SURE
from pipeline.transports.folder import FolderSource, KnownFiles, known
from tests.places import Vouching, place
from tests.transports.folder.test_source import put


@pytest.fixture
def witness():
    return Vouching()


@pytest.fixture
def run(tmp_path, witness):
    """Reads the folder and delivers all but ``dead`` and ``left``; returns the locators and how many were spared."""
    folder = tmp_path / "in"
    folder.mkdir()

    async def run(*, dead=(), left=(), understood="as ever", by=witness, after="keep"):
        index = KnownFiles(tmp_path / "state" / "erp.files", understood, by)
        source = FolderSource(folder, known=index, after=after)
        fates = {place(text): Fate.DEAD for text in dead} | {place(text): Fate.DEFERRED for text in left}
        locators, spared = [], 0
        async with source:
            async for group in source.read():
                read = [item for item in group if not isinstance(item, Spared)]
                spared += sum(item.count for item in group if isinstance(item, Spared))
                await source.settle({item.locator: fates.get(item.locator, Fate.DELIVERED) for item in read})
                locators += [str(item.locator) for item in read if isinstance(item, Envelope)]
        return sorted(locators), spared

    run.folder, run.index = folder, tmp_path / "state" / "erp.files"
    return run


async def test_what_is_delivered_is_not_read_again_and_an_idle_run_writes_nothing(run):
    put(run.folder, "a.json", b"{}", 1)
    put(run.folder, "b.json", b"[1, 2]", 2)
    put(run.folder, "empty.json", b"[]", 3)
    assert await run() == (["a.json", "b.json[0]", "b.json[1]"], 0)
    kept = run.index.stat()
    assert await run() == ([], 3)
    assert run.index.stat() == kept
    assert kept.st_mode & 0o777 == 0o600


async def test_a_known_file_is_not_even_opened(run, monkeypatch):
    put(run.folder, "a.json", b"{}")
    await run()
    monkeypatch.setattr("pipeline.transports.folder.source.open_file", None)
    assert await run() == ([], 1)


async def test_only_the_new_and_the_touched_are_read(run):
    for name in ("a.json", "b.json", "c.json"):
        put(run.folder, name, b"{}")
    await run()
    put(run.folder, "b.json", b"[7]")
    put(run.folder, "d.json", b"{}")
    (run.folder / "c.json").chmod(0o640)
    assert await run() == (["b.json[0]", "c.json", "d.json"], 1)
    assert await run() == ([], 4)


async def test_a_file_that_went_is_forgotten(run):
    put(run.folder, "a.json", b"{}")
    put(run.folder, "b.json", b"{}")
    await run()
    (run.folder / "a.json").unlink()
    assert await run() == ([], 1)
    kept = run.index.stat()
    assert await run() == ([], 1)
    assert run.index.stat() == kept


async def test_a_file_with_a_record_that_is_dead_or_left_is_read_again(run):
    put(run.folder, "dead.json", b"[1, 2]")
    put(run.folder, "left.json", b"[1, 2]")
    put(run.folder, "whole.json", b"[1, 2]")
    await run(dead=["dead.json[1]"], left=["left.json[0]"])
    assert await run() == (["dead.json[0]", "dead.json[1]", "left.json[0]", "left.json[1]"], 1)
    assert await run() == ([], 3)


async def test_a_known_file_that_died_since_leaves_the_index_and_idle_runs_write_nothing(run):
    put(run.folder, "a.json", b"{}")
    put(run.folder, "b.json", b"{}")
    await run()
    put(run.folder, "a.json", b"[1]")
    await run(dead=["a.json[0]"])
    kept = run.index.stat()
    assert await run(dead=["a.json[0]"]) == (["a.json[0]"], 1)
    assert run.index.stat() == kept


async def test_a_file_is_read_again_when_one_of_its_records_is_not_known_any_more(run, witness):
    put(run.folder, "a.json", b"[1, 2, 3]")
    put(run.folder, "b.json", b"[1, 2, 3]")
    await run()
    witness.lost = {"a.json[1]"}
    assert await run() == (["a.json[0]", "a.json[1]", "a.json[2]"], 1)
    witness.lost = set()
    assert await run() == ([], 2)


async def test_everything_is_read_where_nobody_vouches_or_files_are_understood_anew(run):
    put(run.folder, "a.json", b"{}")
    await run()
    assert await run(understood="otherwise") == (["a.json"], 0)
    assert await run(understood="otherwise") == ([], 1)
    assert await run(by=NOTHING_IS_SURE) == (["a.json"], 0)


async def test_a_file_with_a_record_of_which_there_is_no_proof_is_read_again(run, witness):
    put(run.folder, "a.json", b"[1, 2]")
    witness.unproven = {"a.json[1]"}
    await run()
    assert await run() == (["a.json[0]", "a.json[1]"], 0)


@pytest.fixture
def packing(monkeypatch):
    """A file of three records has a pack of two."""
    monkeypatch.setattr(known, "PACK", 2)


async def test_of_a_file_of_many_records_each_counts(run, witness, packing):
    put(run.folder, "a.json", b"[1, 2, 3]")
    put(run.folder, "b.json", b"[1, 2, 3, 4]")
    await run()
    kept = run.index.stat()
    assert await run() == ([], 2)
    assert run.index.stat() == kept, "an idle run writes nothing"
    for lost in ("a.json[0]", "a.json[1]", "a.json[2]"):
        witness.lost = {lost}
        assert await run() == (["a.json[0]", "a.json[1]", "a.json[2]"], 1)
    witness.lost = set()
    assert await run() == ([], 2)


async def test_proofs_that_are_renewed_are_packed_anew(run, witness, packing, monkeypatch):
    put(run.folder, "a.json", b"[1, 2, 3]")
    await run()

    async def renewed(proofs):
        return [proof if proof.endswith(b"!") else proof + b"!" for proof in proofs]

    monkeypatch.setattr(witness, "hold", renewed)
    put(run.folder, "b.json", b"{}")  # something to write the index for
    assert await run() == (["b.json"], 1)
    asked = []

    async def asks(proofs):
        asked.extend(proofs)
        return proofs

    monkeypatch.setattr(witness, "hold", asks)
    assert await run() == ([], 2)
    assert sorted(asked) == [b"a.json[0]!", b"a.json[1]!", b"a.json[2]!", b"b.json"]


async def test_a_million_records_of_a_file_take_little(run, monkeypatch):
    monkeypatch.setattr(known, "PACK", 1000)
    put(run.folder, "a.json", b"[" + b", ".join([b"1"] * 20_000) + b"]")
    await run()
    assert run.index.stat().st_size < 20_000 * 8
    assert await run() == ([], 1)


@pytest.mark.parametrize("damage", [lambda pack: pack[:-5], lambda pack: b"", lambda pack: b"y" + pack[1:]])
async def test_a_damaged_pack_is_no_proof(run, packing, damage):
    put(run.folder, "a.json", b"[1, 2]")
    put(run.folder, "b.json", b"{}")
    await run()
    understood, files, version = msgspec.msgpack.decode(run.index.read_bytes())
    mark, loose, [pack] = files["a.json"]
    files["a.json"] = mark, loose, [damage(pack)]
    run.index.write_bytes(msgspec.msgpack.encode((understood, files, version)))
    assert await run() == (["a.json[0]", "a.json[1]"], 1)
    assert await run() == ([], 2)


async def test_files_that_are_put_away_are_not_remembered(run):
    put(run.folder, "a.json", b"{}")
    await run(after="archive")
    assert not run.index.exists()


@pytest.mark.parametrize("torn", [b"", b"\x93\xa1x", b"\xff" * 40])
async def test_a_damaged_index_is_told_and_everything_is_read(run, torn, log):
    put(run.folder, "a.json", b"{}")
    await run()
    run.index.write_bytes(torn)
    assert await run() == (["a.json"], 0)
    assert "erp.files cannot be used: all inbound files are read again" in "\n".join(log)
    assert await run() == ([], 1)


async def test_an_index_that_cannot_be_written_is_told_and_stops_nothing(run, log):
    put(run.folder, "a.json", b"{}")
    run.index.parent.write_bytes(b"")
    assert await run() == (["a.json"], 0)
    assert "erp.files cannot be written" in "\n".join(log)
