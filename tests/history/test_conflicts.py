"""What gave way, newest first, and what of it was set again."""

from datetime import UTC, datetime, timedelta

from pipeline.history.conflicts import read_conflicts
from pipeline.history.decisions import MISSED, RESTORED, SENT, Change, DecisionLog, Entry
from pipeline.orders.merge import Lost, Rule

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def merged(number, minute, *fields, client="erp", side="tracos", **more):
    lost = tuple(
        Lost(field=field, value=f"{field}{minute}", kept="new", side=side, because="newer") for field in fields
    )
    return entry(number, minute, rule=Rule.THREE_WAY, lost=lost, client=client, **more)


def restored(number, minute, field, **more):
    return entry(number, minute, rule=RESTORED, changes=(Change(field, "new", "old"),), **more)


def entry(number, minute, *, client="erp", **more):
    at = NOON + timedelta(minutes=minute)
    return Entry(at=at, run="r", client=client, number=number, locator="a.json", **more)


async def told(tmp_path, *entries):
    await DecisionLog(tmp_path / "log").record(entries)
    return [
        (one.client, one.number, one.value, one.restored and one.restored.minute)
        for one in read_conflicts(tmp_path / "log")
    ]


async def test_every_value_that_gave_way_is_one_newest_first(tmp_path):
    nothing = [entry(4, 3, rule=Rule.INSERT), entry(4, 3, rule=SENT)]
    assert await told(tmp_path, merged(1, 1, "title", "status"), *nothing, merged("A", 2, "title", client="b")) == [
        ("b", "A", "title2", None),
        ("erp", 1, "status1", None),
        ("erp", 1, "title1", None),
    ]
    (_, status, _) = read_conflicts(tmp_path / "log")
    assert (status.side, status.kept, status.because, status.locator, status.run) == (
        "tracos",
        "new",
        "newer",
        "a.json",
        "r",
    )


async def test_without_a_log_there_are_none(tmp_path):
    assert read_conflicts(tmp_path / "log") == []


async def test_what_was_restored_is_the_last_one_before_of_that_client_order_and_field(tmp_path):
    entries = [
        merged(1, 1, "title"),
        merged(1, 2, "title", "status"),
        merged(1, 3, "title", client="b"),
        merged(2, 3, "title"),
        restored("1", 4, "title"),
        merged(1, 5, "title"),
        restored(9, 6, "title"),
    ]
    assert [found for found in await told(tmp_path, *entries) if found[3]] == [("erp", 1, "title2", 4)]


async def test_what_was_told_ahead_and_not_written_is_none_and_not_counted(tmp_path):
    log = DecisionLog(tmp_path / "log")
    first = merged(1, 1, "title", "status")
    await log.record([first, merged(2, 1, "title", side="client")])
    await log.record([merged(1, 2, "title"), entry(1, 1, rule=MISSED, lost=first.lost)])
    assert [one.value for one in read_conflicts(tmp_path / "log")] == ["title2", "title1"]
    assert log.gave_way == {"tracos": 1, "client": 1}
