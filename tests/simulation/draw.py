"""Draws histories: one seed, one history, for ever the same as long as this file is."""

import random

from msgspec.structs import replace

from tests.simulation.steps import (
    SLOTS,
    Api,
    Change,
    Edit,
    Fault,
    History,
    Leased,
    Lose,
    Post,
    Restore,
    Run,
    Setting,
    Step,
    Together,
    Wait,
)


def _shares(said: str) -> dict[str, float]:
    """How often of each: ``one 3 other 1``."""
    words = said.split()
    return dict(zip(words[::2], map(float, words[1::2]), strict=True))


STEPS = _shares("edit 55 run 30 post 18 wait 8 together 3 change 2 lose 2 restore 1.5")
EDITS = _shares(
    "make 3 title 8 description 4 status 4 more 3 delete 2 undelete 3 remake 1 spoil 1.5 mend 2.5 remove .6"
)
TIMES = _shares("now 8 same 1 none 1 sentinel .5")
POSTS = _shares(
    "hold 3 deliver 3 deliver-last-first 3 deliver-again 3 take 6 half 1 whole 2 garbage 1 remove 1 rewrite 1"
)
DANGER = _shares(
    "tracos.find 2 tracos.write 5 decisions 2 letters 1 erp.list 2 erp.get .5 erp.settle 1 erp.push 6 disk 2 loop 2"
)
"""How often something goes wrong at a port."""
KINDS = _shares("kill-before 1 kill-after 2 cancel 1 edit 3")
KINDS_OF = {
    "tracos.find": _shares("lost-before 1 lost-after 2 late 1 not-primary 1"),
    "tracos.write": _shares("lost-before 1 lost-after 2 late 1 not-primary 1 rolled-back 2"),
    "erp.push": _shares("lost-before 1 lost-after 3 refuse 1"),
    "disk": _shares("kill-before 2 kill-after 1 full 1"),
    "loop": _shares("kill-before 1"),
}
"""What goes wrong at a port, beside what may at any."""
KINDS_OVER_HTTP = {
    "erp.push": _shares("lost-before 1 lost-after 3 refuse 1 500 1 429 1 403 1 timeout 2 torn 2"),
    "erp.list": _shares("lost-after 1 500 1 429 1 torn 1 timeout 1 repeat 2 skip 2"),
    "erp.get": _shares("lost-after 1 500 1 torn 1"),
}


IN_LANES = 0.3
"""The share of the histories that have runs in lanes; of their runs it is the rest."""


def draw(seed: int, *, leases: bool = True, lanes: bool = True) -> History:
    """The history that ``seed`` stands for; ``leases`` and ``lanes``: also what was added to it later."""
    rng = random.Random(f"history {seed}")
    setting = _setting(rng)
    steps: list[Step] = [Edit(rng.choice(("tracos", "erp")), 0, "make", 50)]
    steps += [_step(rng, setting, n) for n in range(rng.randint(4, 22))]
    if leases:
        steps += _under_leases(random.Random(f"leases {seed}"), setting)
    if lanes:
        steps = _in_lanes(random.Random(f"lanes {seed}"), steps)
    return History(setting, tuple(steps))


def _in_lanes(rng: random.Random, steps: list[Step]) -> list[Step]:
    """The same, where other processes may take what some of the runs read."""
    if rng.random() > IN_LANES:
        return steps

    def drawn(run: Run) -> Run:
        return replace(run, lanes=rng.randrange(1, 1 << 30)) if rng.random() < 1 - IN_LANES else run

    for at, step in enumerate(steps):
        match step:
            case Run():
                steps[at] = drawn(step)
            case Together():
                steps[at] = replace(step, first=drawn(step.first), second=drawn(step.second))
            case Leased():
                steps[at] = replace(step, runs=tuple(map(drawn, step.runs)))
    return steps


def _setting(rng: random.Random) -> Setting:
    layout = rng.choice(("status_order", "flag_order", "full"))
    setting = Setting(
        layout=layout,
        transport=rng.choice(("list", "list", "folders", "http")),
        ids=rng.choice(("shared", "client")),
        way=rng.choice(("same", "same", "cut", "upper", "trim", "escape")),
        stamps=rng.choice(("own", "told")),
        skew=rng.choice((0, rng.randint(-3600, 3600))),
        authority=(_authority(rng, layout),) if rng.random() < 0.3 else (),
        after=rng.choice(("keep", "keep", "archive", "delete")),
        api=_api(rng),
        machines=rng.choice((1, 1, 1, 2)),
    )
    if setting.skew or setting.transport == "folders":
        setting = replace(setting, stamps="own")  # of times of two clocks the older one may be the newer
    if setting.api.push == "PUT" and setting.way == "escape":
        setting = replace(setting, way="trim")  # what it shows and is told again with a PUT is escaped once more
    return setting


def _authority(rng: random.Random, layout: str) -> tuple[str, str]:
    fields = ["title", "status", *(["description"] if layout != "flag_order" else [])]
    return rng.choice(fields), rng.choice(("client", "tracos"))


def _api(rng: random.Random) -> Api:
    keys = rng.random() < 0.6
    return Api(
        page=rng.choice(("none", "link", "cursor", "page", "offset")),
        since=rng.random() < 0.4,
        push=rng.choice(("PATCH", "PUT")),
        keys=keys,
        find=not keys or rng.random() < 0.5,
        etag=rng.random() < 0.7,
        answers=rng.choice(("body", "body", "location", "nothing")),
    )


