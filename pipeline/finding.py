"""What a check-up finds: one line each, ok, a warning or a problem, with what to do."""

import os
import shutil
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

__all__ = ["Finding", "State", "check_file", "check_folder"]

State = Literal["ok", "warning", "problem"]

GIB: Final = 2**30
LOW, FULL = 1.0, 0.1
"""Free GiB: below the first is a warning, below the second a problem."""


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    state: State
    says: str
    do: str = ""
    """What to do about it; empty where it is ok."""


def check_folder(name: str, folder: Path, setting: str, *, writes: bool) -> Finding:
    """Whether ``folder`` can be read, written into where ``writes``, and has room; a missing one can be made."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return Finding(name, "problem", f"{place} is no folder", f"move it away, or set {setting}")
    made = folder.exists()
    if not os.access(place, os.X_OK | (os.R_OK if made else 0) | (os.W_OK if writes or not made else 0)):
        needed = "read and written" if writes else "read"
        return Finding(
            name, "problem", f"{place} cannot be {needed} by this user", f"set its permissions, or {setting}"
        )
    if not writes:
        if made:
            return Finding(name, "ok", f"{folder} can be read")
        return Finding(
            name, "warning", f"{folder} is not there", f"make it, or set {setting}, if orders are to come in"
        )
    free = shutil.disk_usage(place).free / GIB
    says = f"{folder} can be written" if made else f"{folder} will be made"
    if free < LOW:
        return Finding(
            name, "problem" if free < FULL else "warning", f"{says}, but only {free:.2f} GiB are free", "make room"
        )
    return Finding(name, "ok", f"{says}, {free:,.0f} GiB are free")


def check_file(name: str, file: Path, setting: str) -> Finding:
    """Whether lines can be appended to ``file``."""
    if file.exists() and not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
        return Finding(name, "problem", f"{file} cannot be written by this user", f"set its permissions, or {setting}")
    if not file.exists():
        folder = check_folder(name, file.parent, setting, writes=True)
        return folder if folder.state == "problem" else Finding(name, "ok", f"{file} will be made")
    return Finding(name, "ok", f"{file} can be written, {file.stat().st_size / 2**20:,.1f} MiB")
