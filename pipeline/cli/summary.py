"""What a run did, in a few aligned lines for a person."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Final

from rich.cells import cell_len

from pipeline.cli.output import clean, fitted
from pipeline.cli.steps import steps
from pipeline.dataflow.run import Report
from pipeline.service.run import Ended
from pipeline.service.settings import Settings

__all__ = ["SIDES", "WORDS", "by_side", "summary", "summary_of"]

ARROWS: Final = {"inbound": "client → TracOS", "outbound": "TracOS → client"}

SIDES: Final = {"client": "the client", "tracos": "TracOS"}

WORDS: Final = {"repeat": "unchanged"}
"""Outcomes that are one to a reader: a repeat, and a record that was taken but changed nothing."""

BEGIN: Final = (("to try it on sample orders", "demo"), ("to set it up for orders of your own", "init"))
BETWEEN: Final = " · "
UNDER: Final = " " * 12
"""What was done, where it has no room beside the flow, stands under its arrow."""


def summary_of(ended: Ended, settings: Settings, width: int = 0) -> str:
    """The text of the summary of a run that has ended, for a terminal that is so wide; 0: for no terminal.

    Where nothing is set, and nothing is there, it says how to begin.
    """
    told = summary(
        ended.reports,
        failed=ended.befell,
        dead_letters=settings.data_dead_letter_dir,
        seconds=ended.seconds,
        ending=ended.record.ending,
        gave_way=ended.record.gave_way,
        drift=ended.record.drift,
        width=width,
    )
    return told if _is_begun(ended, settings) else told + "".join(f"{line}\n" for line in ["", *steps(BEGIN, width)])


def _is_begun(ended: Ended, settings: Settings) -> bool:
    return bool(
        settings.clients_file
        or settings.clients
        or settings.mongo_uri
        or settings.data_inbound_dir.exists()
        or any(report.received for reports in ended.reports.values() for report in reports)
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
    width: int = 0,
) -> str:
    """The text of the summary of ``reports``, those of each client, in lines of ``width`` at most, where that is said.

    ``ending`` says how the run ended (finished, incomplete, stopped, interrupted), ``failed`` what befell some clients,
    ``gave_way`` how many values of each side gave way to the other's, ``drift`` which keys of its records changed.
    """
    failed = failed or {}
    names = list(dict.fromkeys([*reports, *failed]))
    several = len(names) > 1
    every = [report for of_one in reports.values() for report in of_one]
    idle = "nothing to do" if ending in {"finished", "incomplete"} else "not read to the end"
    digits = max((len(f"{report.received:,}") for report in every), default=1)
    lines = [f"work orders, {f'{len(names)} clients' if several else names[0]} ⇄ TracOS: {ending} in {seconds:.1f} s"]
    for name in names:
        of_one = reports.get(name, ())
        told = _places(of_one)
        told += [""] if told and not several else []
        told += [line for report in of_one for line in _flow(report, digits, idle, width and width - 2 * several)]
        told += [f"  {failed[name]}; the log says why"] if name in failed else []
        if told:
            lines += ["", f"  {name}"] if several else [] if told[0].startswith("  TracOS: ") else [""]
        lines += [f"  {line}" if several else line for line in told]
    changed = [f"  {name}: {line}" for name, told in (drift or {}).items() for line in told]
    lines += ["", *changed] if changed else []
    parts = [_fit(lines, width), _lost(gave_way or {}, width), _dead(every, dead_letters, width)]
    return "".join(f"{line}\n" for line in chain.from_iterable(parts))


def _fit(lines: Iterable[str], width: int) -> list[str]:
    return [one for line in lines for one in fitted(clean(line), width)]


def _flow(report: Report, digits: int, idle: str, width: int) -> list[str]:
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
    lead = f"  {name:<9} {ARROWS.get(name, ''):<16} {report.received:>{digits},} read"
    return _told(lead, [f"{count:,} {word}" for word, count in said if count] or [idle], width)


def _told(lead: str, told: Sequence[str], width: int) -> list[str]:
    """All in a line, or, where there is no room, what was done under it, and broken between one thing and the next."""
    lines = [f"{lead}   {BETWEEN.join(told)}"]
    if width and cell_len(lines[0]) > width:
        lines = [lead]
        for one in told:
            longer = f"{lines[-1]}{BETWEEN}{one}"
            lines[1:] = [*lines[1:-1], longer] if lines[1:] and cell_len(longer) <= width else [*lines[1:], UNDER + one]
    return lines


def _places(reports: Sequence[Report]) -> list[str]:
    """Where TracOS is, and from where over it to where the orders of one client go."""
    ours = {"inbound": lambda one: one.sink, "outbound": lambda one: one.source}
    tracos = [ours[flow](one) for one in reports if (flow := one.flow.rpartition(".")[2]) in ours]
    places = [place for one in reports for place in (one.source, one.sink) if place]
    way = " → ".join("TracOS" if place in tracos else place for place, _ in groupby(places))
    if len(set(places)) == 2 and len(reports) == 2:  # noqa: PLR2004 - TracOS and the client, there and back
        way = f"{places[0]} ⇄ TracOS"
    return [f"  TracOS: {tracos[0]}", f"  {way}"] if places and tracos else []


def by_side(gave_way: Mapping[str, int]) -> str:
    """How many values gave way, by whose they were; empty where none did."""
    return ", ".join(f"{count:,} of {SIDES.get(side, side)}" for side, count in sorted(gave_way.items()))


def _lost(gave_way: Mapping[str, int], width: int) -> list[str]:
    if not gave_way:
        return []
    lines = _fit(["", f"  values that gave way: {by_side(gave_way)}"], width)
    return [*lines, *steps([("to see them", "conflicts list")], width)]


def _dead(reports: Sequence[Report], folder: Path, width: int) -> list[str]:
    lines = []
    for report in reports:
        where = folder / report.flow
        if report.dead:
            stages = ", ".join(f"{count:,} at {stage}" for stage, count in report.dead.items())
            lines.append(f"  dead letters: {stages}; look into {where}")
        if report.held:
            lines.append(f"  still dead: {report.held:,} unchanged since, in {where}")
    if not lines:
        return []
    return ["", *_fit(lines, width), *steps([("to see and mend them", "dead-letters list")], width)]
