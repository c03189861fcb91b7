"""One dead letter as a file: its name, its JSON, and back."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

import msgspec
from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Arrival, DeadLetter
from pipeline.disk import read_file
from pipeline.errors import Fatal, Reason, See
from pipeline.orders.workorder import ExternalId, Moment
from pipeline.translation.json import encode

__all__ = [
    "Check",
    "Closed",
    "Letter",
    "again",
    "as_json",
    "digest_of",
    "digest_of_name",
    "first",
    "id_of_name",
    "key_of",
    "key_of_name",
    "load_letter",
    "mend",
    "name_of",
    "read_letter",
    "read_letters",
    "unreadable",
]

READABLE: Final = 80
_PART: Final = re.compile(r"\[([0-9]+)\]|:([0-9]+)")
_NAME: Final = re.compile(r".+~([0-9a-f]{12})~[0-9a-f]{12}\.json")

Check: TypeAlias = Callable[[bytes], tuple[str, tuple[Reason, ...]]]
"""At which stage a payload fails, and for which reasons; an empty text and none where nothing is known against it."""

Closed = Literal["resolved", "overtaken", "retried", "discarded"]
"""How a letter was closed: something better came from its place; a newer record of its order came from another place;
a person's retry went through; a person gave it up."""


class Letter(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a dead-letter file says; ``text`` or ``base64`` holds the original bytes, where they could be read."""

    flow: str
    client: str
    stage: str
    locator: str
    file: str
    """The place alone: a file's name, or an order's id."""
    element: int | None = None
    """Position in the file's array, from 0."""
    line: int | None = None
    """Line of the file, from 1."""
    id: ExternalId | None = None
    """The order's id, where one could be read."""
    reasons: tuple[Reason, ...]
    first_seen: Moment
    last_seen: Moment
    attempts: int
    stamp: str = ""
    arrival: Arrival | None = None
    """When it came, where its source can tell: nanoseconds since 1970, place, position there."""
    text: str | None = None
    base64: bytes | None = None
    """The bytes themselves; JSON has them in base64."""
    mended: str | None = None
    """The payload as a person has mended it: what a retry runs instead of the original bytes; stage and reasons are of
    it: no reason where nothing is known against it."""
    mended_by: str = ""
    """The person who has, with the host."""
    retried_by: str = ""
    """Who had it retried last."""
    raw_stage: str = ""
    """Where the original bytes fail, while there are mended ones."""
    raw_reasons: tuple[Reason, ...] = ()
    closed: Closed | None = None
    resolved_at: Moment | None = None
    """When it was closed, in whichever way."""
    closed_by: str = ""
    """The person who closed it, with the host, where one did."""
    because: str | None = None
    """Why it was discarded."""

    @property
    def where(self) -> Locator:
        """Where the item came from."""
        return Locator(self.file, self.locator.removeprefix(self.file))

    @property
    def raw(self) -> bytes:
        """The original bytes."""
        return self.base64 if self.base64 is not None else (self.text or "").encode()

    @property
    def payload(self) -> bytes:
        """What a retry runs: the mended bytes, else the original ones."""
        return self.raw if self.mended is None else self.mended.encode()


def first(letter: DeadLetter, client: str, order_id: ExternalId | None) -> Letter:
    """The letter of a failure met for the first time."""
    where = letter.locator
    part = _PART.fullmatch(where.part)
    element, line = part.groups() if part is not None else (None, None)
    text, others = None, None
    if letter.raw:
        try:
            text = letter.raw.decode()
        except UnicodeDecodeError:
            others = letter.raw
    return Letter(
        flow=letter.flow,
        client=client,
        stage=letter.stage,
        locator=str(where),
        file=where.place,
        element=int(element) if element else None,
        line=int(line) if line else None,
        id=order_id,
        reasons=letter.reasons,
        first_seen=letter.at,
        last_seen=letter.at,
        attempts=1,
        stamp=letter.stamp,
        arrival=letter.arrival,
        text=text,
        base64=others,
    )


def again(before: Letter, now: Letter) -> Letter:
    """The letter of a failure met again; what a person has mended, and what is known against that, stays."""
    now = replace(now, first_seen=before.first_seen, attempts=before.attempts + 1, retried_by=before.retried_by)
    if before.mended is None:
        return now
    return replace(
        now,
        mended=before.mended,
        mended_by=before.mended_by,
        stage=before.stage,
        reasons=before.reasons,
        raw_stage=now.stage,
        raw_reasons=now.reasons,
    )


def mend(letter: Letter, text: str, check: Check | None, by: str = "") -> Letter:
    """The letter with ``text``, of the person ``by``, as what a retry runs, and what ``check`` finds against it.

    Without a ``check`` that is as it was. With the text of the original bytes it is as before anybody mended it.
    """
    if letter.raw_stage:
        letter = replace(letter, stage=letter.raw_stage, reasons=letter.raw_reasons)
    letter = replace(letter, mended=None, mended_by="", raw_stage="", raw_reasons=())  # of the original bytes
    if text.encode() == letter.raw:
        return letter
    stage, reasons = check(text.encode()) if check else (letter.stage, letter.reasons)
    return replace(
        letter,
        mended=text,
        mended_by=by,
        stage=stage or letter.stage,
        reasons=reasons,
        raw_stage=letter.stage,
        raw_reasons=letter.reasons,
    )


def as_json(letter: Letter, *, indent: int = 2) -> bytes:
    """The letter's JSON; on one line with ``indent`` 0."""
    compact = encode(letter)
    return (msgspec.json.format(compact, indent=indent) if indent else compact) + b"\n"


def key_of(locator: Locator) -> str:
    """The source's part of a letter's name, for look-ups."""
    return hashlib.blake2b(str(locator).encode(), digest_size=6).hexdigest()


def name_of(locator: Locator, raw: bytes) -> str:
    """A letter's file name: the source's key, then the content's; the same failure has the same name."""
    readable = quote(locator.place, safe="@")[:READABLE].lstrip(".") or "letter"
    return f"{readable}~{key_of(locator)}~{digest_of(raw)}.json"


def digest_of(raw: bytes) -> str:
    """What a letter's name says of the bytes that it is about."""
    return hashlib.blake2b(raw, digest_size=6).hexdigest()


def digest_of_name(name: str) -> str:
    """The same, of the name of a letter."""
    return name.removesuffix(".json").rpartition("~")[2]


def key_of_name(name: str) -> str | None:
    """The source's key in a letter's name; None for a file that is no letter."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def id_of_name(flow: str, name: str) -> str:
    """The short id that a person calls a letter by: ten hexadecimal digits."""
    return hashlib.blake2b(f"{flow}/{name}".encode(), digest_size=5).hexdigest()


def load_letter(path: Path) -> Letter | None:
    """The letter in ``path``; None where there is none, and, with a warning, where it is damaged.

    Raises OSError where it cannot be read: there may be one.
    """
    try:
        return msgspec.json.decode(read_file(path), type=Letter)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        logger.warning("the dead letter {} cannot be read and is passed over (it is damaged)", path)
        return None


def unreadable(path: Path, error: OSError) -> Fatal:
    """What stops whoever cannot do without the letter in ``path``."""
    return Fatal(
        f"the dead letter {path} cannot be read: {error.strerror}; nothing of the batch in hand is acked; set it right "
        "or move it away, then run again",
        see=See.LETTERS,
    )


def read_letter(path: Path) -> Letter | None:
    """The letter in ``path``; None where there is none, and, with a warning, where it is damaged or cannot be read."""
    try:
        return load_letter(path)
    except OSError as error:
        logger.warning("the dead letter {} cannot be read and is passed over ({})", path, error.strerror)
        return None


def read_letters(root: Path) -> Iterator[tuple[Path, Letter]]:
    """All open letters below ``root``, by flow and name."""
    for path in sorted(root.glob("*/*.json")):
        letter = read_letter(path) if key_of_name(path.name) else None
        if letter is not None:
            yield path, letter
