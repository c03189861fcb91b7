"""The deliberate breaks: what each is, where it is made, and which tests should notice it."""

import ast
import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

__all__ = ["Break", "read_breaks"]

HERE = Path(__file__).parent


class Break(Struct, frozen=True, forbid_unknown_fields=True):
    """One deliberate break of one file of the program."""

    name: str
    """What is done wrong."""
    file: str
    """Below ``pipeline/``."""
    old: str
    """The text that is replaced; it is there exactly once."""
    new: str
    tests: tuple[str, ...]
    """Where it should be noticed, below ``tests/``."""
    survives: str = ""
    """Why no test notices it."""

    def path(self, root: Path) -> Path:
        """The file in a copy of the project."""
        return root / "pipeline" / self.file

    def broken(self, text: str) -> str:
        """The file's text with the break in it; raises ValueError where it cannot be made."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} has its text {text.count(self.old)} times, not once")
        after = text.replace(self.old, self.new)
        if ast.dump(ast.parse(after)) == ast.dump(ast.parse(text)):
            raise ValueError(f"{self.name}: {self.file} does the same as before")
        return after


def read_breaks() -> list[Break]:
    """All of them, by file and in the order in which they stand there."""
    found = []
    for path in sorted(HERE.glob("*.toml")):
        found += msgspec.convert(tomllib.loads(path.read_text())["break"], list[Break])
    return found
