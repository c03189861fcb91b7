"""What the page has done: by this very program, in processes of its own."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from pipeline.cli.start import child
from pipeline.deadletters import Filters
from pipeline.errors import Fatal, WrongUsage
from pipeline.service.looking import Both
from pipeline.service.replay import Retried
from pipeline.service.serve import State
from pipeline.service.settings import Settings
from pipeline.web.doors import Doors

__all__ = ["Children"]

WAIT: Final = 10
"""Seconds that a child waits for orders that a run is working on."""


class Children(Doors):
    """Commands in processes of their own: they may start a server, or join one, which nothing inside a loop should.

    A MongoDB ends with the thread that started it, so it is the main thread of a process that starts it. What they do
    is journaled and goes on to its end, whatever becomes of the page. ``served`` says where the MongoDB is that runs
    beside the page, ``states`` how the clients of the service fare.
    """

    def __init__(
        self,
        settings: Settings,
        served: Callable[[], str] = lambda: "",
        states: Callable[[], Mapping[str, State] | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._served = served
        self._states = states

    @property
    def uri(self) -> str:
        """The one that is set, else that of the one beside the page."""
        return self._settings.mongo_uri or self._served()

    @property
    def states(self) -> Mapping[str, State] | None:
        """As the service has them."""
        return self._states()

    async def retry(self, which: str | Filters) -> Retried:
        """``dead-letters retry``."""
        chosen = [which] if isinstance(which, str) else ["--all", "--yes", *_options(which)]
        return msgspec.convert(await self._asked("dead-letters", "retry", "--json", f"--wait={WAIT}", *chosen), Retried)

    async def restore(self, client: str, number: str, field: str) -> str:
        """``conflicts restore``."""
        told = await self._asked(
            "conflicts", "restore", "--json", f"--client={client}", f"--wait={WAIT}", "--", number, field
        )
        return str(told.get("next", ""))

    async def look(self, number: str) -> Sequence[Both]:
        """``explain --now``."""
        told = await self._asked("explain", "--now", "--json", "--", number)
        return msgspec.convert(told.get("now", []), list[Both])

    async def _asked(self, *arguments: str) -> dict[str, Any]:
        """What a command prints as JSON; raises Fatal for what stopped it."""
        command, environment = child(*arguments)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            raise WrongUsage(f"this cannot be started with what was asked for ({type(error).__name__})") from error
        out, err = await process.communicate()
        told = _decoded(out)
        errors = [line["message"] for line in map(_decoded, err.splitlines()) if line and line.get("level") == "ERROR"]
        if told is None or told.get("error") or (errors and process.returncode):
            kind = WrongUsage if process.returncode == WrongUsage.exit_code else Fatal
            raise kind("; ".join(errors) or (told or {}).get("error") or f"{arguments[1]} was ended from outside")
        return told


def _options(filters: Filters) -> Iterator[str]:
    """The options that say the same as ``filters``, as far as the page's form has them."""
    for name in ("flow", "client", "stage", "reason"):
        if value := getattr(filters, name):
            yield f"--{name}={value}"


def _decoded(text: bytes) -> dict[str, Any] | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(text, type=dict[str, Any])
    return None
