"""What every command begins with: the settings, and the log set up as they say. Alone reads the environment."""

import gc
import itertools
import os
import pwd
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final, get_args

import stamina.instrumentation
from cyclopts import Parameter
from loguru import logger
from msgspec.structs import fields, replace

from pipeline.cli.logs import configure
from pipeline.service.environment import peek
from pipeline.service.lanes.dealer import Dealer, Workers
from pipeline.service.lanes.driver import Driver
from pipeline.service.lanes.engine import find_engine
from pipeline.service.secrets import beside
from pipeline.service.settings import LogLevel, Settings, load
from pipeline.service.sync import HaveLanes

__all__ = [
    "Wait",
    "begin",
    "child",
    "collect_rarely",
    "editor",
    "forget_settings",
    "is_drawn",
    "lanes_of",
    "mongod_bin",
    "person",
    "prepare",
    "settings_now",
    "tell_problems",
]

Wait = Annotated[float, Parameter(name="--wait", show_default=False)]
"""The option of every command that works on a client's orders alone."""

DOTENV: Final = Path(".env")

COLLECT_AFTER: Final = 100_000
"""How many new objects until Python looks for garbage. Its own 700 are reached many times a batch, and find nothing."""


MOST_BY_ITSELF: Final = 4
"""Lanes that a run takes by itself; more gain little."""
ENOUGH: Final = 20_000
"""Records from which on lanes are worth what it takes to start them."""


def begin(
    *, quiet: bool = False, said: Mapping[str, str | None] | None = None, level: LogLevel | None = None
) -> Settings:
    """The settings, and the log as they want it; raises WrongSettings, with all that is wrong.

    ``quiet``: errors alone are logged, unless the settings want details. ``said`` on the command line goes before the
    environment, and so does ``level``.
    """
    collect_rarely()
    prepare()
    stamina.instrumentation.set_on_retry_hooks(())  # retries are told in our own words
    settings = load({**os.environ, **{name: value for name, value in (said or {}).items() if value}}, DOTENV)
    for note in settings.secrets.notes:
        logger.warning("{}", note)
    if quiet and settings.log_level in {"INFO", "WARNING"}:
        _configure("ERROR", settings.log_format)
    if level:
        _configure(level, settings.log_format)
    return settings


def settings_now() -> Settings:
    """The settings as they are said now; raises WrongSettings."""
    return load(os.environ, DOTENV)


def forget_settings(*, but: Collection[str]) -> list[str]:
    """Have the environment say nothing of our settings, ``but`` of these; the names of those that it did."""
    names = [field.name.upper() for field in fields(Settings) if field.name != "secrets"]
    names = [name for one in names for name in (one, beside(one)) if name in os.environ and name not in but]
    for name in names:
        del os.environ[name]
    return sorted(names)


def prepare() -> None:
    """Set up the log as it is asked for, as far as that can be understood: wrong settings are told in it too."""
    level, style = (peek(os.environ, DOTENV, name).strip() for name in ("LOG_LEVEL", "LOG_FORMAT"))
    _configure(level.upper() if level.upper() in get_args(LogLevel) else "INFO", style.lower())


def _configure(level: str, style: str) -> None:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    configure(level, style, colored=sys.stderr.isatty() and not plain)


def collect_rarely() -> None:
    """Have Python look for garbage seldom, and never through what is loaded by now: that stays."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


def tell_problems(problems: Mapping[str, Sequence[str]]) -> None:
    """Log why some clients cannot be served, while the others are."""
    for problem in itertools.chain.from_iterable(problems.values()):
        logger.bind(event="left_out").error("wrong settings: {}; this client is left out", problem)


def child(*arguments: str) -> tuple[Sequence[str], Mapping[str, str]]:
    """The command and the environment of this very program in a process of its own, its log in JSON.

    It finds the modules that this process finds: also those that lie beside the program, or in the current folder.
    """
    places = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
    environment = {**os.environ, "PYTHONPATH": places, "LOG_FORMAT": "json"}
    return (sys.executable, "-P", "-m", "pipeline", *arguments), environment


def lanes_of(settings: Settings) -> Mapping[str, HaveLanes]:
    """How the lanes of a flow are had, as ENGINE or WORKERS says, by flow: others have none. Raises WrongSettings."""
    if settings.engine:
        return {"inbound": partial(Driver, find_engine(settings.engine))}
    is_auto = settings.workers == "auto"
    count = min(len(os.sched_getaffinity(0)), MOST_BY_ITSELF) if settings.workers == "auto" else settings.workers
    if count == 1:
        return {}
    command, environment = child("lane")
    workers = Workers(count=count, after=ENOUGH if is_auto else 0, command=command, environment=environment)
    # A folder lets one in at a time: what one lane leaves over, two do not take.
    return {"inbound": partial(Dealer, workers), "outbound": partial(Dealer, replace(workers, count=1))}


def is_drawn() -> bool:
    """Whether standard error is a terminal that a person looks at: drawings would be many lines anywhere else."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("CI", "") in {"", "false", "0"}


def mongod_bin() -> str | None:
    """The mongod to embed that the environment names."""
    return os.environ.get("MONGOD_BIN") or None


def person() -> str:
    """Who gives this command, for logs and letters: user and host."""
    user = os.environ.get("USER")
    if not user:
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}".encode(errors="backslashreplace").decode()


def editor() -> str:
    """The command that a person edits text with."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
