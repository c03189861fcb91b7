"""Sample work orders, for a demo and for a checkout: the client's files, three of them bad, and documents of TracOS."""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from pipeline.errors import Fatal, See
from pipeline.translation.times import format_time

__all__ = ["BAD", "BEGIN", "INBOUND", "TRACOS", "write_samples"]

BEGIN: Final = datetime(2026, 10, 1, 8, tzinfo=UTC)

Order = dict[str, Any]


def _when(day: int, hour: int = 8) -> str:
    """A time in October 2026."""
    return format_time(BEGIN.replace(day=day, hour=hour))


INBOUND: Final[Mapping[str, Any]] = {
    "101.json": {"id": 101, "status": "NEW", "title": "Pump leaks", "createdAt": _when(1)},
    "102.json": {
        "id": 102,
        "status": "IN_PROGRESS",
        "title": "Replace the seal",
        "description": "Seal kit 4711",
        "createdAt": _when(1),
        "updatedAt": _when(3),
    },
    "103.json": {"id": 103, "status": "DONE", "title": "Newer here", "createdAt": _when(1), "updatedAt": _when(9)},
    "104.json": {"id": 104, "status": "PENDING", "title": "Older here", "createdAt": _when(1), "updatedAt": _when(2)},
    "201.json": {"orderNo": 201, "isPending": True, "summary": "Check the belt", "creationDate": _when(2)},
    "202.json": {
        "orderNo": 202,
        "isActive": True,
        "summary": "Grease the bearing",
        "creationDate": "2026-10-02T05:00:00-03:00",
        "lastUpdateDate": _when(4),
    },
    "203.json": {
        "orderNo": 203,
        "isDeleted": True,
        "summary": "Ordered twice",
        "creationDate": _when(2),
        "lastUpdateDate": _when(5),
        "deletedDate": _when(5),
    },
    "morning.json": [
        {"id": 301, "status": "ON_HOLD", "title": "Wait for parts", "createdAt": "2026-10-03"},
        {"orderNo": "302-A", "isDone": True, "summary": "Text for a number", "creationDate": _when(3)},
    ],
    "night.ndjson": [
        {"id": 401, "status": "CANCELLED", "title": "Not needed", "createdAt": _when(4), "updatedAt": _when(6)},
        {"orderNo": 402, "isCanceled": True, "summary": "Nor this one", "creationDate": _when(4)},
    ],
}
"""The client's files; a list goes out as an array, or a line each."""

BAD: Final[Mapping[str, bytes | Path]] = {
    "bad-malformed.json": b'{"id": 901, "status": "NEW", "createdAt": ',
    "bad-schema.json": b'{"id": 902, "status": "LOST", "createdAt": "yesterday", "title": 7}\n',
    "bad-unreadable.json": Path("taken-away.json"),  # a link to nothing: the superuser cannot read it either
}

TRACOS: Final[tuple[Order, ...]] = (
    {"number": 1, "title": "Born in TracOS", "status": "created", "createdAt": _when(1), "isSynced": False},
    {"number": 2, "title": "Without isSynced", "status": "pending", "createdAt": _when(1)},
    {
        "number": 3,
        "title": "With BSON dates",
        "description": "Written by another program",
        "status": "in_progress",
        "createdAt": BEGIN,
        "updatedAt": BEGIN + timedelta(days=1),
        "deleted": False,
        "isSynced": False,
    },
    {
        "number": 4,
        "title": "Deleted here",
        "status": "cancelled",
        "createdAt": _when(1),
        "updatedAt": _when(5),
        "deleted": True,
        "deletedAt": _when(5),
        "isSynced": False,
    },
    {
        "number": 103,
        "title": "Older in TracOS",
        "status": "in_progress",
        "createdAt": _when(1),
        "updatedAt": _when(4),
        "isSynced": False,
    },
    {
        "number": 104,
        "title": "Newer in TracOS",
        "status": "on_hold",
        "createdAt": _when(1),
        "updatedAt": _when(8),
        "isSynced": False,
    },
)


def write_samples(folder: Path, files: Iterable[tuple[str, Any]]) -> int:
    """Write those files that are missing, dated one second apart; how many were written. Raises Fatal."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return sum(_write(folder / name, content, age) for age, (name, content) in enumerate(files))
    except OSError as error:
        raise Fatal(f"{error.filename or folder} cannot be written: {error.strerror}", see=See.FILES) from error


def _write(path: Path, content: Any, age: int) -> bool:
    """Write the file, unless it is there: whether it was not."""
    if os.path.lexists(path):
        return False
    if isinstance(content, Path):
        path.symlink_to(content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else _encoded(path.name, content))
    moment = BEGIN.timestamp() + age
    os.utime(path, (moment, moment), follow_symlinks=False)
    return True


def _encoded(name: str, content: Any) -> bytes:
    if name.endswith(".ndjson"):
        return msgspec.json.Encoder().encode_lines(content)
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
