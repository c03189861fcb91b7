"""An engine for tests: threads of this process, some of which lose what they have, before it is done or after."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

from pipeline.service.lanes.engine import Engine, Lost
from pipeline.service.lanes.errand import rest, run


class Threads(Engine):
    slots = 5

    def __init__(self, losses):
        self._losses = losses
        self._chance = random.Random(losses)
        self._lost = False
        self._pools = []
        self.errands = 0

    async def open(self):
        self._pools = [ThreadPoolExecutor(1) for _ in range(3)]

    async def close(self):
        for pool in self._pools:
            await asyncio.get_running_loop().run_in_executor(pool, rest)
            pool.shutdown()

    async def submit(self, errand):
        self.errands += 1
        loses, self._lost = bool(self._losses) and not self._lost, False  # none three times: that stops a run
        if loses and self._chance.random() < 0.05:
            self._lost = True
            raise Lost("a thread")
        answer = await asyncio.get_running_loop().run_in_executor(self._chance.choice(self._pools), run, errand)
        if loses and self._chance.random() < 0.05:
            self._lost = True
            raise Lost("a thread")
        return answer


def connect(url):
    return Threads(int(url.partition("://")[2] or 0))
