"""Finds every place in the source of ``pipeline`` at which something outside is changed, by reading it.

A place is a call that a kind of point is made of, or a call of a helper of ours that does nothing but make such a call:
whoever adds one has a place that the matrix must reach.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.crash.points import HOUSE, OS_CALLS, READ_COMMANDS, Point

PATH_CALLS: Final = frozenset(
    {"chmod", "hardlink_to", "mkdir", "rename", "rmdir", "symlink_to", "touch", "unlink", "write_bytes", "write_text"}
)
MODULES: Final[Mapping[str, frozenset[str]]] = {
    "os": frozenset(OS_CALLS) | {"makedirs", "removedirs", "renames"},
    "shutil": frozenset({"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move", "rmtree"}),
    "tempfile": frozenset({"NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile", "mkdtemp", "mkstemp"}),
    "subprocess": frozenset({"Popen", "call", "check_call", "check_output", "run"}),
}
"""By module: its functions that change something outside."""
COLLECTION_CALLS: Final = frozenset(
    {"bulk_write", "create_collection", "create_index", "create_indexes", "delete_many", "delete_one", "drop"}
    | {"drop_collection", "drop_database", "drop_index", "drop_indexes", "find_one_and_delete", "find_one_and_replace"}
    | {"find_one_and_update", "insert_many", "insert_one", "rename", "replace_one", "update_many", "update_one"}
)
SQLITE_CALLS: Final = frozenset({"commit", "executescript"})
REQUESTS: Final = frozenset({"delete", "patch", "post", "put", "request", "send", "stream"})
OURS: Final = "testing/"
"""What is there for tests is no part of the program."""

SPARED: Final[Mapping[tuple[str, str, str], str]] = {
    ("history/decisions.py", "_check", "self._path.open(...)"): "opens what is there, and writes nothing",
    ("history/decisions.py", "_append", "self._path.parent.mkdir(...)"): "only where somebody removed it in the run",
    ("cli/clients.py", "_write", "remove_leftovers(...)"): "removes what a kill of the flow new-client left",
    ("cli/mending.py", "_moved", "path.chmod(...)"): "only where a letter cannot be saved: tests/faults has that",
    ("cli/mending.py", "_moved", "path.rename(...)"): "only where a letter cannot be saved: tests/faults has that",
    ("clients/dry.py", "__enter__", "self.copy.mkdir(...)"): "only where nothing is remembered yet, and for a while",
    ("disk.py", "append_lines", "os.ftruncate(...)"): "only where the disk is full: tests/faults has that",
    ("cli/demo.py", "demo", "_enter(...)"): "samples, and nobody's orders: the folder is removed, and made again",
    ("cli/demo.py", "_enter", "folder.mkdir(...)"): "the same",
    ("cli/demo.py", "_enter", "(folder / ABOUT).write_text(...)"): "the same",
    ("cli/demo.py", "_fill", "write_samples(...)"): "the same",
    ("service/samples.py", "write_samples", "folder.mkdir(...)"): "the same",
    ("service/samples.py", "_write", "path.symlink_to(...)"): "the same",
    ("service/samples.py", "_write", "path.write_bytes(...)"): "the same",
    ("service/samples.py", "_write", "os.utime(...)"): "the same",
    (
        "cli/init.py",
        "init",
        "write_files(...)",
    ): "writes two files, each whole or not there, and asks before it does so again",
    ("cli/init.py", "_check", "(scratch.path / name).write_text(...)"): "in a folder for a while",
    ("service/alerts.py", "_alert", "save_told(...)"): "lost, an alert is told twice: tests/service/test_alerts.py",
    ("service/told.py", "save_told", "folder.mkdir(...)"): "the same",
    ("service/told.py", "save_told", "write_files(...)"): "the same",
    ("service/metrics.py", "write", "path.parent.mkdir(...)"): "what a run tells, anew each time: test_metrics.py",
    ("service/metrics.py", "write", "write_files(...)"): "the same",
    ("service/lanes/dealer.py", "start", "subprocess.Popen(...)"): "starts a lane: tests/service/lanes kills those",
    ("service/lanes/driver.py", "_made_sure_of", "log.parent.mkdir(...)"): "with an engine: tests/service/engines",
    ("service/lanes/driver.py", "_made_sure_of", "os.open(...)"): "the same",
    (
        "transports/folder/known.py",
        "_store",
        "self._path.parent.mkdir(...)",
    ): "only where nothing else made it in the run",
    (
        "tracos/embedded.py",
        "_failed",
        "path.unlink(...)",
    ): "only where a first start fails: tests/faults/test_full_disk.py",
    ("tracos/embedded.py", "_failed", "shutil.rmtree(...)"): "the same",
    ("tracos/connection.py", "_halves", "self._command(...)"): "what _command does, once MongoDB refused all of it",
}
"""Places that need not be reached, by file, function and call: why."""
SPARED_FILES: Final[Mapping[str, str]] = {
    "service/lanes/parts.py": "what a kill leaves at a folder of parts is nobody's: tests/service/engines",
    "service/lanes/worker.py": "the same",
}
"""Files with such places alone: why."""


class Place(Struct, frozen=True, order=True):
    """One call in the source."""

    file: str
    line: int
    end: int
    call: str
    within: str = ""
    """The function that it is in."""

    def __str__(self) -> str:
        return f"pipeline/{self.file}:{self.line} {self.call}"

    def is_on(self, stack: Iterable[tuple[str, int]]) -> bool:
        """Whether a stack goes through it."""
        return any(file == self.file and self.line <= line <= self.end for file, line in stack)


def places(root: Path = Path(HOUSE)) -> list[Place]:
    """All of them, in order."""
    trees = {
        str(path.relative_to(root)): ast.parse(path.read_text())
        for path in sorted(root.rglob("*.py"))
        if not str(path.relative_to(root)).startswith(OURS)
    }
    found = {file: list(_calls(file, tree)) for file, tree in trees.items()}
    helpers = set(_helpers(trees, found))
    for file, tree in trees.items():
        found[file] += [
            _place(file, node, node.func)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _name(node.func) in helpers
        ]
    known = {_in_function(place, trees[place.file]) for group in found.values() for place in group}
    return sorted(
        one for one in known if one.file not in SPARED_FILES and (one.file, one.within, one.call) not in SPARED
    )


def unreached(points: Iterable[Point], root: Path = Path(HOUSE)) -> list[Place]:
    """The places through which none of the points was reached."""
    stacks = {point.stack for point in points}
    lines = defaultdict[str, set[int]](set)
    for stack in stacks:
        for file, line in stack:
            lines[file].add(line)
    return [one for one in places(root) if not one.is_on((one.file, line) for line in lines[one.file])]


def _calls(file: str, tree: ast.Module) -> Iterator[Place]:
    """The calls that are points themselves."""
    foreign = {
        node.targets[0].id if isinstance(node, ast.Assign) else node.target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and node.value is not None
        and "CDLL(" in ast.unparse(node.value)
    }
    has_file = _keeps_a_file(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and has_file and isinstance(node.items[0].context_expr, ast.Name):
            yield Place(file, node.lineno, node.lineno, f"with {node.items[0].context_expr.id}: commit")
        if not isinstance(node, ast.Call):
            continue
        is_ours = has_file or _name(node.func) not in SQLITE_CALLS
        if is_ours and (_changes_files(node) or _changes_others(node, file, tree) or _name(node.func) in foreign):
            yield _place(file, node, node.func)


def _in_function(place: Place, tree: ast.Module) -> Place:
    """The place, with the function that it is in; a call at the head of a ``with`` begins where that does."""
    line, within = place.line, ""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= place.line <= node.end_lineno:
            within = node.name
        if isinstance(node, ast.With | ast.AsyncWith) and node.lineno <= place.line < node.body[0].lineno:
            line = node.lineno
    return Place(place.file, line, place.end, place.call, within)


def _changes_files(node: ast.Call) -> bool:
    match node.func:
        case ast.Name(id="open"):
            return _is_for_writing(node.args[1:2], node)
        case ast.Attribute(value=ast.Name(id="os"), attr="open"):
            return any(flag in ast.unparse(node) for flag in ("O_CREAT", "O_TRUNC"))
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in MODULES:
            return name in MODULES[module]
        case ast.Attribute(attr="open"):
            return _is_for_writing(node.args[:1], node)
        case ast.Attribute(attr="replace", value=value):  # that of a path; texts have two arguments, times have names
            return len(node.args) == 1 and not node.keywords and not ast.unparse(value).endswith("structs")
    return _name(node.func) in PATH_CALLS


def _changes_others(node: ast.Call, file: str, tree: ast.Module) -> bool:
    match node.func:
        case ast.Attribute(attr="command") if file.startswith("tracos/"):
            return not _reads(node.args[0], tree)
        case ast.Attribute(attr=name, value=value) if file.startswith("tracos/") and name in COLLECTION_CALLS:
            return "collection" in ast.unparse(value)
        case ast.Attribute(attr=name, value=ast.Attribute(attr="_client")) if file.startswith("transports/http/"):
            return name in REQUESTS
    return _name(node.func) in SQLITE_CALLS


def _is_for_writing(mode: Sequence[ast.expr], node: ast.Call) -> bool:
    modes = [*mode, *(one.value for one in node.keywords if one.arg == "mode")]
    return any(isinstance(one, ast.Constant) and set("wax+") & set(str(one.value)) for one in modes)


def _reads(command: ast.expr, tree: ast.Module) -> bool:
    """Whether it is a command of MongoDB's that changes nothing, as far as the source says."""
    match command:
        case ast.Constant(value=name):
            return name in READ_COMMANDS
        case ast.Dict(keys=[ast.Constant(value=name), *_]):
            return name in READ_COMMANDS
        case ast.Dict(keys=[None, *_], values=[inner, *_]):
            return _reads(inner, tree)
        case ast.Name(id=name):
            said = [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign) and [ast.unparse(one) for one in node.targets] == [name]
            ]
            return bool(said) and all(_reads(one, tree) for one in said)
    return False


def _keeps_a_file(tree: ast.Module) -> bool:
    """Whether a module opens a SQLite file, and not only one that is nobody else's."""
    return any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func) == "sqlite3.connect"
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value in ("", ":memory:"))
        for node in ast.walk(tree)
    )


def _helpers(trees: Mapping[str, ast.Module], found: Mapping[str, Sequence[Place]]) -> Iterator[str]:
    """The names of functions that hold a place, where all functions of that name do."""
    holds: dict[str, list[bool]] = defaultdict(list)
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = [one for one in found[file] if node.lineno <= one.line <= (node.end_lineno or 0)]
                holds[node.name].append(bool(inside))
    return (name for name, said in holds.items() if all(said))


def _place(file: str, node: ast.Call, function: ast.expr) -> Place:
    return Place(file, node.lineno, node.end_lineno or node.lineno, f"{ast.unparse(function)}(...)")


def _name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
