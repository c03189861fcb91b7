"""Tables as settings spell them: plain data, such as TOML gives, made into a Table; pure.

A path is a text of keys joined by dots, or a list of keys where one has a dot; of a row, it is the head of a column.
All that is wrong is told at once, each thing with its key and, where a word looks like a known one, with that.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

from msgspec import Struct

from pipeline.clients.table_keys import (
    DELETED,
    FORMS,
    OF_FIELD,
    OF_KIND,
    OPTIONS,
    OWN,
    PLACES,
    REQUIRED,
    TABLES,
    TOLD,
    TOLD_OF_FIELD,
)
from pipeline.errors import WrongSettings
from pipeline.orders.workorder import Kind, Status
from pipeline.translation.codecs import Codec, Flag, Id, Number, Reference, Text, Time, Words, precision
from pipeline.translation.paths import Path
from pipeline.translation.table import At, DeletedAt, StatusAt, Table
from pipeline.transports.settings import ClientSettings

__all__ = ["Mistake", "WrongTable", "spoken_by", "table_of"]

Key: TypeAlias = tuple[str, ...]

UNREAD: Final = "what it writes is not read as the same date; it needs at least a year, a month and a day"
DIGITS: Final = 18
"""Of a word that may stand for a number: more are no code, and of thousands Python makes no number."""


class Mistake(Struct, frozen=True):
    """One thing that is wrong with a table."""

    key: Key
    """Where in the table, by its keys."""
    what: str
    near: str = ""
    """What was perhaps meant."""

    def __str__(self) -> str:
        return f"{'.'.join(self.key)}: {self.what}" + (f"; did you mean {self.near}?" if self.near else "")


class WrongTable(WrongSettings):
    """A table that cannot work, for all of ``mistakes``."""

    def __init__(self, name: str, mistakes: Collection[Mistake]) -> None:
        self.name = name
        self.mistakes = tuple(mistakes)
        super().__init__(f"layouts.{name}.{mistake}" for mistake in mistakes)


def table_of(name: str, said: Mapping[str, Any], *, is_row: bool = False) -> Table:
    """The table that ``said`` spells; ``is_row``: over rows of CSV. Raises WrongTable with all that is wrong."""
    spelling = _Spelling(is_row)
    table = spelling.table(name, said)
    if spelling.mistakes or table is None:
        raise WrongTable(name, spelling.mistakes)
    return table


def spoken_by(settings: ClientSettings, built_in: tuple[Table, ...], *, is_row: bool = False) -> tuple[Table, ...]:
    """The tables of a client: the one of its settings that its ``layout`` names, else those that are ``built_in``."""
    name = settings.layout
    if name is None or name not in settings.layouts:
        return built_in
    return (table_of(name, settings.layouts[name], is_row=is_row),)


class _Spelling:
    """Reads the parts of a table, and notes what is wrong; what it returns is then of the right type, or None."""

    def __init__(self, is_row: bool) -> None:
        self._is_row = is_row
        self.mistakes: list[Mistake] = []
        self._taken: dict[Path, Key] = {}

    def wrong(self, key: Key, what: str, word: Any = None, known: Collection[str] = ()) -> None:
        """Note one mistake; ``word`` is compared with those that are ``known``, which are named."""
        near = get_close_matches(word, known, 1) if isinstance(word, str) else ()
        what += f"; known: {', '.join(known)}" if known else ""
        self.mistakes.append(Mistake(key, what, near[0] if near else ""))

    def table(self, name: str, said: Mapping[str, Any]) -> Table | None:
        self._known((), said, (*OPTIONS, *TABLES))
        for key in REQUIRED:
            if key not in said:
                self.wrong((key,), "required, but missing")
        if "deleted" in said and "deleted_at" in said:
            self.wrong(("deleted_at",), "there is deleted as well: one of them says that an order is deleted")
        parts: dict[str, Any] = {
            key: self._place((key,), said[key], OPTIONS[key], what) for key, what in PLACES.items() if key in said
        }
        status = self._status(said["status"]) if "status" in said else None
        deleted = self._deleted(said["deleted"]) if "deleted" in said else None
        more = {
            field: place
            for field, one in self._mapping(("fields",), said.get("fields", {})).items()
            if self._is_field(field) and (place := self._field(("fields", field), one)) is not None
        }
        constants = {
            path: value
            for text, value in self._mapping(("constants",), said.get("constants", {})).items()
            if (path := self._taken_path(("constants", text), text)) and self._is_plain(("constants", text), value)
        }
        where = dict(self._where(said.get("where", {})))
        if status is None or parts.get("id") is None:
            return None
        return Table(name=name, status=status, deleted=deleted, more=more, where=where, constants=constants, **parts)

    def _place(self, key: Key, said: Any, options: Collection[str], what: str) -> At | None:
        """Where a value is: a path, or a table with it ``at``."""
        table = said if isinstance(said, Mapping) else {"at": said}
        self._known(key, table, ("at", *options))
        path = self._taken_path(key, table.get("at"))
        others = TOLD_OF_FIELD if key[0] == "fields" else TOLD
        told = self._one_of((*key, "told"), table.get("told", "always"), others)
        required = self._flag((*key, "required"), table.get("required", key == ("created_at",)))
        codec = self._codec(what, key, table)
        return At(path, codec, told, required) if path and codec else None

    def _field(self, key: Key, said: Any) -> At | None:
        kind = said.get("kind", Kind.TEXT) if isinstance(said, Mapping) else Kind.TEXT
        if self._one_of((*key, "kind"), kind, list(Kind)) is None:
            return None
        return self._place(key, said, (*OF_FIELD, *OF_KIND[Kind(kind)]), Kind(kind))

    def _status(self, said: Any) -> StatusAt | None:
        key: Key = ("status",)
        if not isinstance(said, Mapping):
            self.wrong(key, "expected a table with at and words")
            return None
        self._known(key, said, ("at", *OPTIONS["status"]))
        form = self._one_of((*key, "form"), said.get("form", "word"), FORMS)
        is_flags = form == "flags"
        path = () if is_flags and "at" not in said else self._taken_path(key, said.get("at"))
        words, deleted, before = {}, [], len(self.mistakes)
        for word, meaning in self._mapping((*key, "words"), said.get("words")).items():
            if meaning == DELETED:
                deleted.append(word)
            elif self._one_of((*key, "words", word), meaning, [*Status, DELETED]) is not None:
                words[word] = Status(meaning)
        known = [*words, *deleted]
        tell = {
            Status(status): word
            for status, word in self._mapping((*key, "tell"), said.get("tell", {})).items()
            if self._one_of((*key, "tell"), status, list(Status)) and self._one_of((*key, "tell", status), word, known)
        }
        untold = [status for status in Status if status not in {*words.values(), *tell}]
        if untold and len(self.mistakes) == before:
            self.wrong((*key, "words"), f"no word for {', '.join(untold)}: say in tell what is told instead")
        steps = {
            word: self._words((*key, "steps", word), after, known)
            for word, after in self._mapping((*key, "steps"), said.get("steps", {})).items()
            if self._one_of((*key, "steps"), word, known)
        }
        first = self._words((*key, "first"), said.get("first", []), known)
        beside = self._path((*key, "beside"), said["beside"]) if "beside" in said else ()
        if untold or path is None or form is None:
            return None
        codes = {int(word): word for word in known} if self._are_numbers(said, known) else {}
        return StatusAt(
            path=path,
            words=words,
            deleted=tuple(deleted),
            tell=tell,
            steps=steps,
            first=first,
            form=form,
            codes=codes,
            beside=beside or (),
        )

    def _deleted(self, said: Any) -> DeletedAt | None:
        key: Key = ("deleted",)
        table = said if isinstance(said, Mapping) else {"at": said}
        self._known(key, table, ("at", *OPTIONS["deleted"]))
        path = self._taken_path(key, table.get("at"))
        when = table.get("when", "true" if self._is_row else True)
        if not self._is_plain((*key, "when"), when):
            return None
        unsaid = ("false" if when == "true" else "") if isinstance(when, str) else type(when)(not when)
        otherwise = table.get("otherwise", unsaid)
        if not self._is_plain((*key, "otherwise"), otherwise):
            return None
        if str(when) == str(otherwise) or isinstance(when, bool) is not isinstance(otherwise, bool):
            self.wrong((*key, "otherwise"), "expected another value of the kind of when")
        return DeletedAt(path, when, otherwise) if path else None

    def _where(self, said: Any) -> Iterator[tuple[Path, tuple[Any, ...]]]:
        for text, value in self._mapping(("where",), said).items():
            values = value if isinstance(value, list) else [value]
            path = self._path(("where", text), text)
            if not values:
                self.wrong(("where", text), "expected a value, or several in a list")
            elif path and all(self._is_plain(("where", text), one) for one in values):
                yield path, tuple(values)

    def _known(self, key: Key, said: Mapping[str, Any], known: Collection[str]) -> None:
        for name in said:
            if name not in known:
                self.wrong((*key, str(name)), "there is no such key", name, known)

    def _mapping(self, key: Key, said: Any) -> Mapping[str, Any]:
        if isinstance(said, Mapping):
            return said
        self.wrong(key, "required, but missing" if said is None else "expected a table")
        return {}

    def _one_of(self, key: Key, said: Any, known: Collection[str]) -> Any:
        """``said``, where it is known."""
        if isinstance(said, str) and said in known:
            return said
        self.wrong(key, f"there is no {said}" if isinstance(said, str) else "expected a word", said, known)
        return None

    def _words(self, key: Key, said: Any, known: Collection[str]) -> tuple[str, ...]:
        if not isinstance(said, list):
            self.wrong(key, "expected words in a list")
            return ()
        return tuple(word for word in said if self._one_of(key, word, known) is not None)

    def _flag(self, key: Key, said: Any) -> bool:
        if not isinstance(said, bool):
            self.wrong(key, "expected true or false")
        return said is True

    def _is_plain(self, key: Key, said: Any) -> bool:
        if isinstance(said, str | int | float | bool):
            return True
        self.wrong(key, "expected a text, a number, true or false")
        return False

    def _is_field(self, field: str) -> bool:
        fault = None
        if field in OWN:
            fault = "has a key of its own, or is nobody's to write"
        elif not field or field.startswith("$") or "." in field or "\0" in field:
            fault = "no name of a field: without dots, and not beginning with $"
        if fault:
            self.wrong(("fields", field), fault)
        return fault is None

    def _are_numbers(self, said: Mapping[str, Any], words: Collection[str]) -> bool:
        """Whether the client's words are whole numbers, which ``kind`` says, or the words themselves."""
        kind = said.get("kind")
        return (
            kind != Kind.TEXT
            and not self._is_row
            and all(len(word) <= DIGITS and word.isdecimal() and str(int(word)) == word for word in words)
        )

    def _path(self, key: Key, said: Any) -> Path | None:
        keys = [said] if isinstance(said, str) and self._is_row else said.split(".") if isinstance(said, str) else said
        if isinstance(keys, list) and keys and all(isinstance(one, str) and one for one in keys):
            if self._is_row and len(keys) > 1:
                self.wrong(key, "expected the head of one column")
                return None
            return tuple(keys)
        self.wrong(key, "required: where it is, as keys joined by dots, or in a list" if said is None else "no path")
        return None

    def _taken_path(self, key: Key, said: Any) -> Path | None:
        """A path that nothing else is at, nor below, nor above."""
        path = self._path(key, said)
        if path is None:
            return None
        for other, whose in self._taken.items():
            shorter = min(len(path), len(other))
            if path[:shorter] == other[:shorter]:
                self.wrong(key, f"{'.'.join(whose)} is in the same place")
                return None
        self._taken[path] = key
        return path

    def _codec(self, what: str, key: Key, said: Mapping[str, Any]) -> Codec | None:
        """The codec of an id, a reference, or a value of some kind."""
        if what in {"id", "reference"}:
            as_text = self._one_of((*key, "kind"), said.get("kind", Kind.NUMBER), (Kind.TEXT, Kind.NUMBER)) == Kind.TEXT
            return Id(as_text) if what == "id" else Reference(as_text)
        if what == Kind.TIME:
            return self._time(key, said)
        if what == Kind.NUMBER:
            return Number(self._flag((*key, "decimal_comma"), said.get("decimal_comma", False)))
        if what == Kind.FLAG:
            return self._true_or_false(key, said)
        return self._words_of(key, said) if "words" in said else self._text(key, said)

    def _time(self, key: Key, said: Mapping[str, Any]) -> Codec | None:
        form = said.get("format", "")
        if isinstance(form, str) and precision(form, UTC) is not None:
            return Time(form)
        self.wrong((*key, "format"), UNREAD)
        return None

    def _true_or_false(self, key: Key, said: Mapping[str, Any]) -> Codec | None:
        true, false = said.get("true", True), said.get("false", False)
        true, false = (str(one).lower() if self._is_row and isinstance(one, bool) else one for one in (true, false))
        if isinstance(true, str | int) and isinstance(false, str | int) and str(true) != str(false):
            return Flag(true, false)
        self.wrong((*key, "true"), "expected two texts, or two whole numbers, that differ")
        return None

    def _text(self, key: Key, said: Mapping[str, Any]) -> Codec:
        longest = said.get("max")
        if longest is not None and (type(longest) is not int or longest < 1):
            self.wrong((*key, "max"), "expected a number of characters")
        return Text(longest)

    def _words_of(self, key: Key, said: Mapping[str, Any]) -> Codec:
        words = self._mapping((*key, "words"), said["words"])
        tell = self._mapping((*key, "tell"), said.get("tell", {}))
        if not words or not all(isinstance(meaning, str) for meaning in words.values()):
            self.wrong((*key, "words"), "expected words of the client, each with the text that it means in TracOS")
        for meaning, word in tell.items():
            self._one_of((*key, "tell", meaning), word, list(words))
        return Words(words, tell, self._are_numbers({}, words))
