"""What a run did, in a few aligned lines for a person."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from pipeline.dataflow.run import Report
from pipeline.service.run import Ended
from pipeline.service.settings import Settings

__all__ = ["SIDES", "WORDS", "by_side", "summary", "summary_of"]

ARROWS: Final = {"inbound": "client → TracOS", "outbound": "TracOS → client"}

SIDES: Final = {"client": "the client", "tracos": "TracOS"}

WORDS: Final = {"repeat": "unchanged"}
"""Outcomes that are one to a reader: a repeat, and a record that was taken but changed nothing."""


def summary_of(ended: Ended, settings: Settings) -> str:
    """The text of the summary of a run that has ended."""
    return summary(
        ended.reports,
        failed=ended.befell,
        dead_letters=settings.data_dead_letter_dir,
        seconds=ended.seconds,
        ending=ended.record.ending,
        gave_way=ended.record.gave_way,
        drift=ended.record.drift,
    )


def summary(
    reports: Mapping[str, Sequence[Report]],
    *,
    dead_letters: Path,
    seconds: float,
    ending: str,
    failed: Mapping[str, str] | None = None,
    gave_way: Mapping[str, int] | None = None,
    drift: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The text of the summary of ``reports``, those of each client.

    ``ending`` says how the run ended (finished, incomplete, stopped, interrupted), ``failed`` what befell some clients,
    ``gave_way`` how many values of each side gave way to the other's, ``drift`` which keys of its records changed.
    """
    failed = failed or {}
    names = list(dict.fromkeys([*reports, *failed]))
    several = len(names) > 1
    every = [report for of_one in reports.values() for report in of_one]
    idle = "nothing to do" if ending in {"finished", "incomplete"} else "not read to the end"
    width = max((len(f"{report.received:,}") for report in every), default=1)
    lines = [f"work orders, {f'{len(names)} clients' if several else names[0]} ⇄ TracOS: {ending} in {seconds:.1f} s"]
    lines += [line for line in [_places(every)] if line and not several]
    for name in names:
        told = [_flow(report, width, idle) for report in reports.get(name, ())]
        told += [f"  {failed[name]}; the log says why"] if name in failed else []
        if told:
            lines += ["", f"  {name}{_places(reports.get(name, ()))}"] if several else [""]
        lines += [f"  {line}" if several else line for line in told]
    changed = [f"  {name}: {line}" for name, told in (drift or {}).items() for line in told]
    lines += ["", *changed] if changed else []
    return "\n".join(lines + _lost(gave_way or {}) + _dead(every, dead_letters)) + "\n"


def _flow(report: Report, width: int, idle: str) -> str:
    name = report.flow.rpartition(".")[2]
    counts: dict[str, int] = {}
    for outcome, count in report.outcomes.items():
        word = WORDS.get(outcome, outcome)
        counts[word] = counts.get(word, 0) + count
    order = ("created", "updated", "unchanged", "stale", "sent")
    said = [(word, counts[word]) for word in (*order, *sorted(set(counts) - set(order))) if word in counts]
    said += [
        ("skipped", report.skipped),
        ("left for the next run", report.deferred),
        ("dead-lettered", report.dead.total()),
        ("still dead", report.held),
        ("closed", report.closed),
        ("empty", report.empty),
        ("unchanged, not read again", report.spared),
    ]
    what = " · ".join(f"{count:,} {word}" for word, count in said if count) or idle
    return f"  {name:<9} {ARROWS.get(name, ''):<16} {report.received:>{width},} read   {what}"


def _places(reports: Sequence[Report]) -> str:
    """From where over TracOS to where the orders of one client go."""
    places = [place for report in reports for place in (report.source, report.sink) if place]
    return f"  {' → '.join(place for place, _ in groupby(places))}" if places else ""


def by_side(gave_way: Mapping[str, int]) -> str:
    """How many values gave way, by whose they were; empty where none did."""
    return ", ".join(f"{count:,} of {SIDES.get(side, side)}" for side, count in sorted(gave_way.items()))


def _lost(gave_way: Mapping[str, int]) -> list[str]:
    if not gave_way:
        return []
    return ["", f"  values that gave way: {by_side(gave_way)}; to see them: python -m pipeline conflicts list"]


def _dead(reports: Sequence[Report], folder: Path) -> list[str]:
    lines = []
    for report in reports:
        where = folder / report.flow
        if report.dead:
            stages = ", ".join(f"{count:,} at {stage}" for stage, count in report.dead.items())
            lines.append(f"  dead letters: {stages}; look into {where}")
        if report.held:
            lines.append(f"  still dead: {report.held:,} unchanged since, in {where}")
    if lines:
        lines.append("  to see and mend them: python -m pipeline dead-letters list")
    return ["", *lines] if lines else []
