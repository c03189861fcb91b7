"""``clients``: the kinds of clients that there are, and the beginning of a new one."""

import errno
import keyword
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from pipeline.cli.output import Json, print_json, print_lines
from pipeline.cli.started import command
from pipeline.cli.tables import Column, print_table
from pipeline.clients.registry import kinds
from pipeline.disk import remove_leftovers, write_files
from pipeline.errors import WrongUsage

__all__ = ["list_", "new"]

COLUMNS: Final = [Column("kind", leads=True), Column("from"), Column("what it is", wraps=True)]


def list_(*, json: Json = False) -> int:
    """List the kinds of clients that can be named; none of them is imported.

    Args:
        json: Print JSON.
    """
    found = kinds()
    if json:
        print_json([{**msgspec.to_builtins(kind._asdict())} for kind in found])
    else:
        print_table(COLUMNS, [[one.name, one.origin, one.says or one.target] for one in found])
    return 0


def new(
    name: Annotated[str, Parameter(name="NAME")], /, *, folder: Annotated[Path, Parameter(name="--in")] = Path()
) -> int:
    """Write the skeleton of a client into NAME.py, and its test into test_NAME.py; what is there already stays.

    Args:
        name: A module's name, such as acme_erp.
        folder: Write them there.
    """
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or name != name.lower():
        raise WrongUsage(f"{name!r} cannot be a module's name: use small letters, digits and _")
    titled = "".join(part.capitalize() for part in name.split("_"))
    bodies = {}
    for template, target in (("client.txt", f"{name}.py"), ("test.txt", f"test_{name}.py")):
        text = Template((files("pipeline.cli") / "skeleton" / template).read_text()).substitute(name=name, Name=titled)
        bodies[target] = text.encode()
    _write(folder, bodies)
    print_lines(
        [
            f"written: {' and '.join(str(folder / target) for target in bodies)}",
            f"its suite passes already: pytest --client test_{name}:client   (where they are)",
            f"then make it yours, and run it: CLIENTS={name}:connect {command('run')}",
        ]
    )
    return 0


def _write(folder: Path, bodies: Mapping[str, bytes]) -> None:
    """Write the files that are not there yet, each whole; one that is there and says something else stops it."""
    for target, body in bodies.items():
        path = folder / target
        try:
            if path.is_symlink() or (path.exists() and path.read_bytes() != body):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if not path.exists():
                write_files(folder, {target: body})
            remove_leftovers(folder)
        except OSError as error:
            raise WrongUsage(f"{path} cannot be written: {error.strerror}") from error
