"""Writes what pip has to know of poetry.lock: ``python .ci/constraints.py``. A test holds both files to the lock.

constraints.txt has a line a locked package: its version, and for which systems. Extras and groups are left to
pyproject.toml, hashes and addresses to whoever installs. With it pip installs on any day what the lock says.

deploy/requirements.txt is what a server installs, the extras of EXTRAS included, and nothing else, each with the hashes
of its files: with ``--require-hashes`` pip takes no other file, wherever it comes from.
"""

import tomllib
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Final

from poetry.core.version.markers import AnyMarker, BaseMarker, parse_marker

ROOT: Final = Path(__file__).resolve().parents[1]
HEAD: Final = "# Made of poetry.lock by .ci/constraints.py: after every `poetry lock`, run that too.\n"
EXTRAS: Final = frozenset({"http", "web"})
"""What a server has: MongoDB is elsewhere."""


def constraints(lock: str) -> str:
    """The text of constraints.txt for the text of poetry.lock."""
    return HEAD + "".join(sorted(f"{_line(package)}\n" for package in tomllib.loads(lock)["package"]))


def requirements(lock: str) -> str:
    """The text of deploy/requirements.txt for the text of poetry.lock."""
    wanted = [package for package in tomllib.loads(lock)["package"] if _is_on_a_server(package)]
    return HEAD + "".join(
        f"{_line(package, ('main',))} \\\n    " + " \\\n    ".join(sorted(_hashes(package))) + "\n"
        for package in sorted(wanted, key=lambda package: package["name"])
    )


def _is_on_a_server(package: dict[str, Any]) -> bool:
    return "main" in package["groups"] and any(
        marker.validate({"extra": EXTRAS, "sys_platform": "linux", "os_name": "posix"})
        for marker in _markers(package, ("main",))
    )


def _hashes(package: dict[str, Any]) -> set[str]:
    return {f"--hash={file['hash']}" for file in package["files"]}


def _line(package: dict[str, Any], groups: Sequence[str] | None = None) -> str:
    each = [marker.without_extras() for marker in _markers(package, groups or package["groups"])]
    systems = reduce(lambda one, other: one.union(other), each)
    return f"{package['name']}=={package['version']}" + ("" if systems.is_any() else f" ; {systems}")


def _markers(package: dict[str, Any], groups: Sequence[str]) -> list[BaseMarker]:
    """Where a package is wanted by each of the groups: ``markers`` is one text for all, or one for some."""
    markers = package.get("markers", "")
    texts = [markers] if isinstance(markers, str) else [markers.get(group, "") for group in groups]
    return [parse_marker(text) if text else AnyMarker() for text in texts]


if __name__ == "__main__":
    LOCK: Final = (ROOT / "poetry.lock").read_text()
    (ROOT / "constraints.txt").write_text(constraints(LOCK))
    (ROOT / "deploy/requirements.txt").write_text(requirements(LOCK))
