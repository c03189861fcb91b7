"""How this program was started, so that whatever it tells a person to do next works where they stand."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["NAME", "begun_by", "beside", "command", "in_full", "install", "moved"]

NAME: Final = "workorder-sync"
"""What an installed program is called."""

ITSELF: Final = (sys.executable, "-m", "pipeline")
"""What starts it for whoever called it as a function."""

_COMMANDS: Final = "run|plan|reconcile|doctor|history|explain|conflicts|dead-letters|clients|state|serve|init|help"
_HINT: Final = re.compile(rf"`((?:{_COMMANDS})(?: [^`]*)?)`")
_EXTRA: Final = re.compile(r"install the extra `(\w+)`")


class _How:
    """The words that start it, and the folder that it works in where that is not where it was started."""

    words: Sequence[str] = ITSELF
    folder: Path | None = None


_HOW: Final = _How()


def begun_by(original: Sequence[str], arguments: Sequence[str]) -> None:
    """Note how this program was started: ``original`` is its whole command, ``arguments`` is what was said to it."""
    words = tuple(original[: len(original) - len(arguments)])
    if len(words) > 1 and Path(words[-1]).name == NAME:
        found = shutil.which(NAME)
        words = (NAME,) if found and Path(found).resolve() == Path(words[-1]).resolve() else (_near(words[-1]),)
    elif len(words) < 2 or "-c" in words:  # noqa: PLR2004 - an interpreter, and what it runs
        words = ITSELF
    _HOW.words, _HOW.folder = words, None


def moved(folder: Path) -> None:
    """What is said from here on is to be done in ``folder``, where the program went; it stood here when it began."""
    here = Path.cwd()
    _HOW.words = [str(here / word) if "/" in word and (here / word).exists() else word for word in _HOW.words]
    _HOW.folder = folder


def command(*arguments: str) -> str:
    """The command line that gives this program these arguments, as a shell takes it."""
    to = f"cd {shlex.quote(str(_HOW.folder))} && " if _HOW.folder else ""
    return to + shlex.join((*_HOW.words, *arguments))


def beside(script: str) -> str:
    """The command line that starts another script than the one that was started, which lies beside it."""
    *words, ours = _HOW.words
    return shlex.join((*words, str(Path(ours).parent / script)))


def install(extra: str) -> str:
    """The one command that installs this program with an extra, into where it is installed."""
    place = Path(sys.prefix)
    meant = _origin(extra)
    if "pipx" in place.parts:
        return shlex.join(["pipx", "install", "--force", *meant])
    if place.parts[-3:-1] == ("uv", "tools"):
        return shlex.join(["uv", "tool", "install", "--force", *meant])
    return shlex.join([_HOW.words[0] if len(_HOW.words) > 1 else sys.executable, "-m", "pip", "install", *meant])


def _origin(extra: str) -> Sequence[str]:
    """What an installer is to be told to have this very program with an extra: where it came from."""
    try:
        told = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:  # it runs as it lies there
        return ["-e", f"{Path(__file__).resolve().parents[2]}[{extra}]"]
    origin = json.loads(told) if told else {}
    url = str(origin.get("url", ""))
    if not url:
        return [f"{NAME}[{extra}]"]
    if "dir_info" in origin:
        editable = ["-e"] if origin["dir_info"].get("editable") else []
        return [*editable, f"{unquote(urlsplit(url).path)}[{extra}]"]
    return [f"{NAME}[{extra}] @ {url}"]


def in_full(text: str) -> str:
    """``text`` with commands between backticks as they are given here, and how an extra that it names is installed."""
    commands = _HINT.sub(lambda found: f"`{command(*found[1].split())}`", text)
    return _EXTRA.sub(lambda found: f"install the extra: {install(found[1])}", commands)


def _near(path: str) -> str:
    """The path from here where it lies below, else as it is."""
    place = Path(path)
    if not place.is_relative_to(Path.cwd()):
        return path
    near = str(place.relative_to(Path.cwd()))
    return near if "/" in near else f"./{near}"
