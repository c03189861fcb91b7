"""The display of a run: honest figures, whole lines of the log, and nothing where nobody looks."""

import re
from collections import Counter

import pytest
from rich.cells import cell_len

from pipeline.cli.progress import Pace, counts
from pipeline.dataflow.run import Report
from tests.terminal import at_terminal, watched

ORDER = b'{"id":%d,"status":"%s","createdAt":"2026-10-01"}\n'


def paced(*seen):
    pace = Pace()
    for now, items, part in seen:
        pace.see(now, items, part)
    return pace


class TestPace:
    def test_nothing_is_said_before_it_can_be_known(self):
        assert (paced((0, 0, 0.0)).rate, paced((0, 0, 0.0), (1, 500, 0.1)).left) == (None, None)

    def test_it_is_that_of_the_last_seconds_whatever_was_before(self):
        seen = [(second, min(second, 60) * 10, min(second, 60) / 100) for second in range(121)]
        assert paced(*seen[:61]).rate == 10
        assert paced(*seen[:61]).left == pytest.approx(40)
        assert (paced(*seen).rate, paced(*seen).left) == (0, None), "it stands: nobody knows how long"

    def test_what_cannot_be_told_of_how_many_has_no_time_left(self):
        pace = paced(*((second, second * 7, 0) for second in range(10)))
        assert (pace.rate, pace.left) == (7, None)

    def test_start_up_time_does_not_spoil_the_rate(self):
        seen = [(0, 0, 0.0), *((20 + second, second * 100, second / 50) for second in range(30))]
        assert paced(*seen).rate == 100

    def test_it_is_told_as_exactly_as_it_is_meant(self):
        report = Report(received=12345, dead=Counter(parse=2, validate=1))
        assert counts(report, None, None) == "12,345 done · 3 dead"
        assert counts(report, 987.6, 42) == "12,345 done · 3 dead · 988/s · 40 s left"
        assert [counts(Report(), 1, left).split(" · ")[-1] for left in (0.4, 89, 95, 3540, 7800)] == [
            "1 s left",
            "90 s left",
            "2 min left",
            "59 min left",
            "2 h 10 min left",
        ]


@pytest.fixture
def busy(plant):
    """Enough to be seen, and some of it bad."""
    lines = [ORDER % (number, b"NEW" if number % 100 else b"LOST") for number in range(1, 3001)]
    for part in range(3):
        plant.put(f"{part}.ndjson", b"".join(lines[part * 1000 : part * 1000 + 1000]))
    return plant


SLOW = pytest.mark.slow


@pytest.mark.parametrize("columns", [pytest.param(60, marks=SLOW), 80, pytest.param(160, marks=SLOW)])
def test_log_lines_stay_whole_beside_it_and_it_leaves_nothing(busy, columns):
    code, said = watched(busy, columns=columns)
    assert code == 0
    assert re.search(r"erp_json\.inbound .*\d+ done", said)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", said)
    lines = [line for line in re.split(r"\r\n|\r|\x1b\[\d*[A-HJKf]|\n", shown) if line]
    assert max(map(cell_len, (line for line in lines if "erp_json.inbound " in line))) <= columns
    log = [line for line in lines if " WARNING " in line]
    assert len(log) == 21  # of a kind 20, and how many more
    assert all(re.match(r"\d\d:\d\d:\d\d WARNING", line) for line in log)
    flat = " ".join(line.strip() for line in lines if " done" not in line)
    assert flat.count("unknown status; known: NEW, PENDING, IN_PROGRESS, ON_HOLD, DONE, CANCELLED") == 21
    assert shown.rstrip().endswith("dead-letters list")


@pytest.mark.slow
@pytest.mark.parametrize("environ", [{"CI": "true"}, {"TERM": "dumb"}, {"LOG_FORMAT": "json"}])
def test_where_nobody_looks_nothing_is_drawn(busy, environ):
    code, said = watched(busy, **environ)
    assert (code, "done" in said, "\x1b[2K" in said, "\x1b[?25l" in said) == (0, False, False, False)


def test_quiet_says_warnings_alone_and_verbose_says_all(busy):
    code, said = at_terminal(busy, "run", "--quiet")
    assert (code, {line.split()[1] for line in said.splitlines()}) == (0, {"WARNING"})
    (busy.home / "data/inbound/4.json").write_bytes(ORDER % (9000, b"NEW"))
    code, out, err = busy.ask("run", "--quiet")
    assert (code, out, err) == (0, "", "")
    busy.put("5.ndjson", b"".join(ORDER % (number, b"LOST") for number in range(9100, 9130)))
    _, out, err = busy.ask("run", "--verbose")
    assert err.count("dead letter: ") == 30
    assert "30 dead-lettered" in out
    assert busy.ask("run", "--verbose", "--quiet")[0] == 2
