"""What the environment and ``.env`` say of our settings, and what looks like one of them and is none."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream
from msgspec import Struct

from pipeline.errors import WrongSettings

__all__ = ["Said", "meant", "peek", "read_environment"]

SAME: Final[Mapping[str, str]] = {
    "MONGODB": "MONGO",
    "DB": "DATABASE",
    "DIRECTORY": "DIR",
    "FOLDER": "DIR",
    "TZ": "TIMEZONE",
}
"""Words that people take for one of ours."""


class Said(Struct, frozen=True):
    """All that is said, the environment first."""

    values: Mapping[str, str | None]
    problems: list[str]
    notes: list[str]
    """What is to be told, and stops nothing."""


def read_environment(environ: Mapping[str, str], dotenv: Path, known: Collection[str]) -> Said:
    """What ``environ`` and, where it says nothing, the file ``dotenv`` say; ``known`` are the names of our settings.

    Raises WrongSettings for a file that cannot be read at all. No problem and no note repeats a value.
    """
    problems: list[str] = []
    file = _read_file(dotenv, problems)
    for name, value in file.items():
        if value is None and name in known:
            problems.append(f"{name}: {dotenv} names it, but says nothing of it: expected {name}=value")
    for where, values in (("the environment", environ), (str(dotenv), file)):
        problems += _strangers(where, values, known)
    hidden = [name for name in sorted(known) if environ.get(name) == "" and file.get(name)]
    notes = [f"{name} is empty in the environment, which hides the one in {dotenv}: it is not set" for name in hidden]
    return Said({**file, **environ}, problems, notes)


def peek(environ: Mapping[str, str], dotenv: Path, name: str) -> str:
    """What is said of one setting, before it is known whether all of them can be understood; never raises."""
    if name in environ:
        return environ[name]
    try:
        return _read_file(dotenv, []).get(name) or ""
    except WrongSettings:
        return ""


def meant(name: str, known: Collection[str]) -> str | None:
    """The one of ``known`` that ``name`` looks like; None where it is one itself, or looks like none of them.

    It does when it is the same in other cases, with other underscores or with another word for a thing (``SAME``), up
    to one letter; or when it is the beginning of one, two words or more. Nothing else is ours, even if it begins like
    ours: MONGO_INITDB_DATABASE, DATA_DIR and LOG_FILE are other programs'.
    """
    if name in known:
        return None
    words = [SAME.get(word, word) for word in name.upper().replace("-", "_").split("_") if word]
    for one in known:
        theirs = one.split("_")
        if _is_near("".join(words), "".join(theirs)) or (len(words) > 1 and words == theirs[: len(words)]):
            return one
    return None


def _strangers(where: str, values: Mapping[str, str | None], known: Collection[str]) -> Iterator[str]:
    for name, value in values.items():
        one = meant(name, known) if value else None
        if one is not None:
            yield f"{name}, in {where}: no setting is called so; did you mean {one}? else hide it from this program"


def _read_file(path: Path, problems: list[str]) -> dict[str, str | None]:
    """By name, what the file says, the last one of several; what cannot be understood is a problem."""
    try:
        with path.open(encoding="utf-8-sig") as text:
            lines = list(parse_stream(text))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise WrongSettings([f"{path} cannot be read: {why}"]) from error
    problems += [f"{path}:{line.original.line}: expected NAME=value" for line in lines if line.error]
    return {line.key: line.value for line in lines if line.key is not None}


def _is_near(one: str, other: str) -> bool:
    """Whether they are the same up to one letter: missing, added, another, or changed places with its neighbour."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, others = one[at:], other[at:]
    return (
        rest[1:] == others[1:]
        or rest[1:] == others
        or rest == others[1:]
        or (rest[:2] == others[:2][::-1] and rest[2:] == others[2:])
    )
