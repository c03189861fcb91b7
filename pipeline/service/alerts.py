"""Alerts: ALERT_URL is told of a client's troubles, each once, and PING_URL is asked after each good pass.

What cannot be delivered stops nothing: it is told in one line of the log, and tried again after the next pass.
"""

import asyncio
import socket
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from ssl import SSLContext
from typing import Any, Final, Literal

import httpx
import msgspec
from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.errors import BudgetExceeded, Reason
from pipeline.orders.workorder import Moment
from pipeline.service.passes import Pass, Watcher
from pipeline.service.settings import Settings
from pipeline.service.telling import looked_up
from pipeline.service.told import Told, Trouble, load_told, save_told

__all__ = ["Alert", "Alerts", "Event", "due"]

TIMEOUT_SECONDS: Final = 5
"""How long a request may take in all."""

PLACE: Final = "{client}"
"""In PING_URL: the client's name, so that each has a dead man's switch of its own."""


Event = Literal["failed", "budget_exceeded", "recovered", "dead_letters"]


class Alert(Struct, frozen=True, kw_only=True):
    """What ALERT_URL is sent, as JSON; it holds no value of any order."""

    text: str
    """All of it for a person; the key that Slack, Mattermost and others show."""
    event: Event
    client: str
    flow: str | None = None
    """inbound or outbound, for ``dead_letters``."""
    count: int | None = None
    """How many dead letters are new."""
    open: int | None = None
    """How many are open, with the new ones."""
    reason: str | None = None
    """What stopped the client, as the log has it."""
    run: str
    """The run's id, as ``history`` and the logs have it; empty where there was none."""
    host: str
    at: Moment


class Alerts(Watcher):
    """Tells ``settings.alert_url`` and ``settings.ping_url`` of passes.

    ``at_once``: each pass in a task of its own, of which a client has one at a time; else all of it when this settles.
    """

    def __init__(self, settings: Settings, *, at_once: bool = False) -> None:
        self._alert_url, self._ping_url = settings.alert_url, settings.ping_url
        self._folder = settings.data_state_dir
        self._at_once = at_once
        self._waiting: dict[str, Pass] = {}
        """The newest pass of each client that is not told yet: it tells of what those before it did not."""
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def expect(self, clients: Mapping[str, Collection[str]]) -> None:
        """Nothing is expected."""

    def passed(self, one: Pass) -> None:
        """Tell of it, soon."""
        self._waiting[one.client] = one
        if self._at_once:
            self._start(one.client)

    async def settle(self, seconds: float) -> None:
        """Tell all that is to be told yet, as far as that is done within so many seconds."""
        for client in list(self._waiting):
            self._start(client)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
                logger.warning("alerts: not all could be told within {:g} s: they are told next time", seconds)

    def _start(self, client: str) -> None:
        if client not in self._tasks:
            self._tasks[client] = asyncio.ensure_future(self._tell(client))

    async def _tell(self, client: str) -> None:
        try:
            while (one := self._waiting.pop(client, None)) is not None:
                await self._tell_of(one)
        except Exception as error:
            logger.opt(exception=error).trace("not told")
            logger.warning("alerts: stopped by an unexpected {}", type(error).__name__)
        finally:
            del self._tasks[client]

    async def _tell_of(self, one: Pass) -> None:
        async with httpx.AsyncClient(verify=self._trust, timeout=TIMEOUT_SECONDS) as http:
            await self._alert(http, one)
            if one.is_good and self._ping_url:
                address = self._ping_url.replace(PLACE, one.client)
                await _sent(http, http.build_request("GET", address), "PING_URL cannot be asked")

    async def _alert(self, http: httpx.AsyncClient, one: Pass) -> None:
        if not self._alert_url:
            return
        for alert, after in due(load_told(self._folder, one.client), one, datetime.now(UTC)):
            headers = {"Content-Type": "application/json"}
            request = http.build_request("POST", self._alert_url, content=msgspec.json.encode(alert), headers=headers)
            problem = f"the alert {alert.event} of {alert.client} cannot be delivered, and is tried after the next pass"
            if not await _sent(http, request, problem):
                return
            save_told(self._folder, one.client, after)

    @cached_property
    def _trust(self) -> SSLContext:
        """Made once: it costs more than a request."""
        return httpx.create_ssl_context()


def due(told: Told, one: Pass, now: datetime) -> Iterator[tuple[Alert, Told]]:
    """What is to be told of a pass, where ``told`` was told before; each with what is told once that has arrived."""
    trouble = _trouble(one)
    if trouble is not None and trouble != told.trouble:
        told = replace(told, trouble=trouble)
        yield _of_trouble(one, trouble, now), told
    for flow, standing in sorted((one.letters or {}).items()):
        until = told.letters.get(flow)
        # Where the clock went back, what is new is of this pass, and what lies ahead of it was told before.
        since = [at for at in standing.since if until is None or min(until, one.began) < at <= now]
        if since:
            told = replace(told, letters={**told.letters, flow: since[-1]})
            yield _of_letters(one, flow, len(since), standing.count, now), told


def _trouble(one: Pass) -> Trouble | None:
    """What ails the client; None: the pass says nothing of that."""
    if one.is_held or not one.is_whole:
        return None
    if one.error is None:
        return ""
    return "budget_exceeded" if isinstance(one.error, BudgetExceeded) else "failed"


def _of_trouble(one: Pass, trouble: Trouble, now: datetime) -> Alert:
    if trouble == "":
        return _alert(one, "recovered", f"{one.client} is synced again", now)
    what = "was stopped by a budget" if trouble == "budget_exceeded" else "cannot be synced"
    why = "" if one.error is None else looked_up(one.error)
    return _alert(one, trouble, f"{one.client} {what}: {why}", now, reason=_printable(why))


def _of_letters(one: Pass, flow: str, count: int, standing: int, now: datetime) -> Alert:
    text = f"{one.client}: {count:,} new dead letters in {flow}, {standing:,} open; `dead-letters list` shows them"
    return _alert(one, "dead_letters", text, now, flow=flow, count=count, open=standing)


def _alert(one: Pass, event: Event, text: str, now: datetime, **more: Any) -> Alert:
    host = socket.gethostname()
    said = _printable(f"workorder-sync on {host}: {text}")
    return Alert(text=said, event=event, client=one.client, run=one.run, host=host, at=now, **more)


def _printable(text: str) -> str:
    """A file's name may hold anything, also what no JSON can."""
    return Reason(text).loggable


async def _sent(http: httpx.AsyncClient, request: httpx.Request, problem: str) -> bool:
    """Whether it has arrived; the address is told to nobody: it holds a secret, as a rule."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer = await http.send(request, stream=True)  # whatever it says at length is not read
            await answer.aclose()
    except (httpx.HTTPError, OSError) as error:  # TimeoutError is one
        why = type(error).__name__
    else:
        if answer.is_success:
            return True
        why = f"it answers {answer.status_code}"
    logger.warning("{}: {}", problem, why)
    return False
