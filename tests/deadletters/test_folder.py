"""The dead-letter folder: written, met again, held back, resolved; nothing is ever thrown away."""

import errno
import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import DeadLetter, Envelope, Outcome
from pipeline.deadletters import DeadLetterFolder, drawer, read_letters
from pipeline.deadletters.letter import as_json, name_of
from pipeline.disk import LEFTOVER
from pipeline.errors import Fatal, Reason
from tests.places import place

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def identify(raw):
    try:
        return msgspec.json.decode(raw).get("id")
    except (ValueError, AttributeError):
        return None


def folder(root):
    return DeadLetterFolder(root, flow="erp.inbound", client="erp", identify=identify)


def letter(locator="a.json", raw=b'{"id": 1}', *, at=NOON, stamp="s1", stage="validate", reasons=("bad",)):
    reasons = tuple(Reason(reason, "$.x", 3) for reason in reasons)
    return DeadLetter(
        flow="erp.inbound", stage=stage, locator=place(locator), reasons=reasons, at=at, raw=raw, stamp=stamp
    )


def shown(states):
    return {str(locator): state for locator, state in states.items()}


def item(locator="a.json", raw=b'{"id": 1}', stamp="s1", outcome=Outcome.REPEAT):
    return Envelope(outcome, place(locator), raw, stamp)


def letters(root):
    return [found for _, found in read_letters(root)]


async def test_what_is_not_recalled_may_be_closed_and_is_tried_again_should_it_come_again(tmp_path):
    async with folder(tmp_path) as dead:
        await dead.write([letter("a.json"), letter("b.json")])
        await dead.close_unseen()
    assert len(letters(tmp_path)) == 2
    async with folder(tmp_path) as dead:
        await dead.recall([item("a.json")])
        await dead.close_unseen()
        assert shown(await dead.recall([item("a.json"), item("b.json")])) == {"a.json": "open"}
    assert [found.locator for found in letters(tmp_path)] == ["a.json"]


async def test_a_letter_holds_all_that_is_known(tmp_path):
    async with folder(tmp_path) as dead:
        await dead.write([letter("b.ndjson:12"), letter("c.json[3]", b"\xff", reasons=("one", "two"))])
    line, element = letters(tmp_path)
    assert (line.flow, line.client, line.stage, line.locator) == ("erp.inbound", "erp", "validate", "b.ndjson:12")
    assert (line.file, line.line, line.element, line.id) == ("b.ndjson", 12, None, 1)
    assert (line.text, line.base64, line.first_seen, line.attempts) == ('{"id": 1}', None, NOON, 1)
    assert (element.file, element.element, element.id, element.raw) == ("c.json", 3, None, b"\xff")
    assert element.reasons == (Reason("one", "$.x", 3), Reason("two", "$.x", 3))


async def test_files_are_private(tmp_path):
    async with folder(tmp_path / "dead") as dead:
        await dead.write([letter()])
    (path,) = (tmp_path / "dead").rglob("*.json")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert path.name.startswith("a.json~")


async def test_the_same_failure_met_again_raises_attempts_in_the_same_file(tmp_path):
    for attempt in range(3):
        async with folder(tmp_path) as dead:
            await dead.write([letter(at=NOON + timedelta(hours=attempt), stamp=f"s{attempt}")])
    (found,) = letters(tmp_path)
    assert (found.attempts, found.first_seen, found.last_seen) == (3, NOON, NOON + timedelta(hours=2))
    assert found.stamp == "s2"


async def test_other_bytes_at_the_same_place_are_another_letter(tmp_path):
    async with folder(tmp_path) as dead:
        await dead.write([letter(), letter(raw=b"other")])
    assert len(letters(tmp_path)) == 2


async def test_what_is_dead_and_untouched_is_held_also_by_the_next_run(tmp_path):
    async with folder(tmp_path) as dead:
        assert shown(await dead.recall([item()])) == {}
        await dead.write([letter(), letter("nothing.json", b"")])
        assert shown(await dead.recall([item(), item("b.json")])) == {"a.json": "open"}
    async with folder(tmp_path) as dead:
        assert shown(await dead.recall([item(), item("nothing.json", b"")])) == {
            "a.json": "open",
            "nothing.json": "open",
        }
        assert shown(await dead.recall([item(stamp="touched"), item("nothing.json", b"", "readable now")])) == {}
        assert shown(await dead.recall([item(raw=b"mended")])) == {}


