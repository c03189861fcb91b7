"""The letters as a person handles them: found, mended, closed once and for all."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.dataflow.messages import DeadLetter, Envelope, Outcome
from pipeline.deadletters import DeadLetterFolder, DeadLetterOffice, Drawer, Filters
from pipeline.deadletters.replay import LetterSource, RetriedLetters
from pipeline.errors import Fatal, Reason, WrongUsage
from pipeline.months import Months
from tests.places import place

NOW = datetime.now(UTC)
OLD = datetime(2025, 12, 15, tzinfo=UTC)


def identify(raw):
    return int(raw[1:]) if raw[:1] == b"#" else None


def folder(root, flow="erp.inbound"):
    return DeadLetterFolder(root, flow=flow, client=flow.split(".")[0], identify=identify)


def dead(locator="a.json", raw=b"raw", *, stage="parse", reason="broken", flow="erp.inbound", at=NOW):
    return DeadLetter(
        flow=flow, stage=stage, locator=place(locator), reasons=(Reason(reason),), at=at, raw=raw, stamp="as it was"
    )


def shown(states):
    return {str(locator): state for locator, state in states.items()}


def item(locator="a.json", raw=b"raw", stamp="as it was", outcome=Outcome.REPEAT):
    return Envelope(outcome, place(locator), raw, stamp)


async def put(root, *letters, flow="erp.inbound"):
    async with folder(root, flow) as target:
        await target.write(letters)


def closed(root, name="resolved.jsonl"):
    path = root / "erp.inbound" / name
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


@pytest.fixture
def office(tmp_path):
    return DeadLetterOffice(tmp_path)


class TestFind:
    async def test_each_filter_alone_and_together(self, tmp_path, office):
        await put(tmp_path, dead("a.json", reason="Not A Date"), dead("b.json", stage="validate"))
        await put(tmp_path, dead("c.json", flow="erp.outbound"), flow="erp.outbound")
        old = dead("d.json", at=NOW - timedelta(days=3), flow="sap.inbound")
        await put(tmp_path, old, flow="sap.inbound")

        def found(**filters):
            return [filed.letter.locator for filed in office.find(Filters(**filters))]

        assert found() == ["a.json", "b.json", "c.json", "d.json"]
        assert found(flow="erp.inbound") == ["a.json", "b.json"]
        assert found(flow="inbound") == ["a.json", "b.json", "d.json"]
        assert found(client="sap") == ["d.json"]
        assert found(stage="validate") == ["b.json"]
        assert found(reason="not a date") == ["a.json"]
        assert found(older=timedelta(days=2)) == ["d.json"]
        assert found(newer=timedelta(days=2)) == ["a.json", "b.json", "c.json"]
        assert found(flow="inbound", stage="parse", client="erp") == ["a.json"]

    async def test_an_id_or_its_beginning_names_one_letter(self, tmp_path, office):
        await put(tmp_path, *(dead(f"{number}.json") for number in range(40)))
        everything = list(office.find())
        assert len({filed.id for filed in everything}) == 40
        assert all(office.get(filed.id) == filed for filed in everything)
        assert office.get(everything[0].id[:8]).id == everything[0].id
        with pytest.raises(WrongUsage, match="several dead letters"):
            office.get("")
        with pytest.raises(WrongUsage, match="no open dead letter xyz"):
            office.get("xyz")

    async def test_they_are_counted(self, tmp_path, office):
        await put(tmp_path, dead("a.json"), dead("b.json"), dead("c.json", stage="validate", reason="x"))
        office.mend(next(office.find()), "better")
        stats = office.stats()
        assert (stats.total, stats.mended) == (3, 1)
        assert (dict(stats.stages), dict(stats.reasons)) == ({"parse": 2, "validate": 1}, {"broken": 2, "x": 1})

    def test_there_may_be_none(self, tmp_path):
        office = DeadLetterOffice(tmp_path / "nothing")
        assert (list(office.find()), office.stats().total) == ([], 0)


class TestMend:
    async def test_the_original_bytes_stay(self, tmp_path, office):
        await put(tmp_path, dead(raw=b"\xff raw"))
        office.mend(next(office.find()), "bétter\n")
        (filed,) = office.find()
        assert (filed.letter.raw, filed.letter.payload) == (b"\xff raw", "bétter\n".encode())

    async def test_back_to_the_original_is_not_mended(self, tmp_path, office):
        await put(tmp_path, dead())
        filed = office.mend(next(office.find()), "better")
        assert office.mend(filed, "raw").letter.mended is None

    async def test_what_fails_again_at_its_place_keeps_what_was_mended(self, tmp_path, office):
        await put(tmp_path, dead())
        office.mend(next(office.find()), "better")
        await put(tmp_path, dead())
        (filed,) = office.find()
        assert (filed.letter.attempts, filed.letter.mended) == (2, "better")


class TestDiscard:
    async def test_the_letter_and_the_reason_are_kept_and_it_is_not_tried_again(self, tmp_path, office):
        await put(tmp_path, dead(), dead("b.json"))
        office.discard(next(office.find()), " not ours ")
        (kept,) = closed(tmp_path, "discarded.jsonl")
        assert (kept["locator"], kept["because"], kept["closed"], kept["text"]) == (
            "a.json",
            "not ours",
            "discarded",
            "raw",
        )
        assert [filed.letter.locator for filed in office.find()] == ["b.json"]
        async with folder(tmp_path) as later:
            assert shown(await later.recall([item(), item("b.json")])) == {"a.json": "closed", "b.json": "open"}
            assert shown(await later.recall([item(stamp="touched"), item(raw=b"other")])) == {}

    async def test_not_without_a_reason(self, tmp_path, office):
        await put(tmp_path, dead())
        with pytest.raises(WrongUsage, match="say why"):
            office.discard(next(office.find()), "  ")

    async def test_what_is_touched_and_fails_again_is_open_again(self, tmp_path, office):
        await put(tmp_path, dead())
        office.discard(next(office.find()), "not ours")
        await put(tmp_path, dead(at=NOW + timedelta(seconds=1)))
        assert len(list(office.find())) == 1
        async with folder(tmp_path) as later:
            assert shown(await later.recall([item()])) == {"a.json": "open"}


async def test_a_letter_that_something_better_resolved_may_come_back(tmp_path):
    """Only what a person closed stays closed: a file that is broken again in the same way is dead again."""
    async with folder(tmp_path) as target:
        await target.write([dead("a.json", b"raw")])
        await target.resolve([item("a.json", b"good", "good")])
        assert shown(await target.recall([item()])) == {}
    async with folder(tmp_path) as later:
        assert shown(await later.recall([item()])) == {}


async def test_one_process_at_a_time(tmp_path, office):
    async with folder(tmp_path) as target:
        await target.write([dead()])
        (filed,) = office.find()  # reading needs no lock
        with pytest.raises(Fatal, match="another run is using the dead letters"):
            office.discard(filed, "why")
    office.discard(filed, "why")


@pytest.mark.parametrize("torn_at", ["the archive", "the removal", "the removal of the second"])
@pytest.mark.parametrize("how", ["retried", "discarded"])
async def test_a_closing_that_was_torn_is_carried_to_its_end_and_archived_once(tmp_path, monkeypatch, torn_at, how):
    await put(tmp_path, dead("a.json"), dead("b.json"))
    drawer = Drawer(tmp_path / "erp.inbound")
    drawer.open()
    letters = {name: drawer.read(name) for path in drawer.directory.iterdir() if (name := path.name).endswith(".json")}

    class Killed(BaseException):
        pass

    calls = []
    target, name = (Months, "append") if torn_at == "the archive" else (Path, "unlink")
    real = getattr(target, name)

    def torn(*arguments, **options):
        calls.append(1)
        if torn_at != "the removal of the second" or len(calls) == 2:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(target, name, torn)
        with pytest.raises(Killed):
            drawer.archive(letters, how)
    drawer.close()

    again = Drawer(tmp_path / "erp.inbound")
    again.open()
    again.close()
    archived = closed(tmp_path, "discarded.jsonl" if how == "discarded" else "resolved.jsonl")
    assert sorted(one["locator"] for one in archived) == ["a.json", "b.json"]
    assert list(DeadLetterOffice(tmp_path).find()) == []
    assert again.state(place("a.json"), b"raw", "as it was") == "closed"


async def test_a_line_of_the_closed_that_was_torn_leaves_its_letter_open(tmp_path, office):
    await put(tmp_path, dead())
    (tmp_path / "erp.inbound" / "closed.jsonl").write_bytes(b'{"name": "a.js')
    await put(tmp_path, dead("b.json"))
    assert len(list(office.find())) == 2
    office.discard(next(office.find()), "why")
    assert len(list(office.find())) == 1


class TestPrune:
    """What was closed long ago goes."""

    async def test_the_months_that_are_over_and_what_was_remembered_of_their_places(self, tmp_path, office):
        await put(tmp_path, dead("a.json"), dead("b.json"), dead("open.json"))
        first, second, _ = office.find()
        office.discard(first, "long ago")
        home = tmp_path / "erp.inbound"
        for name in ("closed.jsonl", "discarded.jsonl"):
            old = (home / name).read_bytes().replace(f"{NOW:%Y-%m-%d}".encode(), b"2025-12-31")
            (home / name).write_bytes(old)
            os.utime(home / name, (OLD.timestamp(),) * 2)
        office.discard(second, "now")
        assert len(closed(tmp_path, "closed.jsonl")) == 2
        office.prune(datetime(2025, 12, 31, tzinfo=UTC))
        assert {path.name for path in home.glob("d*")} == {"discarded-2025-12.jsonl", "discarded.jsonl"}
        assert len(closed(tmp_path, "closed.jsonl")) == 2
        office.prune(datetime(2026, 1, 1, tzinfo=UTC))
        assert [one["because"] for one in closed(tmp_path, "discarded.jsonl")] == ["now"]
        assert {path.name for path in home.glob("d*")} == {"discarded.jsonl"}
        assert len(closed(tmp_path, "closed.jsonl")) == 1
        async with folder(tmp_path) as later:
            found = await later.recall([item("a.json"), item("b.json"), item("open.json")])
        assert shown(found) == {"b.json": "closed", "open.json": "open"}

    async def test_what_a_run_has_waits_and_where_there_is_nothing_to_do_nothing_is_done(self, tmp_path, office):
        await put(tmp_path, dead("a.json"))
        (filed,) = office.find()
        office.discard(filed, "now")
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        async with folder(tmp_path):
            office.prune(NOW + timedelta(days=9))
        office.prune(OLD)
        DeadLetterOffice(tmp_path / "none").prune(NOW)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before

    async def test_a_closing_that_was_torn_is_not_archived_again_in_another_month(self, tmp_path, office):
        await put(tmp_path, dead("a.json"))
        (filed,) = office.find()
        body = filed.path.read_bytes()
        office.discard(filed, "why")
        filed.path.write_bytes(body)
        archive = tmp_path / "erp.inbound/discarded.jsonl"
        os.utime(archive, (OLD.timestamp(),) * 2)
        office.prune(OLD)
        assert not archive.exists()
        await put(tmp_path)
        assert [path.name for path in tmp_path.rglob("*d*.jsonl")].count("discarded.jsonl") == 0
        assert list(office.find()) == []


class TestReplay:
    async def replay(self, root, names=None):
        drawer = Drawer(root / "erp.inbound")
        drawer.look()
        names = names or sorted(path.name for path in drawer.directory.glob("*~*.json"))
        source, target = LetterSource(drawer, names), RetriedLetters(drawer, identify)
        items = [one async for group in source.read() for one in group]
        return source, target, items

    async def test_it_yields_the_original_bytes_or_the_mended_ones_under_their_locators(self, tmp_path, office):
        await put(tmp_path, dead("a.json[3]", b"\xff"), dead("b.json"))
        office.mend(next(office.find(Filters(reason="broken", stage="parse"))), "mended")
        source, _, items = await self.replay(tmp_path)
        assert {(str(one.locator), one.raw, one.payload) for one in items} == {
            ("a.json[3]", b"mended", b"mended"),
            ("b.json", b"raw", b"raw"),
        }
        assert source.progress() == (2, 2, "letters")

    async def test_what_passes_is_closed_and_what_fails_has_one_attempt_more(self, tmp_path, office):
        await put(tmp_path, dead("a.json"), dead("b.json"))
        office.mend(office.get(next(f.id for f in office.find() if f.letter.locator == "b.json")), "#7")
        _, target, items = await self.replay(tmp_path)
        good, bad = sorted(items, key=lambda one: one.locator)
        async with target:
            assert shown(await target.recall(items)) == {}
            await target.resolve([good])
            await target.write([replace(dead("b.json", bad.raw, stage="validate", reason="worse"), stamp=bad.stamp)])
        (left,) = office.find()
        assert (left.letter.locator, left.letter.attempts, left.letter.id) == ("b.json", 2, 7)
        assert (left.letter.stage, left.letter.reasons[0].message) == ("validate", "worse")
        assert (left.letter.raw, left.letter.mended, left.letter.stamp) == (b"raw", "#7", "as it was")
        assert [one["closed"] for one in closed(tmp_path)] == ["retried"]

    async def test_a_letter_that_is_gone_meanwhile_is_left_out(self, tmp_path):
        await put(tmp_path, dead("a.json"), dead("b.json"))
        names = [path.name for path in (tmp_path / "erp.inbound").glob("*.json")]
        (tmp_path / "erp.inbound" / names[0]).unlink()
        _, target, items = await self.replay(tmp_path, names)
        assert len(items) == 1
        async with target:
            await target.resolve([item(stamp=names[0])])
        assert closed(tmp_path) == []


class TestMeanwhile:
    """A person looks at a letter for minutes; a run, or somebody else, does not wait."""

    @pytest.mark.parametrize("act", ["mend", "discard"])
    async def test_a_letter_that_was_closed_is_told_and_stays_closed(self, tmp_path, office, act):
        await put(tmp_path, dead())
        (seen,) = office.find()
        async with folder(tmp_path) as run:
            await run.resolve([item(raw=b"good #7", stamp="good")])
        with pytest.raises(WrongUsage, match="was closed meanwhile: nothing was changed"):
            getattr(office, act)(seen, "better")
        assert list(office.find()) == []
        assert len(closed(tmp_path)) == 1
        assert not (tmp_path / "erp.inbound/discarded.jsonl").exists()

    @pytest.mark.parametrize("act", ["mend", "discard"])
    async def test_a_letter_that_somebody_else_mended_is_told(self, tmp_path, office, act):
        await put(tmp_path, dead())
        (seen,) = office.find()
        office.mend(seen, "theirs")
        with pytest.raises(WrongUsage, match="was mended meanwhile: look at it again"):
            getattr(office, act)(seen, "mine")
        assert [filed.letter.mended for filed in office.find()] == ["theirs"]

    async def test_what_a_run_noted_meanwhile_is_kept(self, tmp_path, office):
        await put(tmp_path, dead())
        (seen,) = office.find()
        await put(tmp_path, dead(at=NOW + timedelta(hours=1)))
        assert office.mend(seen, "better").letter.attempts == 2
        (now,) = office.find()
        assert now.letter.attempts == 2
        assert now.letter.last_seen > NOW

    async def test_what_is_to_be_tried_again_and_was_closed_stays_closed(self, tmp_path, office):
        await put(tmp_path, dead("a.json", b""), dead("b.json", b""))
        found = list(office.find())
        office.discard(found[0], "why")
        assert office.release(found) == 1
        assert [filed.letter.stamp for filed in office.find()] == ["released"]


class TestWhereItLies:
    async def test_a_letter_belongs_to_the_folder_that_it_lies_in(self, tmp_path, office):
        await put(tmp_path, dead())
        path = next((tmp_path / "erp.inbound").glob("*~*.json"))
        (tmp_path / "north.inbound").mkdir()
        path.rename(tmp_path / "north.inbound" / path.name)
        (filed,) = office.find(Filters(client="north"))
        assert (filed.letter.flow, filed.letter.client) == ("north.inbound", "north")
        office.mend(filed, "better")
        assert [name.name for name in tmp_path.iterdir() if any(name.glob("*~*.json"))] == ["north.inbound"]
        office.discard(next(office.find()), "why")
        assert (tmp_path / "north.inbound/discarded.jsonl").exists()
        assert not (tmp_path / "erp.inbound/discarded.jsonl").exists()

    @pytest.mark.parametrize("flow", ["../../elsewhere", "/tmp/elsewhere", "", "erp.outbound"])
    async def test_what_a_letter_says_of_its_folder_leads_nowhere(self, tmp_path, office, flow):
        await put(tmp_path, dead())
        path = next((tmp_path / "erp.inbound").glob("*~*.json"))
        path.write_bytes(path.read_bytes().replace(b'"erp.inbound"', msgspec.json.encode(flow)))
        office.mend(next(office.find()), "better")
        office.discard(next(office.find()), "why")
        assert [name.name for name in tmp_path.iterdir()] == ["erp.inbound"]


class TestReasonsOfWhatIsMended:
    def fails(self, payload):
        return ("validate", (Reason(f"{payload.decode()} is wrong"),)) if payload != b"good" else ("", ())

    def known(self, office):
        (filed,) = office.find()
        return filed.letter.stage, [reason.message for reason in filed.letter.reasons]

    async def test_they_are_those_of_the_text_and_the_original_ones_come_back_with_it(self, tmp_path, office):
        await put(tmp_path, dead(reason="raw is wrong"))
        for text, stage, reasons in (
            ("bad", "validate", ["bad is wrong"]),
            ("worse", "validate", ["worse is wrong"]),
            ("good", "parse", []),
            ("raw", "parse", ["raw is wrong"]),
            ("good", "parse", []),
        ):
            office.mend(next(office.find()), text, self.fails)
            assert (text, self.known(office)) == (text, (stage, reasons))

    async def test_a_run_that_meets_the_original_again_changes_only_what_is_known_of_that(self, tmp_path, office):
        await put(tmp_path, dead(reason="raw is wrong"))
        office.mend(next(office.find()), "bad", self.fails)
        await put(tmp_path, dead(reason="raw is wrong for another reason", at=NOW + timedelta(hours=1)))
        assert self.known(office) == ("validate", ["bad is wrong"])
        office.mend(next(office.find()), "raw", self.fails)
        assert self.known(office) == ("parse", ["raw is wrong for another reason"])

    async def test_what_is_to_be_mended_elsewhere_is_not_mended_here(self, tmp_path, office):
        await put(tmp_path, dead("a.json", b""))
        await put(tmp_path, dead("7", flow="erp.outbound"), flow="erp.outbound")
        for filed in office.find():
            with pytest.raises(WrongUsage, match="mend"):
                office.mend(filed, "x")
