"""What happens in a history: steps, drawn from a seed, each of which can be left out."""

import random
from typing import Literal

from msgspec import Struct

SLOTS = 3
PORTS = ("tracos.find", "tracos.write", "decisions", "erp.list", "erp.settle", "erp.push", "letters")

Side = Literal["tracos", "erp"]


class Edit(Struct, frozen=True, tag=True):
    """Somebody edits one order on one side; where it is not there it is made, or nothing happens."""

    side: Side
    slot: int
    """Which order."""
    what: Literal["make", "title", "description", "status", "more", "delete", "undelete", "remake"]
    n: int
    """Tells its value from all others."""
    time: Literal["now", "same", "none"] = "now"
    """What becomes of the order's update time."""

    def __str__(self) -> str:
        when = {"now": "", "same": ", its time stays", "none": ", without a time"}[self.time]
        return f"{self.side}: {self.what} of order {self.slot} (value {self.n}){when}"


class Fault(Struct, frozen=True):
    """What goes wrong in a run, at the ``nth`` use of a port."""

    port: str
    nth: int
    what: Literal["kill before", "kill after", "cancel", "lost before", "lost after", "refuse", "edit"]
    edit: Edit | None = None

    def __str__(self) -> str:
        return f"{self.what} {self.port} #{self.nth}" + (f" [{self.edit}]" if self.edit else "")


class Run(Struct, frozen=True, tag=True):
    """The program runs: inbound, then outbound."""

    faults: tuple[Fault, ...] = ()
    late: tuple[int, ...] = ()
    """The orders that the list leaves out."""
    jitter: int = 0
    """Seeds how long each port takes."""

    def __str__(self) -> str:
        late = [f"the list leaves out order {slot}" for slot in self.late]
        return "a run" + "".join(f"; {one}" for one in (*map(str, self.faults), *late))


class Wait(Struct, frozen=True, tag=True):
    """Time passes."""

    seconds: int

    def __str__(self) -> str:
        return f"{self.seconds} s pass"


class Post(Struct, frozen=True, tag=True):
    """What happens between the ERP and the two folders, where it is reached through folders."""

    what: Literal["hold", "deliver", "deliver last first", "deliver again", "take"]

    def __str__(self) -> str:
        return {
            "hold": "the ERP's files are held up",
            "deliver": "the ERP's files arrive",
            "deliver last first": "the ERP's files arrive, the last one first",
            "deliver again": "the file that arrived last arrives again",
            "take": "the ERP takes our files",
        }[self.what]


Step = Edit | Run | Wait | Post


class Setting(Struct, frozen=True):
    """What stays the same all through a history."""

    layout: Literal["status_order", "flag_order", "full"]
    transport: Literal["list", "folders"]
    """Whether it shows all its orders each time, or writes a file for each change."""
    ids: Literal["shared", "client"]
    way: Literal["same", "cut", "upper", "trim", "escape"]
    """What the ERP makes of texts."""
    stamps: Literal["own", "told"]
    """Whose time the ERP keeps of an order that it is told of."""
    skew: int
    """How many seconds the ERP's clock is ahead."""
    authority: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        says = ", ".join(f"{field}: {who}" for field, who in self.authority) or "the newest"
        return (
            f"layout {self.layout}, {self.transport}, ids {self.ids}, texts {self.way}, times {self.stamps}, "
            f"clock {self.skew:+} s, has the say: {says}"
        )


class History(Struct, frozen=True):
    """One history."""

    setting: Setting
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join([str(self.setting), *(f"{at:3}. {step}" for at, step in enumerate(self.steps, 1))])


def draw(seed: int) -> History:
    """The history that ``seed`` stands for; the same for ever, as long as this file is."""
    rng = random.Random(f"history {seed}")
    layout = rng.choice(("status_order", "flag_order", "full"))
    fields = ["title", "status", *(["description"] if layout != "flag_order" else [])]
    setting = Setting(
        layout=layout,
        transport=rng.choice(("list", "list", "folders")),
        ids=rng.choice(("shared", "client")),
        way=rng.choice(("same", "same", "cut", "upper", "trim", "escape")),
        stamps=rng.choice(("own", "told")),
        skew=rng.choice((0, rng.randint(-3600, 3600))),
        authority=((rng.choice(fields), rng.choice(("client", "tracos"))),) if rng.random() < 0.3 else (),
    )
    steps: list[Step] = [Edit(rng.choice(("tracos", "erp")), 0, "make", 50)]
    for n in range(rng.randint(4, 22)):
        luck = rng.random()
        if luck < 0.55:
            steps.append(_edit(rng, n))
        elif luck < (0.8 if setting.transport == "folders" else 0.87):
            steps.append(_run(rng, n))
        elif setting.transport == "folders" and luck < 0.97:
            steps.append(Post(rng.choice(("hold", "deliver", "deliver last first", "deliver again", "take", "take"))))
        else:
            steps.append(Wait(rng.choice((0, 1, 60, 4000))))
    return History(setting, tuple(steps))


def _edit(rng: random.Random, n: int) -> Edit:
    what = rng.choices(
        ("make", "title", "description", "status", "more", "delete", "undelete", "remake"), (3, 8, 4, 4, 3, 2, 3, 1)
    )[0]
    time = rng.choices(("now", "same", "none"), (8, 1, 1))[0]
    slot = rng.choices(range(SLOTS), (6, 3, 1))[0]  # few orders, so that what happens happens to the same one
    return Edit(rng.choice(("tracos", "erp")), slot, what, n, time)


def _run(rng: random.Random, n: int) -> Run:
    """More often than not something goes wrong, where it is likely to hurt."""
    faults = []
    for at in range(rng.choices((0, 1, 2, 3), (3, 4, 3, 1))[0]):
        port = rng.choices(PORTS, (2, 5, 2, 1, 1, 6, 1))[0]
        kinds = ["kill before", "kill after", "kill after", "cancel", "edit", "edit", "edit"]
        if port.startswith("tracos"):
            kinds += ["lost before", "lost after", "lost after"]
        if port == "erp.push":
            kinds += ["lost before", "lost after", "lost after", "lost after", "refuse"]
        what = rng.choice(kinds)
        edit = _edit(rng, 1000 + n * 10 + at) if what == "edit" else None
        faults.append(Fault(port, rng.choices((1, 2, 3, 4), (4, 3, 2, 1))[0], what, edit))
    late = tuple(slot for slot in range(SLOTS) if rng.random() < 0.05)
    return Run(tuple(faults), late, rng.randrange(1 << 30))
