"""Ride out MongoDB's outages: exponential back-off with jitter, bounded, and then one clear line."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina
from loguru import logger
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from pipeline.errors import Fatal, TracosOutage, WrongSettings

__all__ = ["ride_out"]

T = TypeVar("T")

AWAY: Final = (ConnectionFailure, CursorNotFound, WTimeoutError)
"""ConnectionFailure itself: a lost reply, a stepped-down primary and a refused connection are all kinds of it."""

LOGIN_REFUSED: Final = frozenset({13, 18, 8000})


async def ride_out(operation: Callable[[], Awaitable[T]], *, seconds: float) -> T:
    """The result of ``operation``, tried again while MongoDB is away, for about ``seconds``.

    A standalone server never retries writes, so a reply may be lost of a write that was applied: ``operation`` must be
    idempotent. Raises TracosOutage when MongoDB stays away, Fatal for everything else that it refuses as a whole.
    """

    def is_away(error: Exception) -> bool:
        if seconds > 0 and isinstance(error, AWAY):
            logger.warning("MongoDB does not answer ({}); trying again for up to {:g} s", type(error).__name__, seconds)
            return True
        return False

    attempts = None if seconds > 0 else 1
    try:
        async for attempt in stamina.retry_context(is_away, attempts=attempts, timeout=seconds or None):
            with attempt:
                return await operation()
    except AWAY as error:
        raise TracosOutage(
            f"MongoDB did not answer for {seconds:g} s ({type(error).__name__}): nothing is lost; see that the server "
            "runs and that MONGO_URI names it, then run again"
        ) from error
    except ConfigurationError as error:
        raise WrongSettings([f"MONGO_URI: the driver cannot work with it ({type(error).__name__})"]) from error
    except OperationFailure as error:
        raise _refused(error) from error
    except PyMongoError as error:
        raise Fatal(f"MongoDB's driver failed ({type(error).__name__}); set LOG_LEVEL=TRACE for the details") from error
    raise AssertionError("unreachable: a retry context returns or raises")


def _refused(error: OperationFailure) -> Fatal:
    if error.code in LOGIN_REFUSED:
        return Fatal("MongoDB refuses the login or the access: see user, password and authSource in MONGO_URI")
    name = (error.details or {}).get("codeName", "no name")
    return Fatal(f"MongoDB refuses the command (code {error.code}, {name}); set LOG_LEVEL=TRACE for the details")
