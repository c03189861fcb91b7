"""Statuses in a client's words: what a record's words mean, which word is told, and which steps are legal."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pipeline.errors import Reason
from pipeline.orders.workorder import Status
from pipeline.translation.paths import getter, json_path, missing, put
from pipeline.translation.table import StatusAt

__all__ = ["GONE", "Meaning", "meanings", "putter_of", "reader_of", "step"]

Meaning: TypeAlias = tuple[Status | None, bool]
"""A status, and whether the order is deleted."""

GONE: Meaning = (None, True)
NOTHING: Meaning = (None, False)


def meanings(place: StatusAt) -> dict[str, Meaning]:
    """What each of the client's words means."""
    return {word: (status, False) for word, status in place.words.items()} | dict.fromkeys(place.deleted, GONE)


def reader_of(place: StatusAt) -> Callable[[Mapping[str, Any], list[Reason]], Meaning]:
    """The function that reads a record's status, and notes what is wrong with it."""
    if place.form == "flags":
        return _flags(place)
    get, beside, shown = getter(place.path), getter(place.beside or place.path), json_path(place.path)
    known = meanings(place)
    unknown = place.unknown or f"unknown status; known: {', '.join(known)}"
    coded = (known if place.plain else {}) | {code: known[word] for code, word in place.codes.items()}

    def one(said: Any) -> Meaning | None:
        return coded.get(said) if type(said) is str or type(said) is int else None

    def several(said: Any) -> Meaning | None:
        words = said.split() if isinstance(said, str) else said
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(place.expected)
        status = next((status for word, status in place.words.items() if word in words), None)
        found = status, any(word in words for word in place.deleted)
        return None if found == NOTHING else found

    find = several if place.form == "set" else one

    def read(data: Mapping[str, Any], wrong: list[Reason]) -> Meaning:
        said = get(data)
        meaning = None
        try:
            if said is not None:
                meaning = find(said)
            if meaning is None and place.beside and (other := beside(data)) is not None:
                meaning = find(other)
        except ValueError as error:
            unsaid: str | None = str(error)
        else:
            if meaning is not None:
                return meaning
            unsaid = (place.expected or missing(data, place.path)) if said is None else None
        wrong.append(said if isinstance(said, Reason) else Reason(unsaid or unknown, shown))
        return NOTHING

    return read


def putter_of(place: StatusAt) -> Callable[[str, dict[str, Any]], None]:
    """The function that puts a word into what is told."""
    if place.form == "flags":
        flags = _all_flags(place)

        def raise_flag(word: str, told: dict[str, Any]) -> None:
            for flag in flags:
                put(told, (*place.path, flag), flag == word)

        return raise_flag
    code_of: dict[str, str | int] = {word: code for code, word in reversed([*place.codes.items()])}
    if len(place.path) == 1:
        return lambda word, told: told.update({place.path[0]: code_of.get(word, word)})
    return lambda word, told: put(told, place.path, code_of.get(word, word))


def step(place: StatusAt, known: Mapping[str, Meaning], before: str | None, word: str) -> str | None:
    """``word``, where a client that holds ``before`` (None: it has no such order) is to be told it; None where not.

    Raises ValueError for a step that the client would refuse, with the steps that are legal from what it is known to
    hold; where several of its words mean that, a step is legal if it is from one of them. What has not changed is told
    again only where one word alone means it: the client may hold another.
    """
    if before is None:
        if place.first and word not in place.first:
            raise ValueError(f"a new order may not begin as {word}; legal: {', '.join(place.first)}")
        return word
    held = [one for one, meaning in known.items() if meaning == known[before]]
    if known[before] == known[word]:
        return word if place.told == "always" and len(held) == 1 else None
    if any(word in place.steps.get(one, (word,)) for one in held):
        return word
    legal = ", ".join(dict.fromkeys(one for step in held for one in place.steps.get(step, ())))
    raise ValueError(f"{' or '.join(held)} may not become {word}; legal: {legal or 'none, it is final'}")


def _flags(place: StatusAt) -> Callable[[Mapping[str, Any], list[Reason]], Meaning]:
    flags, known, around = _all_flags(place), meanings(place), getter(place.path)
    shown = {flag: json_path((*place.path, flag)) for flag in flags}

    def read(data: Mapping[str, Any], wrong: list[Reason]) -> Meaning:
        holder = around(data) if place.path else data
        if not isinstance(holder, Mapping):
            wrong.append(
                holder if isinstance(holder, Reason) else Reason("required, but missing", json_path(place.path))
            )
            return NOTHING
        raised = []
        for flag in flags:
            said = holder.get(flag)
            if said is True:
                raised.append(flag)
            elif said is not None and said is not False:
                wrong.append(said if isinstance(said, Reason) else Reason("not true or false", shown[flag]))
        if len(raised) == 1:
            return known[raised[0]]
        said = f"{' and '.join(raised)} are true" if raised else "no flag is true"
        wrong.append(Reason(f"{said}: exactly one of {', '.join(flags)} must be", json_path(place.path)))
        return NOTHING

    return read


def _all_flags(place: StatusAt) -> tuple[str, ...]:
    return tuple(sorted((*place.words, *place.deleted)))
