"""Executions that no coverage guides: seeds, mutated by numbers that the same seed makes the same."""

import resource
import time
from random import Random

from loguru import logger

from tests.fuzz.mutate import mutated
from tests.fuzz.played import Played
from tests.fuzz.registry import targets

MOST_MB = 200
"""What no target may take in memory."""


def play(name: str, corpus: list[bytes], executions: int, seconds: float, seed: int) -> Played:
    """Run a target so often, or so long, whichever is first; it ends at the first failure."""
    logger.remove()
    target = targets()[name]
    random, before = Random(f"{seed} {name}"), _megabytes()
    began, done = time.monotonic(), 0
    while done < executions and time.monotonic() - began < seconds:
        data = corpus[done] if done < len(corpus) else mutated(corpus, random)
        done += 1
        try:
            target.run(data)
        except Exception as error:
            return Played(name, done, time.monotonic() - began, f"{type(error).__name__}: {error}", data)
    more = _megabytes() - before
    why = f"it has taken {more:.0f} MB" if more > MOST_MB else ""
    return Played(name, done, time.monotonic() - began, why)


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
