"""What goes wrong with the answers of a fake ERP, and what it does otherwise than the plain one."""

import html
import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct

__all__ = ["Faults", "Habits"]

CUT: Final = 8
"""What it keeps of a text that it cuts."""

RENDERED: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "cut": lambda text: text[:CUT],
        "trim": lambda text: " ".join(text.split()),
        "upper": str.upper,
        "escape": html.escape,
    }
)


class Faults:
    """What goes wrong: a ``share`` of all answers, of ``kinds``, chosen by ``seed``.

    ``429`` (with Retry-After), ``500``, ``503``, ``drop`` (the connection is closed, half of the time after the work
    was done), ``lost`` (the same of a write alone, and always after the work), ``torn`` (half an answer), ``garbled``
    (a page that is no JSON), ``duplicate`` (a page that holds some orders of the page before again), ``reorder`` (a
    page in another order).
    """

    ALL: Final = ("429", "500", "503", "drop", "torn", "garbled", "duplicate", "reorder")

    def __init__(self, share: float = 0.0, kinds: tuple[str, ...] = ALL, *, seed: int = 0) -> None:
        self.share = share
        self.kinds = kinds
        self.retry_after = "0"
        self._random = random.Random(seed)  # noqa: S311 - faults, no secrets
        self._next: list[str] = []

    def once(self, *kinds: str) -> None:
        """These, one after the other, whatever the share."""
        self._next += kinds

    def draw(self, *, writes: bool = True) -> str | None:
        """What is to go wrong with one answer, to a request that ``writes`` or only reads."""
        if self._next:
            return self._next.pop(0) if writes or self._next[0] != "lost" else None
        fault = self._random.choice(self.kinds) if self._random.random() < self.share else None
        return fault if writes or fault != "lost" else None

    def coin(self) -> bool:
        """One of two."""
        return self._random.random() < 0.5  # noqa: PLR2004 - half


class Habits(Struct, frozen=True, kw_only=True):
    """What an ERP does otherwise than the plain one."""

    numbers: Callable[[int], int | str] | None = None
    """It numbers its orders itself: the id of the n-th; only POST to the list creates, whatever id it is told."""
    answers: Literal["body", "location", "nothing"] = "body"
    """How it tells the id of an order that it has created."""
    reference: str = ""
    """The key at which an order holds our number; a parameter of that name finds the orders that have it."""
    honours_keys: bool = True
    """The same Idempotency-Key is applied once."""
    renders: Sequence[Literal["cut", "trim", "upper", "escape"]] = ()
    """What it makes of the texts that it is told."""
    texts: Sequence[str] = ("title", "description", "summary")
    """The keys of those texts."""
    csrf: bool = False
    """A write needs a token that a read gives, and its cookie."""
    cap: int | None = None
    """It never shows more orders in a page, whatever it is asked for."""
    late: int = 0
    """Its list shows everything as it was before so many of the last writes."""
    gone: int = 404
    """What it answers of an order that was removed."""

    def rendered(self, key: str, value: object) -> object:
        """What it holds, where it is told ``value`` at ``key``."""
        if isinstance(value, str) and key in self.texts:
            for way in self.renders:
                value = RENDERED[way](value)
        return value
