"""Play a history, and say what is wrong at its end."""

import asyncio
import itertools
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import httpx
import stamina
from bson import ObjectId

import pipeline.dataflow.messages
import pipeline.deadletters.drawer
import pipeline.tracos.batch
import pipeline.tracos.clock
import pipeline.tracos.lease
import pipeline.tracos.source
import pipeline.transports.folder.options
import pipeline.transports.folder.source
import pipeline.transports.http.sink
import pipeline.transports.http.source
import pipeline.transports.http.state
from tests.simulation import check, lanes, machine
from tests.simulation.clock import Clock, VirtualLoop
from tests.simulation.ports import current
from tests.simulation.steps import History
from tests.simulation.words import Wrong
from tests.simulation.world import World

CLIENT = httpx.AsyncClient
GROUP = 2
"""How much is read at once, so that a few orders are several groups."""
CLOCKS = (
    *(pipeline.tracos.clock, pipeline.dataflow.messages, pipeline.deadletters.drawer),
    *(pipeline.transports.http.source, pipeline.transports.http.sink, pipeline.transports.http.state),
)
GROUPS = (pipeline.tracos.source, pipeline.transports.folder.source)


@contextmanager
def virtual(clock: Clock) -> Iterator[None]:
    """The program's clock is ``clock``, no retry waits, groups are small, and what is made up at random is not."""
    numbers, tokens = itertools.count(1), itertools.count(1)
    with ExitStack() as stack:
        for module in CLOCKS:
            stack.enter_context(mock.patch.object(module, "datetime", clock))
        for module in GROUPS:
            stack.enter_context(mock.patch.object(module, "GROUP", GROUP))
        new_ids = mock.patch.object(pipeline.tracos.batch, "new_ids", lambda: map(_document_id, numbers))
        stack.enter_context(new_ids)
        token = mock.patch.object(secrets, "token_hex", lambda size: f"{next(tokens):0{2 * size}x}")
        stack.enter_context(token)
        stack.enter_context(mock.patch.object(pipeline.tracos.lease, "_clock", clock.time))
        stack.enter_context(stamina.set_testing(True, attempts=8, cap=True))
        version = pipeline.transports.folder.options.VERSION
        stack.enter_context(mock.patch.object(pipeline.transports.folder.options, "VERSION", version))
        stack.enter_context(machine.watched())
        stack.enter_context(lanes.possible())
        stack.enter_context(mock.patch.object(httpx, "AsyncClient", _connected))
        stamina.instrumentation.set_on_retry_hooks([])
        yield


def _connected(**options: Any) -> httpx.AsyncClient:
    """A client whose network is the history's."""
    ports = current()
    return CLIENT(transport=httpx.MockTransport(ports.answer), **options)


def _document_id(number: int) -> ObjectId:
    return ObjectId(f"ff{number:022x}")


async def play(history: History, **world: Any) -> World:
    """Play it to its end; raises Wrong for what must never be."""
    clock, loop = Clock(), asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        loop.clock = clock
    with machine.place() as root, virtual(clock):
        played = World(history, root, clock, **world)
        for step in history.steps:
            await played.step(step)
            check.always(played)
        await played.settle_down()
        check.always(played)
        check.at_the_end(played)
        played.ended = played.end()
    return played


async def failure(history: History, **world: Any) -> str | None:
    """What is wrong with a history; None where nothing is."""
    try:
        await play(history, **world)
    except Wrong as wrong:
        return str(wrong)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