async def test_a_letter_that_somebody_removed_is_tried_again(tmp_path):
    async with folder(tmp_path) as dead:
        await dead.write([letter()])
        for path, _ in read_letters(tmp_path):
            path.unlink()
        assert shown(await dead.recall([item()])) == {}
        await dead.write([letter()])
    assert [found.attempts for found in letters(tmp_path)] == [1]


@pytest.mark.parametrize(
    ("dead_at", "raw", "delivered_at", "delivered", "resolved"),
    [
        ("a.json", b'{"id": 1}', "a.json", b'{"id": 1, "ok": true}', True),
        ("a.json", b'{"id": 1}', "a.json", b'{"id": "1"}', True),
        ("a.json", b'{"id": 1}', "a.json", b'{"id": 2}', False),
        ("a.json", b'{"id": 1}', "b.json", b'{"id": 1}', False),
        ("a.json", b"{", "a.json", b'{"id": 1}', True),
        ("a.json", b"[{", "a.json[7]", b'{"id": 1}', True),
        ("a.json", b"", "a.json:2", b'{"id": 1}', True),
        ("a.json", b'{"id": 1}', "a.json[0]", b'{"id": 1}', False),
        ("a.json[1]", b"{}", "a.json[0]", b'{"id": 1}', False),
        ("a.json[1]", b"{}", "a.json[1]", b'{"id": 1}', True),
    ],
)
async def test_it_is_resolved_when_the_same_place_and_order_go_through(
    tmp_path, dead_at, raw, delivered_at, delivered, resolved
):
    async with folder(tmp_path) as dead:
        await dead.write([letter(dead_at, raw)])
    async with folder(tmp_path) as dead:
        await dead.resolve([item("other.json"), item(delivered_at, delivered)])
    archive = tmp_path / "erp.inbound" / "resolved.jsonl"
    assert len(letters(tmp_path)) == (0 if resolved else 1)
    assert archive.exists() is resolved
    if resolved:
        line = msgspec.json.decode(archive.read_bytes())
        assert (line["locator"], line["firstSeen"], "resolvedAt" in line) == (dead_at, "2026-10-01T12:00:00.000Z", True)
        assert archive.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("elsewhere", ["b.json", "a.json[0]", "a.json:7"])
@pytest.mark.parametrize("outcome", Outcome)
async def test_a_letter_belongs_to_its_order_wherever_a_newer_record_of_it_comes_from(tmp_path, elsewhere, outcome):
    """What was known already tells nothing; and the place that died stays closed as long as nobody touches it."""
    is_new = outcome not in (Outcome.REPEAT, Outcome.STALE)
    async with folder(tmp_path) as dead:
        await dead.write([letter("a.json[3]", b'{"id": 7}'), letter("a.json[4]", b'{"id": 8}')])
        await dead.resolve([item(elsewhere, b'{"id": "7"}', outcome=outcome)])
    async with folder(tmp_path) as dead:
        held = shown(await dead.recall([item("a.json[3]", b'{"id": 7}')]))
        assert held == {"a.json[3]": "closed" if is_new else "open"}
        assert shown(await dead.recall([item("a.json[3]", b'{"id": 7}', "touched")])) == {}
    assert [found.id for found in letters(tmp_path)] == ([8] if is_new else [7, 8])


async def test_ids_that_look_like_places_are_not_taken_apart(tmp_path):
    places = [Locator("PO:12"), Locator("PO", ":12"), Locator("10#2"), Locator("x[3]")]
    async with folder(tmp_path) as dead:
        await dead.write([replace(letter(), locator=where, raw=b"{") for where in places[::2]])
        await dead.resolve([Envelope(Outcome.REPEAT, Locator("PO"), b"{}", "s1")])
    found = letters(tmp_path)
    assert [(one.file, one.line, one.element) for one in found] == [("10#2", None, None), ("PO:12", None, None)]
    assert [one.where for one in found] == [Locator("10#2"), Locator("PO:12")]


async def test_resolving_one_leaves_the_others_and_adds_to_the_archive(tmp_path):
    async with folder(tmp_path) as dead:
        await dead.write([letter(f"{name}.json") for name in "abc"])
        await dead.resolve([item("a.json")])
        await dead.resolve([item("b.json"), item("a.json")])
    assert [found.locator for found in letters(tmp_path)] == ["c.json"]
    assert len((tmp_path / "erp.inbound" / "resolved.jsonl").read_bytes().splitlines()) == 2


