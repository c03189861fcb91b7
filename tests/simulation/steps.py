"""What happens in a history: a setting, and steps, each of which can be left out."""

from typing import Literal

from msgspec import Struct

SLOTS = 3
PORTS = (
    *("tracos.find", "tracos.write", "tracos.lease", "decisions", "letters"),
    *("erp.list", "erp.get", "erp.settle", "erp.push"),
    *("disk", "loop"),
)
"""Through what a run reaches the world; ``disk`` counts calls of the system, ``loop`` steps of the event loop."""

Side = Literal["tracos", "erp"]


class Edit(Struct, frozen=True, tag=True):
    """Somebody edits one order on one side; where it is not there it is made, or nothing happens."""

    side: Side
    slot: int
    """Which order."""
    what: Literal[
        *("make", "title", "description", "status", "more", "delete", "undelete", "remake"),
        *("spoil", "mend", "remove"),
    ]
    """``spoil`` makes it one that cannot be understood, ``remove`` removes it without leaving a mark."""
    n: int
    """Tells its value from all others."""
    time: Literal["now", "same", "none", "sentinel"] = "now"
    """What becomes of the order's update time; ``sentinel`` is a date that nobody means."""

    def __str__(self) -> str:
        when = {"now": "", "same": ", its time stays", "none": ", without a time", "sentinel": ", in the year 9999"}
        return f"{self.side}: {self.what} of order {self.slot} (value {self.n}){when[self.time]}"


class Fault(Struct, frozen=True):
    """What goes wrong in a run, at the ``nth`` use of a port."""

    port: str
    nth: int
    what: Literal[
        *("kill before", "kill after", "cancel", "lost before", "lost after", "late", "refuse", "edit", "full"),
        *("500", "429", "403", "timeout", "torn", "repeat", "skip"),
        *("not primary", "rolled back", "pause"),
    ]
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
    machine: int = 0
    """On which computer."""
    refused: tuple[int, ...] = ()
    """The orders that the ERP does not take, whatever it is told of them."""
    lanes: int = 0
    """Seeds what becomes of the processes that take its records side by side; 0: it has none."""

    def __str__(self) -> str:
        more = [f"the list leaves out order {slot}" for slot in self.late]
        more += [f"the ERP refuses order {slot}" for slot in self.refused]
        where = f" on machine {self.machine}" if self.machine else ""
        where += f" in lanes (seed {self.lanes})" if self.lanes else ""
        return f"a run{where}" + "".join(f"; {one}" for one in (*map(str, self.faults), *more))


class Together(Struct, frozen=True, tag=True):
    """Two runs at once."""

    first: Run
    second: Run

    def __str__(self) -> str:
        return f"at once: {self.first} | {self.second}"


class Leased(Struct, frozen=True, tag=True):
    """Several runs, one soon after the other, each under the client's lease."""

    runs: tuple[Run, ...]
    apart: int
    """Seconds from one to the next."""
    wait: int
    """Seconds that each waits for the lease."""

    def __str__(self) -> str:
        runs = " | ".join(map(str, self.runs))
        return f"under leases, {self.apart} s apart, each waits {self.wait} s: {runs}"


class Wait(Struct, frozen=True, tag=True):
    """Time passes."""

    seconds: int

    def __str__(self) -> str:
        return f"{self.seconds} s pass"


class Post(Struct, frozen=True, tag=True):
    """What happens between the ERP and the two folders, where it is reached through folders."""

    what: Literal[
        *("hold", "deliver", "deliver last first", "deliver again", "take"),
        *("half", "whole", "garbage", "remove", "rewrite"),
    ]

    def __str__(self) -> str:
        return {
            "hold": "the ERP's files are held up",
            "deliver": "the ERP's files arrive",
            "deliver last first": "the ERP's files arrive, the last one first",
            "deliver again": "the file that arrived last arrives again",
            "take": "the ERP takes our files",
            "half": "the first half of the file that arrived last arrives again, in its place",
            "whole": "what is half there, or garbage, is written whole",
            "garbage": "a file arrives that is none of the ERP's",
            "remove": "somebody removes the file that arrived last",
            "rewrite": "the file that arrived last is written again as it is",
        }[self.what]


class Change(Struct, frozen=True, tag=True):
    """Somebody changes the settings, or another version is installed."""

    what: Literal["authority", "after", "version"]
    value: str
    field: str = ""

    def __str__(self) -> str:
        return f"settings: {self.what} is {self.value} {self.field}".rstrip()


class Lose(Struct, frozen=True, tag=True):
    """What a machine remembers is lost, or as it was before."""

    what: Literal["lost", "old"]
    machine: int = 0

    def __str__(self) -> str:
        return f"the state of machine {self.machine} is {self.what}"


class Restore(Struct, frozen=True, tag=True):
    """TracOS is restored to what it was some steps ago."""

    steps: int

    def __str__(self) -> str:
        return f"TracOS is restored to what it was {self.steps} steps ago"


Step = Edit | Run | Together | Leased | Wait | Post | Change | Lose | Restore


def alone(step: Step) -> Step:
    """Of several runs at once the first; any other step as it is."""
    match step:
        case Together(first=first):
            return first
        case Leased(runs=runs):
            return runs[0]
    return step


class Api(Struct, frozen=True):
    """How an ERP that is reached over HTTP lists and takes orders."""

    page: Literal["none", "link", "cursor", "page", "offset"] = "none"
    since: bool = False
    """Only what changed since the last run is asked for."""
    push: Literal["PATCH", "PUT"] = "PATCH"
    keys: bool = True
    """The same Idempotency-Key is applied once."""
    find: bool = True
    """It can be asked for the order that has our number."""
    etag: bool = True
    """A push is refused where somebody has changed the order."""
    answers: Literal["body", "location", "nothing"] = "body"
    """How it tells the id of an order that it has made."""
    absent: Literal["dead_letter", "delete"] = "dead_letter"
    """What becomes of an order that it has no more."""


class Setting(Struct, frozen=True):
    """What stays the same all through a history, unless a Change says otherwise."""

    layout: Literal["status_order", "flag_order", "full"]
    transport: Literal["list", "folders", "http"]
    """Whether it shows all its orders each time, or writes a file for each change."""
    ids: Literal["shared", "client"]
    way: Literal["same", "cut", "upper", "trim", "escape"]
    """What the ERP makes of texts."""
    stamps: Literal["own", "told"]
    """Whose time the ERP keeps of an order that it is told of."""
    skew: int
    """How many seconds the ERP's clock is ahead."""
    authority: tuple[tuple[str, str], ...]
    after: Literal["keep", "archive", "delete"] = "keep"
    """What becomes of an inbound file that is done."""
    api: Api = Api()
    machines: int = 1

    @property
    def is_asked_by_time(self) -> bool:
        """Whether the ERP shows what has changed since a time; then it dates all its orders."""
        return self.transport == "http" and self.api.since

    def __str__(self) -> str:
        says = ", ".join(f"{field}: {who}" for field, who in self.authority) or "the newest"
        more = {"folders": f", files: {self.after}", "http": f", {self.api}"}.get(self.transport, "")
        return (
            f"layout {self.layout}, {self.transport}{more}, ids {self.ids}, texts {self.way}, times {self.stamps}, "
            f"clock {self.skew:+} s, {self.machines} machines, has the say: {says}"
        )


class History(Struct, frozen=True):
    """One history."""

    setting: Setting
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join([str(self.setting), *(f"{at:3}. {step}" for at, step in enumerate(self.steps, 1))])
