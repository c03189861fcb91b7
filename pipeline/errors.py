"""The errors of the pipeline: which stop the run, and which concern one item only.

    PipelineError
    ├── Fatal             the run stops, nothing of the batch in hand is acked     exit 1
    │   ├── Outage        a system stayed away after all retries                   exit 1
    │   │   └── TracosOutage  it was MongoDB: no client can be served              exit 1
    │   ├── WrongSettings the settings cannot work, nothing was started            exit 2
    │   ├── WrongUsage    what was asked for makes no sense, or is not there       exit 2
    │   ├── BudgetExceeded  more of something than a setting allows                exit 5
    │   ├── Held          somebody else is working on these orders                 exit 6
    │   └── Unhandled     items failed in a chain that has no dead_letters stage   exit 1
    ├── Rejected          this item cannot pass: it becomes a dead letter
    └── Deferred          this item is left as it is, for the next run
        └── Gone          and the other side does not have it any more

Any other ``Exception`` that an item's function raises makes a dead letter of that item too. Messages are one line:
what, which file or order, why, what to do; they hold neither payload contents nor credentials.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar, Final

from msgspec import Struct

__all__ = [
    "BudgetExceeded",
    "Deferred",
    "Fatal",
    "Gone",
    "Held",
    "Outage",
    "PipelineError",
    "Reason",
    "Rejected",
    "See",
    "TracosOutage",
    "Unhandled",
    "WrongSettings",
    "WrongUsage",
]

LONGEST_PATH: Final = 500


class Reason(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with an item: where in it, and what; ``message`` never holds the offending value."""

    message: str
    path: str = "$"
    """JSON path inside the record, such as ``$.createdAt``."""
    offset: int | None = None
    """Byte offset into the original bytes, where one is known."""
    quote: str = ""
    """What another system says of the item, in its own words: they may hold anything, and are kept out of the log."""

    @property
    def loggable(self) -> str:
        """All of it that may be logged: one line, in which whatever cannot be printed is an escape."""
        said = self.message if self.path == "$" else f"{_cut(self.path)}: {self.message}"
        return said if said.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in said)

    def __str__(self) -> str:
        return f"{self.loggable}: {self.quote}" if self.quote else self.loggable


def _cut(path: str) -> str:
    """A path in which the names of fields are as long as somebody likes; its end says most."""
    return path if len(path) <= LONGEST_PATH else f"$...{path[-LONGEST_PATH:]}"


class See(StrEnum):
    """What a person may look up in docs/troubleshooting.md, by the anchor of its section there."""

    API_ANSWERS = "an-apis-answers-cannot-be-used"
    API_AWAY = "an-api-does-not-answer"
    API_REFUSES = "an-api-refuses-us"
    COLLECTION = "a-collection-or-an-index-is-in-the-way"
    EDITED = "an-order-is-edited-time-and-again"
    EMBEDDED_ENDED = "the-embedded-mongodb-has-ended"
    EMBEDDED_FAILED = "the-embedded-mongodb-does-not-start"
    EMBEDDED_IN_USE = "the-embedded-mongodb-is-in-use"
    FILES = "a-file-or-a-folder-cannot-be-used"
    HELD = "somebody-else-has-the-lease"
    LETTERS = "the-dead-letters-cannot-be-written"
    LETTERS_IN_USE = "the-dead-letters-are-in-use"
    MONGODB_AWAY = "mongodb-does-not-answer"
    MONGODB_REFUSES = "mongodb-refuses-us"
    NO_MAJORITY = "no-majority"
    NO_MONGOD = "no-mongodb-to-embed"
    OUTBOUND_IN_USE = "the-outbound-folder-is-in-use"
    PORT = "the-port-cannot-be-had"
    TOO_MANY_DELETIONS = "too-many-deletions"
    TOO_MANY_LETTERS = "too-many-dead-letters"
    TWINS = "twins-in-tracos"
    UNEXPECTED = "something-unexpected"
    WORKERS = "workers-or-a-cluster-fail"


class PipelineError(Exception):
    """The root of all errors that the pipeline raises itself."""


class Fatal(PipelineError):
    """The run stops here; nothing of the batch in hand is acked.

    ``see`` is the section of docs/troubleshooting.md that tells more.
    """

    exit_code: ClassVar[int] = 1
    see: See | None = None

    def __init__(self, message: str = "", *, see: See | None = None) -> None:
        super().__init__(message)
        self.see = see or self.see


class Outage(Fatal):
    """A system stayed away after all retries."""


class TracosOutage(Outage):
    """MongoDB stayed away after all retries: no client can be served."""

    see = See.MONGODB_AWAY


class WrongSettings(Fatal):
    """The settings cannot work; ``problems`` are all of them, one line each."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class WrongUsage(Fatal):
    """What was asked for makes no sense, or is not there."""

    exit_code = 2


class BudgetExceeded(Fatal):
    """The run would do more of something than a setting allows."""

    exit_code = 5


class Held(Fatal):
    """Somebody else has the lease on these orders."""

    exit_code = 6
    see = See.HELD


class Unhandled(Fatal):
    """Items failed, and the chain has no ``dead_letters`` stage to put them aside."""

    see = See.UNEXPECTED


class Rejected(PipelineError):
    """This item cannot pass, for all of ``reasons``."""

    def __init__(self, *reasons: Reason | str) -> None:
        self.reasons = tuple(Reason(r) if isinstance(r, str) else r for r in reasons)
        super().__init__("; ".join(map(str, self.reasons)))


class Deferred(PipelineError):
    """This item is neither delivered nor dead: the next run looks at it again.

    ``quote`` is what another system says of it, in its own words; like a reason's it is no part of the message.
    """

    def __init__(self, message: str = "", *, quote: str = "") -> None:
        super().__init__(message)
        self.quote = quote


class Gone(Deferred):
    """The other side had this item, and has it no more: it is left, and whoever sent it may take it for deleted."""
