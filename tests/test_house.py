"""The arrows of the house go one way, and its public names are there and documented."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import tomllib
from pathlib import Path

import pytest

import pipeline
from pipeline.clients.registry import kinds
from pipeline.version import VERSION

ROOT = Path(pipeline.__file__).parent
MODULES = sorted(info.name for info in pkgutil.walk_packages([str(ROOT)], "pipeline."))

GROUND = {"errors", "version", "disk", "months", "finding", "orders"}
LOWER = GROUND | {"dataflow", "translation"}
WINGS = LOWER | {"transports", "deadletters", "history", "clients", "tracos"}
ROOMS = {
    "errors": set(),
    "version": set(),
    "disk": {"errors"},
    "months": {"disk"},
    "finding": set(),
    "orders": {"errors"},
    "dataflow": {"errors"},
    "translation": {"errors", "orders"},
    "transports": LOWER,
    "deadletters": LOWER,
    "history": LOWER - {"translation"},
    "clients": LOWER | {"transports"},
    "tracos": LOWER | {"history"},
    "flows": LOWER | {"clients", "tracos"},
    "service": WINGS | {"flows"},
    "web": WINGS | {"flows", "service"},
    "testing": LOWER | {"transports", "clients"},
}
"""What a room may import of the house, beside itself; ``cli`` may import all but ``testing``."""

TOP = {"cli", "__main__"}

KEPT = {
    "aiostream": {"dataflow", "flows", "service"},
    "motor": {"tracos"},
    "pymongo": {"tracos"},
    "bson": {"tracos"},
    "stamina": {"tracos", "transports", "cli"},
    "httpx": {"transports", "service"},
    "opentelemetry": {"service"},
    "prometheus_client": {"service"},
    "pytest": {"testing"},
    "cyclopts": {"cli"},
    "jinja2": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "watchfiles": {"service"},
    "rich": {"cli"},
    "dotenv": {"service"},
    "dask": {"service"},
    "distributed": {"service"},
}
"""The only rooms that import these packages."""

ALONE = {
    ("service", "httpx"): "pipeline.service.alerts",
    ("service", "opentelemetry"): "pipeline.service.traces",
    ("service", "prometheus_client"): "pipeline.service.metrics",
}
"""Of a room that imports a package, the only module that does: it is of an extra."""

PACKAGES = {*KEPT, "aiofiles", "loguru", "msgspec"}


def room(module):
    return module.split(".")[1]


def path_of(module):
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(module):
    """Every module that ``module`` imports, wherever in it."""
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield node.module
            if node.module == "pipeline":
                yield from (f"pipeline.{alias.name}" for alias in node.names)


def test_every_room_is_known():
    assert {room(module) for module in MODULES} == {*ROOMS, *TOP}


def test_the_tour_of_the_house_names_every_room_and_nothing_else():
    told = re.findall(
        r"``([a-z]+)``", "".join(re.findall(r"(?m)^- ``.*?(?=^- |\n\n)", pipeline.__doc__ + "\n\n", re.DOTALL))
    )
    assert sorted(told) == sorted({*ROOMS, "cli"})


def test_the_page_of_the_house_names_every_room_and_nothing_else():
    tree = re.search(r"(?s)\npipeline/\n(.*?)\n\S", (ROOT.parent / "docs/architecture.md").read_text())[1]
    told = set(re.findall(r"(?:^|\n) {2}([a-z]+)(?:/|\.py) ", tree))
    assert told == {*ROOMS, "cli"}


def test_no_two_modules_import_each_other():
    arrows = {module: {name for name in imports(module) if name in MODULES and name != module} for module in MODULES}
    for module in MODULES:
        seen, ahead = set(), set(arrows[module])
        while ahead:
            seen |= ahead
            ahead = {further for one in ahead for further in arrows[one]} - seen
        assert module not in seen, f"{module} imports itself, in the end"


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_are_small(module):
    text = path_of(module).read_text()
    assert text.count("\n") <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} has more than 60 lines"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) not in TOP])
def test_the_arrows_go_one_way(module):
    allowed = ROOMS[room(module)] | {room(module)}
    found = {room(name) for name in imports(module) if name.startswith("pipeline.")}
    assert found <= allowed


@pytest.mark.parametrize("module", MODULES)
def test_packages_are_imported_only_where_they_belong(module):
    tops = {name.split(".")[0] for name in imports(module)} - {"pipeline"}
    assert tops <= PACKAGES | set(sys.stdlib_module_names)
    assert {top for top in tops if top in KEPT and room(module) not in KEPT[top]} == set()
    assert {top for top in tops if ALONE.get((room(module), top), module) != module} == set()


def test_a_client_knows_its_transport_and_its_layouts_but_no_other_client():
    clients = {kind.target.partition(":")[0] for kind in kinds() if kind.origin == "built in"}
    assert len(clients) >= 6
    for module in MODULES:
        assert not set(imports(module)) & clients - {module}, f"{module} knows a client"


@pytest.mark.parametrize("module", MODULES)
def test_the_environment_is_read_in_one_place(module):
    text = path_of(module).read_text()
    assert ("os.environ" in text or "getenv" in text) is (module == "pipeline.cli.start")


def test_the_version_is_that_of_the_project():
    assert tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_nothing_imports_what_is_there_for_tests():
    assert not [module for module in MODULES if "pipeline.testing" in imports(module)]


@pytest.mark.parametrize("module", ["pipeline", *MODULES])
def test_public_names_exist_and_are_documented(module):
    loaded = importlib.import_module(module)
    assert inspect.getdoc(loaded)
    names = getattr(loaded, "__all__", [])
    assert list(names) == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    for name in names:
        value = getattr(loaded, name)
        if name.startswith("test_"):
            continue  # its name says it
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("pipeline"):
            assert inspect.getdoc(value), f"{module}.{name}"


def test_the_machinery_is_light_to_import():
    import subprocess

    code = "import sys, pipeline; print(sorted({'motor', 'pymongo', 'aiofiles', 'stamina'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
