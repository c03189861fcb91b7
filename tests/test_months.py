"""Lines a file a month: nothing is lost or split when a month ends, and what is removed is the oldest."""

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from pipeline import months
from pipeline.disk import alone, read_lines
from pipeline.months import Months, index_of

NOW = datetime.now(UTC)


def written(path, month, *lines):
    """``path`` holds these lines, the last of them written in the middle of ``month``."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    at = datetime.strptime(month, "%Y-%m").replace(day=15, tzinfo=UTC).timestamp()
    os.utime(path, (at, at))


def read(log):
    return [line for path in log.files() for line in read_lines(path, bytes.strip)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def log(tmp_path):
    return Months(tmp_path / "log.jsonl")


def test_lines_of_this_month_are_in_the_file_itself(tmp_path, log):
    log.append([b"1"])
    log.append([b"2"])
    assert names(tmp_path) == ["log.jsonl"]
    assert read(log) == [b"1", b"2"]


def test_what_an_earlier_month_wrote_is_put_aside_with_its_index_before_the_next_line(tmp_path, log):
    written(log.path, "2026-03", b"1")
    index_of(log.path).touch()
    log.append([b"2"])
    assert names(tmp_path) == ["log-2026-03.jsonl", "log-2026-03.jsonl.index", "log.jsonl"]
    assert (read(log), log.path.read_bytes()) == ([b"1", b"2"], b"2\n")


def test_a_month_whose_name_is_taken_comes_after_it(tmp_path, log):
    for number in range(11):
        written(log.path, "2026-03", b"%d" % number)
        log.append([])
        log.prune(NOW - timedelta(days=9999))
    assert read(log) == [b"%d" % number for number in range(11)]
    assert {"log-2026-03.jsonl", "log-2026-03.2.jsonl", "log-2026-03.11.jsonl"} <= {*names(tmp_path)}


def test_a_file_without_an_ending_and_one_behind_a_link_have_months_beside_themselves(tmp_path):
    (tmp_path / "there").mkdir()
    written(tmp_path / "there/log", "2026-03", b"1")
    (tmp_path / "link").symlink_to("there/log")
    log = Months(tmp_path / "link")
    log.append([b"2"])
    assert (names(tmp_path), names(tmp_path / "there")) == (["link", "there"], ["log", "log-2026-03"])
    assert read(log) == [b"1", b"2"]


def test_what_is_no_file_is_left_where_it_is(tmp_path):
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    Months(device).append([b"1"], durable=False)
    Months(device).prune(NOW)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        Months(tmp_path / "pipe").append([b"1"])
    assert names(tmp_path) == ["null", "pipe"]


def test_whoever_waits_for_a_file_that_is_put_aside_meanwhile_writes_into_the_new_one(log):
    log.append([b"1"])
    with alone(log.path):
        waiting = threading.Thread(target=log.append, args=([b"2"],))
        waiting.start()
        log.path.rename(log.path.with_name("log-2026-03.jsonl"))
    waiting.join()
    assert log.path.read_bytes() == b"2\n"
    assert read(log) == [b"1", b"2"]


def test_where_nothing_can_be_put_aside_lines_stay_together(tmp_path, log, monkeypatch):
    written(log.path, "2026-03", b"1")
    monkeypatch.setattr(months.Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(1, "not permitted")))
    log.append([b"2"])
    assert log.path.read_bytes() == b"1\n2\n"


def test_months_that_were_over_are_removed_and_nothing_else(tmp_path, log):
    for month in ("2025-11", "2025-12", "2026-01"):
        written(tmp_path / f"log-{month}.jsonl", month, month.encode())
        index_of(tmp_path / f"log-{month}.jsonl").touch()
    for stranger in ("log-2025-13.jsonl", "log-2025-11.json", "log-9999-12.jsonl", "blog-2025-11.jsonl"):
        (tmp_path / stranger).touch()
    (tmp_path / "log-2025-10.jsonl").mkdir()
    log.append([b"now"])
    before = {*names(tmp_path)}
    gone = log.prune(datetime(2026, 1, 1, tzinfo=UTC))
    assert [path.name for path in gone] == ["log-2025-11.jsonl", "log-2025-12.jsonl"]
    assert before - {*names(tmp_path)} == {
        f"log-2025-{month}.jsonl{also}" for month in (11, 12) for also in ("", ".index")
    }
    assert read(log) == [b"2026-01", b"now"]


def test_a_log_that_nobody_writes_any_more_goes_too(tmp_path, log):
    written(log.path, "2025-11", b"1")
    assert log.prune(datetime(2025, 12, 1, tzinfo=UTC)) == [tmp_path / "log-2025-11.jsonl"]
    assert names(tmp_path) == []


def test_of_more_than_there_may_be_the_oldest_go_and_a_month_is_cut_in_parts(tmp_path, log):
    for number in range(20):
        log.append([b"%d" % number + b"x" * 100])
        log.prune(NOW - timedelta(days=400), 1000)
    left = [int(line.rstrip(b"x")) for line in read(log)]
    assert left == list(range(left[0], 20))
    assert 500 < sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000


def test_only_months_that_may_hold_what_was_written_later_are_read(tmp_path, log):
    for month in ("2025-11", "2025-12"):
        written(tmp_path / f"log-{month}.jsonl", month)
    since = datetime(2025, 12, 1, tzinfo=UTC)
    assert [path.name for path in log.files(since)] == ["log-2025-12.jsonl", "log.jsonl"]
    assert Months(tmp_path / "none/log").files() == [tmp_path / "none/log"]


def test_the_names_of_its_months_are_known(tmp_path, log):
    assert log.names(tmp_path / "log-2026-03.jsonl")
    assert log.names(tmp_path / "log-2026-03.2.jsonl")
    assert not log.names(tmp_path / "log.jsonl")
    assert not log.names(tmp_path / "else/log-2026-03.jsonl")