def _step(rng: random.Random, setting: Setting, n: int) -> Step:
    step: Step = _run(rng, setting, n)
    match _one_of(rng, STEPS):
        case "edit":
            step = _edit(rng, setting, n)
        case "post" if setting.transport == "folders":
            step = Post(_one_of(rng, POSTS))
        case "wait":
            step = Wait(rng.choice((0, 1, 60, 4000)))
        case "together" if _may_be_together(setting):
            step = Together(step, _run(rng, setting, n + 500))
        case "change":
            step = _change(rng, setting, n)
        case "lose":
            step = Lose(rng.choice(("lost", "old")), rng.randrange(setting.machines))
        case "restore" if _may_be_restored(setting):
            step = Restore(rng.randint(1, 8))
    return step


def _under_leases(rng: random.Random, setting: Setting) -> list[Step]:
    """What is played at the end, where there are several machines: runs that take the lease from each other."""
    steps: list[Step] = []
    for nth in range(rng.randint(0, 3) if setting.machines > 1 else 0):
        n = 20_000 + 1000 * nth
        steps += [_edit(rng, setting, n + at) for at in range(rng.randint(1, 3))]
        runs = [_leased(rng, setting, n + 100 * (at + 1), at) for at in range(setting.machines)]
        steps.append(Leased(tuple(runs), rng.choice((0, 0, 1, 20)), rng.choice((0, 20, 200, 200, 200))))
    return steps


def _leased(rng: random.Random, setting: Setting, n: int, machine: int) -> Run:
    """Where nothing but the lease keeps two from making one order twice, none is paused: it would tell it late."""
    run = replace(_run(rng, setting, n), machine=machine)
    if rng.random() < 0.4:
        return run
    what = rng.choice(("pause", "pause", "kill before") if _may_be_together(setting) else ("kill before",))
    port = rng.choice(
        ("tracos.find", "tracos.write", "tracos.lease", "decisions", "erp.list", "erp.settle", "erp.push")
    )
    return replace(run, faults=(Fault(port, rng.choices((1, 2, 3, 4), (4, 3, 2, 1))[0], what),))


def _may_be_together(setting: Setting) -> bool:
    """Whether an order is made once although two runs ask for it at once.

    Until there are leases that rests on the folder that one run locks, or on the ERP's own Idempotency-Keys.
    """
    keeps_apart = setting.transport == "folders" or (setting.transport == "http" and setting.api.keys)
    return setting.ids == "shared" or keeps_apart


def _may_be_restored(setting: Setting) -> bool:
    """Whether a restored TracOS gets everything back from the ERP.

    Not where files are gone once they are read; nor where the ERP keeps the times that it was told of, by another clock
    than its own: they look older than what was taken before, and that it was told is forgotten with them.
    """
    is_there = setting.after == "keep" or setting.transport != "folders"
    return is_there and (setting.stamps == "own" or not setting.skew)


def _change(rng: random.Random, setting: Setting, n: int) -> Change:
    what = rng.choice(("authority", "after", "version"))
    match what:
        case "authority":
            field, who = _authority(rng, setting.layout)
            return Change(what, who, field)
        case "after":
            return Change(what, rng.choice(("keep", setting.after)))
        case _:
            return Change(what, f"9.{n}")


def _edit(rng: random.Random, setting: Setting, n: int) -> Edit:
    side, what = rng.choice(("tracos", "erp")), _one_of(rng, EDITS)
    slot = rng.choices(range(SLOTS), (6, 3, 1))[0]  # few orders, so that what happens happens to the same one
    if what == "remove" and (side == "erp" or (setting.transport == "folders" and setting.after != "keep")):
        what = "title"
    return Edit(
        side, slot, what, n, _one_of(rng, TIMES) if side == "erp" else rng.choice(("now", "now", "same", "none"))
    )


def _run(rng: random.Random, setting: Setting, n: int) -> Run:
    """More often than not something goes wrong, where it is likely to hurt."""
    count = rng.choices((0, 1, 2, 3), (3, 4, 3, 1))[0]
    faults = tuple(_fault(rng, setting, 1000 + n * 10 + at) for at in range(count))
    shows_all = not (setting.transport == "http" and setting.api.since)
    late = tuple(slot for slot in range(SLOTS) if rng.random() < 0.05 and shows_all)
    refused = tuple(slot for slot in range(SLOTS) if rng.random() < 0.05)
    return Run(faults, late, rng.randrange(1 << 30), rng.randrange(setting.machines), refused)


def _fault(rng: random.Random, setting: Setting, n: int) -> Fault:
    port = _one_of(rng, DANGER)
    if port == "loop":
        return Fault(port, int(2 ** rng.uniform(2, 10)), "kill before")
    if port == "disk":
        return Fault(port, rng.randint(1, 30), _one_of(rng, KINDS_OF[port]))
    more = (KINDS_OVER_HTTP if setting.transport == "http" else {}).get(port) or KINDS_OF.get(port, {})
    what = _one_of(rng, KINDS | more)
    if what == "skip" and setting.api.since:  # what a page leaves out is asked for no more: an API's known limit
        what = "repeat"
    edit = _edit(rng, setting, n) if what == "edit" else None
    return Fault(port, rng.choices((1, 2, 3, 4), (4, 3, 2, 1))[0], what, edit)


def _one_of(rng: random.Random, shares: dict[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0].replace("-", " ")
