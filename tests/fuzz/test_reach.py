"""Every function that takes bytes or texts of others apart is reached by a target: a new parser needs one."""

import ast
import functools
import gc
import sys
import threading
from pathlib import Path

import pytest
from loguru import logger

import pipeline
from tests.fuzz import running
from tests.fuzz.registry import targets

ROOT = Path(pipeline.__file__).parent

ROOMS = ("translation", "transports", "deadletters", "history", "clients/records", "service", "tracos")
FILES = ("clients/spelling.py", "clients/json_connector.py", "clients/maximo.py", "disk.py", "orders/renderings.py")

PARSES = {
    *("decode", "decode_all", "raw_decode", "loads", "convert", "decompress", "b64decode", "unquote", "scanstring"),
    *("match", "fullmatch", "search", "finditer", "findall", "fromisoformat", "strptime", "parsedate_to_datetime"),
    *("reader", "parse_stream", "parse_uri", "parse_qsl", "urlsplit", "urljoin", "unescape"),
}
"""What a function calls that takes something apart."""

EXCUSED = {
    "clients/maximo.py:MaximoOptions.address": "it makes text of bytes of its own",
    "disk.py:remove_leftovers": "names of temporary files, in folders of our own",
    "service/sampling.py:_as": "it shows what a client of ours has made",
    "service/lanes/errand.py:Bench._opened": "what a run of ours has sent to a worker of its own cluster",
    "service/lanes/errand.py:run": "the same",
    "service/lanes/errand.py:unpacked": "what a worker of the run's own cluster has answered",
    "service/lanes/wire.py:Wire.from_lane": "what a process says that the run has started itself",
    "service/lanes/wire.py:Wire.greeted": "what the run says that has started this process",
    "service/lanes/wire.py:Wire.to_lane": "the same",
    "transports/http/api.py:Api.__init__": "an address of the settings",
    "transports/http/api.py:Api._ask": "an address of the settings, or one that `followed` has looked at",
    "service/gaps.py:Gaps.shown": "what we have written ourselves in the same run",
    "service/gaps.py:Gaps._groups": "what we have written ourselves in the same run",
    "tracos/embedded.py:_reason": "the log of a server of our own, for a line of the log",
}


def parsers():
    """The functions that take something apart, by file and name: where each begins."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    for path in sorted([*files, *(ROOT / name for name in FILES)]):
        yield from _parsers(ast.parse(path.read_text()), path, "")


def _parsers(node, path, within):
    for child in ast.iter_child_nodes(node):
        name = getattr(child, "name", "")
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(_called(one) in PARSES for one in _own(child) if isinstance(one, ast.Call)):
                first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                yield f"{path.relative_to(ROOT)}:{within}{name}", (str(path), first)
            yield from _parsers(child, path, f"{within}{name}.")
        else:
            yield from _parsers(child, path, f"{within}{name}." if isinstance(child, ast.ClassDef) else within)


def _own(function):
    """All in a function that is in no function of its own."""
    ahead = list(ast.iter_child_nodes(function))
    while ahead:
        one = ahead.pop()
        yield one
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            ahead += ast.iter_child_nodes(one)


def _called(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


@pytest.fixture
def reached():
    """Where the functions begin that the seeds of all targets have called."""
    found, ours = set(), str(ROOT)
    for one in gc.get_objects():
        if type(one) is functools._lru_cache_wrapper and one.__module__.startswith("pipeline."):
            one.cache_clear()  # what is remembered is not called again

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            found.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    running.close()
    threading.setprofile(note)  # for threads that begin after this
    sys.setprofile(note)
    try:
        for target in targets().values():
            for data in target.seeds:
                target.run(data)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        logger.remove()
        running.close()
    return found


def test_every_parser_is_reached_by_a_target(reached):
    known = dict(parsers())
    assert len(known) > 80
    unreached = {name for name, where in known.items() if where not in reached} - EXCUSED.keys()
    assert sorted(unreached) == [], f"add targets that reach them, see CONTRIBUTING.md: {sorted(unreached)}"
    assert EXCUSED.keys() <= known.keys()
