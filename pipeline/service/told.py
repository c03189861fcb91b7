"""What somebody was told of a client's troubles, kept from run to run in a file, so that they are told once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
from loguru import logger
from msgspec import Struct

from pipeline.disk import read_file, write_files
from pipeline.errors import Reason
from pipeline.orders.workorder import Moment

__all__ = ["NOTHING_TOLD", "Told", "Trouble", "described", "load_told", "save_told"]

FORMAT: Final = 1

Trouble = Literal["", "failed", "budget_exceeded"]
"""What ails a client; empty: nothing."""


class Told(Struct, frozen=True, kw_only=True):
    """What was told of one client."""

    version: int = FORMAT
    trouble: Trouble = ""
    letters: Mapping[str, Moment] = {}
    """By flow: when the newest dead letter that was told of was first seen."""


NOTHING_TOLD: Final = Told()


def load_told(folder: Path, client: str) -> Told:
    """What was told; nothing, where there is no file, or one that cannot be understood."""
    try:
        return _load(_path(folder, client))
    except FileNotFoundError:
        return NOTHING_TOLD
    except (OSError, ValueError, RecursionError):
        logger.warning("{} cannot be used: what was told of {} is told again", _path(folder, client), client)
        return NOTHING_TOLD


def save_told(folder: Path, client: str, told: Told) -> None:
    """Keep it; a warning tells where that cannot be done."""
    path = _path(folder, client)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, {path.name: msgspec.json.encode(told)}, mode=0o600, durability="file")
    except OSError as error:
        logger.warning("{} cannot be written ({}): what was told of {} is told again", path, error.strerror, client)


def described(path: Path) -> tuple[int, list[str]]:
    """The version of what is remembered in ``path``, and what that is; raises OSError, and ValueError for damage."""
    told = _load(path)
    trouble = {"": "no trouble was told", "failed": "a failure was told", "budget_exceeded": "a budget was told"}
    letters = [
        Reason(f"dead letters in {flow} were told up to {time.isoformat(timespec='seconds')}").loggable
        for flow, time in sorted(told.letters.items())
    ]
    return told.version, [trouble[told.trouble], *letters]


def _path(folder: Path, client: str) -> Path:
    return folder / f"{client}.alerts"


def _load(path: Path) -> Told:
    told = msgspec.json.decode(read_file(path), type=Told)
    if told.version != FORMAT:
        raise ValueError("of a later version")
    return told
