"""Draws the house into docs/architecture.md, from the imports as they are: ``python -m docs.draw_house``.

A box is a room, a folder or a file of pipeline/. An arrow says who imports whom; one that a way through other rooms
says already is left out.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs/architecture.md"
PICTURE: Final = re.compile(r"(?<=<!-- house -->\n)```mermaid\n.*?```\n", re.DOTALL)


def arrows() -> Mapping[str, set[str]]:
    """By room, the rooms that it imports."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        room = path.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py")
        if not room.startswith("__"):
            found.setdefault(room, set()).update(_imported(path))
    return {room: {one for one in found[room] if one in found and one != room} for room in found}


def _imported(path: Path) -> Iterator[str]:
    """The rooms that one file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "pipeline":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (name.split(".")[1] for name in names if name.startswith("pipeline."))


def below(room: str, known: Mapping[str, set[str]]) -> set[str]:
    """All that a room leads to; raises ValueError where it leads to itself."""
    seen: set[str] = set()
    ahead = set(known[room])
    while ahead:
        seen |= ahead
        ahead = {further for one in ahead for further in known[one]} - seen
    if room in seen:
        raise ValueError(f"{room} leads to itself")
    return seen


def drawn(known: Mapping[str, set[str]]) -> str:
    """The house in Mermaid, who imports above who is imported."""
    lines = ["```mermaid", "flowchart TD"]
    for room in sorted(known):
        said = {further for one in known[room] for further in below(one, known)}
        to = " & ".join(sorted(known[room] - said))
        lines.append(f"    {room} --> {to}" if to else f"    {room}")
    return "\n".join([*lines, "```", ""])


if __name__ == "__main__":
    PAGE.write_text(PICTURE.sub(lambda _: drawn(arrows()), PAGE.read_text()))