@pytest.mark.parametrize("how", ["badly", "wrong base64", "depth", "a time without a zone"])
async def test_a_damaged_letter_is_neither_lost_nor_fatal(tmp_path, log, how):
    async with folder(tmp_path) as dead:
        await dead.write([letter()])
        ((path, _),) = read_letters(tmp_path)
        good = path.read_bytes()
        damaged = {
            "badly": b"{ edited badly",
            "wrong base64": good.replace(b'"text"', b'"base64"'),
            "depth": b'{"x":' * 9999,
            "a time without a zone": re.sub(rb'("firstSeen": "[^"]*)Z"', rb'\1"', good),
        }[how]
        assert damaged != good
        path.write_bytes(damaged)
        assert shown(await dead.recall([item()])) == {}
        await dead.resolve([item()])
    assert path.read_bytes() == damaged
    assert any("cannot be read and is passed over" in line for line in log)


async def test_a_letter_that_a_person_has_mended_is_not_written_over_where_it_cannot_be_read(
    tmp_path, monkeypatch, log
):
    async with folder(tmp_path) as dead:
        await dead.write([letter()])
        ((path, found),) = read_letters(tmp_path)
        path.write_bytes(as_json(replace(found, mended='{"id": 2}')))
        before = path.read_bytes()

        def refuse(path):
            raise PermissionError(errno.EACCES, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr(drawer, "load_letter", refuse)
            await dead.write([letter(stamp="s2")])
            await dead.resolve([item()])
    assert path.read_bytes() == before
    assert any("cannot be read" in line and "Permission denied" in line for line in log)


async def test_a_letter_that_cannot_be_read_for_now_stops_what_would_close_it(tmp_path, monkeypatch):
    async with folder(tmp_path) as dead:
        await dead.write([letter()])

        def fails(path):
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(drawer, "load_letter", fails)
            with pytest.raises(Fatal, match="Too many open files"):
                await dead.resolve([item()])
        await dead.resolve([item()])
    assert letters(tmp_path) == []


@pytest.mark.parametrize("then", ["it is dead still", "it is dead anew"])
async def test_that_a_place_cannot_be_read_is_said_no_more_once_it_can(tmp_path, then):
    async with folder(tmp_path) as dead:
        if then == "it is dead still":
            await dead.write([letter()])
        await dead.write([letter(raw=b"", stage="read", reasons=("cannot be read",))])
        if then == "it is dead still":
            assert shown(await dead.recall([item()])) == {"a.json": "open"}
        else:
            await dead.write([letter()])
    (left,) = letters(tmp_path)
    assert left.raw == b'{"id": 1}'


async def test_what_a_killed_run_left_is_removed(tmp_path):
    (tmp_path / "erp.inbound").mkdir()
    (tmp_path / "erp.inbound" / f".x.json{LEFTOVER}").write_bytes(b"half")
    async with folder(tmp_path):
        assert list((tmp_path / "erp.inbound").iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_fatal_before_anything_else(tmp_path):
    (tmp_path / "erp.inbound").write_bytes(b"")
    with pytest.raises(Fatal, match="DATA_DEAD_LETTER_DIR"):
        await folder(tmp_path).open()


async def test_a_full_disk_is_fatal_and_leaves_no_half_letter(tmp_path, monkeypatch):
    import os

    async with folder(tmp_path) as dead:
        monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(Fatal, match="No space left"):
            await dead.write([letter()])
        monkeypatch.undo()


async def test_ten_thousand_letters_are_listed_without_being_read(tmp_path, monkeypatch):
    home = tmp_path / "erp.inbound"
    home.mkdir()
    for number in range(10_000):
        (home / name_of(Locator(f"{number}.json"), b"{}")).touch()
    from pipeline.deadletters import drawer as room

    monkeypatch.setattr(room, "load_letter", lambda path: pytest.fail("read a letter that nobody asked for"))
    async with folder(tmp_path) as dead:
        assert shown(await dead.recall([item("new.json")])) == {}
        await dead.resolve([item("new.json")])


@given(st.binary(max_size=50), st.text(min_size=1, max_size=300))
def test_letters_of_any_bytes_and_place_are_read_back_and_stay_in_the_folder(tmp_path_factory, raw, locator):
    import asyncio

    root = tmp_path_factory.mktemp("dead")

    async def there_and_back():
        async with folder(root) as dead:
            await dead.write([letter(locator, raw)])
            return await dead.recall([item(locator, raw)])

    held = asyncio.run(there_and_back())
    (found,) = letters(root)
    assert (found.raw, found.locator, shown(held)) == (raw, str(place(locator)), {str(place(locator)): "open"})
    assert [path.parent for path in root.rglob("*") if path.is_file()] == [root / "erp.inbound"]
