"""What is known against a payload before it is retried: the pure part of the chain that it failed in."""

import asyncio
from typing import Any

from pipeline.clients.connector import Connector
from pipeline.deadletters import Filed
from pipeline.deadletters.letter import Check
from pipeline.errors import Reason, Rejected
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings

__all__ = ["check_of"]


def check_of(settings: Settings, filed: Filed) -> Check:
    """What finds whether a payload of the letter would pass its client's parse, validate and translate stages.

    Raises WrongUsage or WrongSettings where there is no such client that works: its letters cannot be mended.
    """
    name = filed.letter.client
    client = Sessions(settings, only=name).get(name).client
    return lambda payload: asyncio.run(_check(client, payload))


async def _check(client: Connector, payload: bytes) -> tuple[str, tuple[Reason, ...]]:
    value: Any = payload
    for stage, function in (("parse", client.parse), ("validate", client.validate), ("translate", client.to_record)):
        try:
            value = function(value)
            if hasattr(value, "__await__"):
                value = await value
        except Rejected as error:
            return stage, error.reasons
        except Exception as error:  # a client's own: what the stage would make of it
            return stage, (Reason(f"unexpected {type(error).__name__} in the {stage} stage"),)
    return "", ()
