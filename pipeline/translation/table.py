"""A layout as data: which path of the client's record holds which field of ours, and through which codec."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from pipeline.orders.workorder import Status, Values
from pipeline.translation.codecs import Codec, Reference, Text
from pipeline.translation.paths import Path

__all__ = ["At", "DeletedAt", "StatusAt", "Table", "at", "others"]

Told: TypeAlias = Literal["always", "create", "changed", "never"]
"""When a value is told: always; of a new order alone; where the client is not known to hold it already; never."""


class At(Struct, frozen=True):
    """Where one value is, and how it is read and written."""

    path: Path
    codec: Codec = Text()
    told: Told = "always"
    required: bool = False


class DeletedAt(Struct, frozen=True):
    """A value that says of an order that it is deleted."""

    path: Path
    when: str | int | bool = True
    otherwise: str | int | bool = False
    """What the client is told of an order that is there."""


class StatusAt(Struct, frozen=True, kw_only=True):
    """Where a record has its status, in which words, and which steps the client allows them."""

    path: Path = ()
    """Of ``flags``: the object that they are in."""
    words: Mapping[str, Status]
    """The client's word -> TracOS's; several may mean the same, and of several in a set the first here counts."""
    deleted: tuple[str, ...] = ()
    """Its words for an order that is deleted; the first is told."""
    tell: Mapping[Status, str] = {}
    """TracOS's word -> the client's, where that is not the first that means it, or none does."""
    steps: Mapping[str, Collection[str]] = {}
    """The client's word -> the words that it may become; one that is not here may become any."""
    first: Collection[str] = ()
    """The words that a new order may have; empty: any."""
    form: Literal["word", "set", "flags"] = "word"
    """One word; several, as a text with spaces or an array; or a flag for each word, exactly one of which is true."""
    codes: Mapping[Any, str] = {}
    """What a record says in place of a word -> the word."""
    plain: bool = True
    """Whether a word that has a code may also stand for itself."""
    beside: Path = ()
    """Where the client's own word is, if what is at ``path`` is one that a site has made up."""
    told: Told = "always"
    expected: str = ""
    """What to say where there is nothing like a status."""
    unknown: str = ""
    """What to say of a status that is not known; empty: which are."""

    def __post_init__(self) -> None:
        """Raise ValueError for a status that cannot be told."""
        untold = [status for status in Status if status not in self.word_of]
        if untold:
            raise ValueError(f"no word for {', '.join(untold)}: say in tell what is told instead")

    @property
    def word_of(self) -> dict[Status, str]:
        """TracOS's word -> the one that the client is told."""
        first: dict[Status, str] = {}
        for word, status in self.words.items():
            first.setdefault(status, word)
        return first | dict(self.tell)

    @property
    def is_exact(self) -> bool:
        """Whether each status has a word of its own."""
        return len(self.words) == len(set(self.word_of.values())) == len(Status)


class Table(Struct, frozen=True, kw_only=True):
    """One client's form of a work order; ``layout_of`` makes the functions of it."""

    name: str
    id: At
    status: StatusAt
    reference: At | None = None
    """Where a record says our number; told of every new order, and never merged."""
    created_at: At | None = None
    updated_at: At | None = None
    title: At | None = None
    description: At | None = None
    deleted: DeletedAt | None = None
    deleted_at: At | None = None
    """Of a table without other signs of deletion: a date here is one. An order is else told as cancelled."""
    more: Mapping[str, At] = {}
    """Other fields of the TracOS document, by their names there."""
    where: Mapping[Path, tuple[Any, ...]] = {}
    """Only records with one of these values are the client's; where there is just one, a new order is told it."""
    constants: Mapping[Path, Any] = {}
    """What is told with every order."""

    def referring(self, key: Any) -> "Table":
        """The table, with our number at ``key``, told as a text; the same where that is no key."""
        place = At((key,), Reference(as_text=True)) if isinstance(key, str) and key else self.reference
        return replace(self, reference=place)

    @property
    def keys(self) -> set[str]:
        """The outermost keys that the table knows."""
        return {path[0] for path in self.paths}

    def __post_init__(self) -> None:
        """Raise ValueError for a reference that could not be told."""
        if self.reference is not None and not isinstance(self.reference.codec, Reference):
            raise ValueError(f"{self.name}: reference: its codec must be Reference")

    @property
    def is_date_alone(self) -> bool:
        """Whether a date says that an order is deleted, and nothing else does."""
        return self.deleted_at is not None and self.deleted is None and not self.status.deleted

    @property
    def is_deletable(self) -> bool:
        """Whether it can be said that an order is deleted."""
        return self.deleted_at is not None or self.deleted is not None or bool(self.status.deleted)

    @property
    def word_of(self) -> Callable[[Values], str | None]:
        """The function that gives the client's word for the status of an order."""
        words, deletable = self.status.word_of, self.is_deletable
        gone = self.status.deleted[0] if self.status.deleted else None if deletable else words[Status.CANCELLED]

        def word_of(values: Values) -> str | None:
            if values.deleted and gone is not None:
                return gone
            return None if values.status is None else words[values.status]

        return word_of

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths that the table knows, each once."""
        return tuple(dict.fromkeys(path for path in self._paths() if path))

    def _paths(self) -> Iterator[Path]:
        status = self.status
        yield self.id.path
        yield self.reference.path if self.reference else ()
        if status.form == "flags":
            yield from ((*status.path, flag) for flag in (*status.words, *status.deleted))
        else:
            yield from (status.path, status.beside)
        places = (self.created_at, self.updated_at, self.title, self.description, self.deleted, self.deleted_at)
        yield from (place.path for place in (*places, *self.more.values()) if place is not None)
        yield from (*self.where, *self.constants)


CODE: Final = Text(empty=False)


def others(**fields: str | tuple[str, Codec]) -> dict[str, At]:
    """Fields of the document, told where they have changed: the path of each, and its codec where that is no code."""
    return {field: at(*((one, CODE) if isinstance(one, str) else one), "changed") for field, one in fields.items()}


def at(path: str, codec: Codec | None = None, told: Told = "always", *, required: bool = False) -> At:
    """Where a value is: keys joined by dots."""
    return At(tuple(path.split(".")), codec or Text(), told, required)
