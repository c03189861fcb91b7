"""Make a failing history shorter, as long as it fails."""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from tests.simulation.steps import Api, History, Leased, Run, Step, Together, Wait


def shrunk(history: History, fails: Callable[[History], bool]) -> History:
    """The shortest that is found by leaving out one step, or one fault, after the other."""
    is_shorter = True
    while is_shorter:
        is_shorter = False
        for shorter in _shorter(history):
            if fails(shorter):
                history, is_shorter = shorter, True
                break
    return history


def _shorter(history: History) -> Iterator[History]:
    steps = history.steps
    for size in (len(steps) // 2, len(steps) // 4, 1):
        if size:
            for at in range(len(steps) - size, -1, -1):
                yield replace(history, steps=steps[:at] + steps[at + size :])
    for at, step in enumerate(steps):
        for simpler in _simpler(step):
            yield replace(history, steps=(*steps[:at], simpler, *steps[at + 1 :]))
    plain = {
        "skew": 0,
        "authority": (),
        "way": "same",
        "stamps": "own",
        "ids": "shared",
        "layout": "status_order",
        "transport": "list",
        "after": "keep",
        "machines": 1,
        "api": Api(),
    }
    for name, value in plain.items():
        if getattr(history.setting, name) != value:
            yield replace(history, setting=replace(history.setting, **{name: value}))


def _simpler(step: Step) -> Iterator[Step]:
    if isinstance(step, Run):
        for at in range(len(step.faults)):
            yield replace(step, faults=step.faults[:at] + step.faults[at + 1 :])
        for at in range(len(step.late)):
            yield replace(step, late=step.late[:at] + step.late[at + 1 :])
        for at in range(len(step.refused)):
            yield replace(step, refused=step.refused[:at] + step.refused[at + 1 :])
        if step.jitter:
            yield replace(step, jitter=0)
        if step.machine:
            yield replace(step, machine=0)
        if step.lanes:
            yield replace(step, lanes=0)
    elif isinstance(step, Together):
        yield from (step.first, step.second)
        yield from (replace(step, first=first) for first in _simpler(step.first))
        yield from (replace(step, second=second) for second in _simpler(step.second))
    elif isinstance(step, Leased):
        yield from step.runs
        simpler = ((at, one) for at, run in enumerate(step.runs) for one in _simpler(run))
        yield from (replace(step, runs=(*step.runs[:at], one, *step.runs[at + 1 :])) for at, one in simpler)
    elif isinstance(step, Wait) and step.seconds:
        yield replace(step, seconds=0)
