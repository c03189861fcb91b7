"""The metrics, as a real parser of Prometheus' text form reads them."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.dataflow.run import Report
from pipeline.deadletters import Standing
from pipeline.errors import Held, Outage, TracosOutage, WrongSettings
from pipeline.service.metrics import Metrics
from pipeline.service.passes import Pass
from pipeline.tracos.waiting import Waiting

ROOT = Path(__file__).resolve().parents[2]
SAYS = {
    "items_total": ("client", "flow", "outcome"),
    "pass_seconds": ("client",),
    "last_success_timestamp_seconds": ("client",),
    "dead_letters": ("client", "flow"),
    "oldest_dead_letter_seconds": ("client", "flow"),
    "unsynced": ("client",),
    "oldest_unsynced_seconds": ("client",),
    "conflicts_total": ("client", "side"),
    "lease_held": ("client",),
    "breaker_open": ("client",),
}
"""What is promised: names, and their labels."""


def passed(client="acme", seconds=1.0, reports=None, **more):
    reports = [Report(flow=f"{client}.inbound")] if reports is None else reports
    return Pass(client=client, began=datetime.now(UTC), seconds=seconds, reports=reports, **more)


def read(text):
    """By name without the prefix, and labels in the order of their names: the values."""
    return {
        (sample.name.removeprefix("workorder_sync_"), *(value for _, value in sorted(sample.labels.items()))): value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        for value in [sample.value]
    }


@pytest.fixture
def metrics():
    metrics = Metrics()
    metrics.expect({"acme": ("inbound", "outbound"), "north": ("outbound",)})
    return metrics


def test_names_and_labels_are_those_that_are_promised(metrics):
    now = datetime.now(UTC)
    letters = {"inbound": Standing([now])}
    metrics.passed(passed(letters=letters, waiting=Waiting(1, now), is_left_alone=False, gave_way={"client": 1}))
    found = {}
    for family in metrics.registry.collect():
        names = {tuple(sample.labels) for sample in family.samples if not sample.name.endswith("_bucket")}
        total = "_total" if family.type == "counter" else ""
        found[family.name.removeprefix("workorder_sync_") + total] = names
    assert found == {name: {labels} for name, labels in SAYS.items()}


def test_what_is_read_is_the_sum_of_what_became_of_it(metrics):
    report = Report(
        flow="acme.inbound",
        received=28,
        outcomes=Counter(created=1, repeat=2),
        skipped=3,
        held=4,
        closed=5,
        deferred=6,
        dead=Counter(parse=3, validate=4),
    )
    for _ in range(2):
        metrics.passed(passed(reports=[report]))
    items = {key[2:]: value for key, value in read(metrics.text()).items() if key[:2] == ("items_total", "acme")}
    inbound = {outcome: value for (flow, outcome), value in items.items() if flow == "inbound" and value}
    assert inbound == {"created": 2, "repeat": 4, "skipped": 6, "held": 8, "closed": 10, "deferred": 12, "dead": 14}
    assert sum(items.values()) == 2 * report.received


def test_all_begins_at_0_before_anything_has_happened(metrics):
    values = read(metrics.text())
    assert set(values.values()) == {0}
    assert ("items_total", "north", "outbound", "sent") in values
    assert ("items_total", "north", "inbound", "created") not in values
    assert ("conflicts_total", "acme", "tracos") in values
    assert not any(key[0].endswith("_created") for key in values)


def test_times_passes_and_conflicts_add_up(metrics):
    for seconds in (0.05, 0.4, 0.4, 7200):
        metrics.passed(passed(seconds=seconds, gave_way={"tracos": 2}))
    values = read(metrics.text())
    assert [values["pass_seconds_bucket", "acme", bound] for bound in ("0.1", "0.25", "0.5", "3600.0", "+Inf")] == [
        1,
        1,
        3,
        3,
        4,
    ]
    assert values["pass_seconds_count", "acme"] == 4
    assert values["pass_seconds_sum", "acme"] == pytest.approx(7200.85)
    assert values["conflicts_total", "acme", "tracos"] == 8


def test_ages_go_on_between_passes_and_what_could_not_be_seen_stays(metrics):
    hour = datetime.now(UTC) - timedelta(hours=1)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    letters = {"inbound": Standing([hour, ahead]), "outbound": Standing([ahead])}
    metrics.passed(passed(letters=letters, waiting=Waiting(7, hour), is_left_alone=True))
    metrics.passed(passed(error=Outage("away")))
    values = read(metrics.text())
    assert values["oldest_dead_letter_seconds", "acme", "inbound"] == pytest.approx(3600, abs=60)
    assert values["oldest_dead_letter_seconds", "acme", "outbound"] == 0
    assert values["dead_letters", "acme", "inbound"] == 2
    assert values["oldest_unsynced_seconds", "acme"] == pytest.approx(3600, abs=60)
    assert values["unsynced", "acme"] == 7
    metrics.passed(passed(letters={}, waiting=Waiting(0, None)))
    values = read(metrics.text())
    assert values["unsynced", "acme"] == values["oldest_unsynced_seconds", "acme"] == 0
    assert values["dead_letters", "acme", "inbound"] == 0, "a folder that is gone has no letters"


def test_a_pass_succeeds_when_it_goes_through_to_its_end(metrics):
    for one in (passed(error=Outage("away")), passed(is_whole=False)):
        metrics.passed(one)
        assert read(metrics.text())["last_success_timestamp_seconds", "acme"] == 0
    metrics.passed(passed())
    succeeded = read(metrics.text())["last_success_timestamp_seconds", "acme"]
    assert succeeded == pytest.approx(datetime.now(UTC).timestamp(), abs=60)
    metrics.passed(passed(error=Outage("away")))
    assert read(metrics.text())["last_success_timestamp_seconds", "acme"] == succeeded


def test_who_has_the_lease(metrics):
    held = Held("run x is working on these orders")
    for one, has in [
        (passed(), 1),
        (passed(reports=[], error=held), 0),
        (passed(reports=[]), 1),  # none of its flows was asked for
        (passed(error=held), 0),
        (passed(error=Outage("away")), 1),
        (passed(error=TracosOutage("MongoDB is away")), 0),
        (passed(reports=[], error=WrongSettings(["odd"])), 0),
    ]:
        metrics.passed(one)
        assert read(metrics.text())["lease_held", "acme"] == has
    assert read(metrics.text())["pass_seconds_count", "acme"] == 3, "what was not begun takes no time"


def test_a_client_that_is_there_no_more_is_not_shown_and_the_others_go_on(metrics):
    metrics.passed(passed("north", gave_way={"client": 1}))
    metrics.expect({"north": ("outbound",), "south": ()})
    metrics.passed(passed("acme"))
    values = read(metrics.text())
    assert {key[1] for key in values} == {"north", "south"}
    assert values["conflicts_total", "north", "client"] == 1


def test_two_are_apart():
    one, other = Metrics(), Metrics()
    for metrics in (one, other):
        metrics.expect({"acme": ()})
    one.passed(passed(gave_way={"client": 1}))
    assert read(other.text())["conflicts_total", "acme", "client"] == 0


class TestFile:
    def test_a_failed_run_keeps_when_the_client_has_succeeded_before(self, tmp_path, metrics):
        path = tmp_path / "metrics/sync.prom"
        metrics.passed(passed())
        metrics.write(path)
        assert path.stat().st_mode & 0o777 == 0o644, "node exporter is somebody else"
        before = read(path.read_bytes())["last_success_timestamp_seconds", "acme"]
        later = Metrics()
        later.expect({"acme": ("inbound",), "south": ()})
        later.passed(passed(error=Outage("away")))
        later.write(path)
        values = read(path.read_bytes())
        assert values["last_success_timestamp_seconds", "acme"] == before > 0
        assert values["last_success_timestamp_seconds", "south"] == 0
        assert values["pass_seconds_count", "acme"] == 1
        assert ("lease_held", "north") not in values

    @pytest.mark.parametrize(
        "damage",
        [
            b"\xff",
            b"}{",
            b"a b c d",
            b"workorder_sync_last_success_timestamp_seconds 5",
            b'workorder_sync_last_success_timestamp_seconds{client="acme"} NaN',
            b'workorder_sync_last_success_timestamp_seconds{client="acme"} -7',
        ],
    )
    def test_what_lies_there_may_be_anything(self, tmp_path, metrics, damage, log):
        path = tmp_path / "sync.prom"
        path.write_bytes(damage)
        metrics.write(path)
        assert read(path.read_bytes())["last_success_timestamp_seconds", "acme"] == 0
        assert log == []

    def test_a_time_that_has_not_come_is_now(self, tmp_path, metrics):
        path = tmp_path / "sync.prom"
        path.write_text('workorder_sync_last_success_timestamp_seconds{client="acme"} +Inf\n')
        metrics.write(path)
        told = read(path.read_bytes())["last_success_timestamp_seconds", "acme"]
        assert told == pytest.approx(datetime.now(UTC).timestamp(), abs=60)

    @pytest.mark.parametrize("place", ["a folder", "below a file"])
    def test_where_it_cannot_be_written_one_line_says_so(self, tmp_path, metrics, log, place):
        (tmp_path / "file").write_text("")
        (tmp_path / "folder").mkdir()
        metrics.write(tmp_path / ("folder" if place == "a folder" else "file/sync.prom"))
        (line,) = log
        assert "(METRICS_FILE) cannot be written" in line


def test_the_table_in_the_docs_is_what_the_registry_says():
    table = (ROOT / "docs/monitoring.md").read_text().partition("<!-- metrics -->\n")[2].partition("\n\n")[0]
    lines = ["| metric | type | labels | |", "|---|---|---|---|"]
    for family in Metrics().registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in SAYS[name.removeprefix("workorder_sync_")])
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    assert table.splitlines() == lines, "\n".join(lines)


def test_the_rules_ask_for_metrics_that_there_are():
    rules = (ROOT / "deploy/prometheus/rules.yml").read_text()
    asked = set(re.findall(r"\b(workorder_sync_\w+)", rules))
    metrics = Metrics()
    there = {
        family.name + ending
        for family in metrics.registry.collect()
        for ending in {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
    }
    assert asked <= there
    assert len(asked) >= 6
    for labels in re.findall(r"workorder_sync_\w+\{([^}]*)\}", rules):
        assert set(re.findall(r"(\w+)[=!]", labels)) <= {"client", "flow", "outcome", "side", "le"}
    assert len(re.findall(r"(?m)^ +- alert: \w+$", rules)) == len(re.findall(r"(?m)^ +expr: ", rules)) >= 6
