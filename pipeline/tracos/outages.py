"""Ride out MongoDB's outages: exponential back-off with jitter, bounded, and then one clear line."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import stamina
from loguru import logger
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from pipeline.errors import Fatal, See, TracosOutage, WrongSettings
from pipeline.tracos.reach import bad_certificate, is_dns, why
from pipeline.tracos.verdicts import LABELS, Verdict, judge, missing_right

__all__ = ["ride_out"]

T = TypeVar("T")


async def ride_out(
    operation: Callable[[], Awaitable[T]],
    *,
    seconds: float,
    topology: Callable[[], Any] = lambda: None,
    ended: Callable[[], str] = str,
) -> T:
    """The result of ``operation``, tried again for about ``seconds`` while what is wrong may pass.

    A standalone server never retries writes, so a reply may be lost of a write that was applied: ``operation`` must be
    idempotent. ``topology`` tells what the driver knows of the servers, ``ended`` what to say of one that never comes
    back. Raises TracosOutage when MongoDB stays away,
    Fatal for everything else that it refuses as a whole.
    """

    def may_pass(error: Exception) -> bool:
        if not isinstance(error, PyMongoError) or _verdict(error, topology()) is not Verdict.PASSES:
            return False
        if ended():
            return False
        if time.monotonic() - began < seconds:
            logger.bind(event="outage").warning(
                "MongoDB: {}; trying again for up to {:g} s", why(error, topology()), seconds
            )
        return seconds > 0

    began = time.monotonic()
    attempts = None if seconds > 0 else 1
    try:
        async for attempt in stamina.retry_context(may_pass, attempts=attempts, timeout=seconds or None):
            with attempt:
                return await operation()
    except PyMongoError as error:
        if why_it_ended := ended():
            raise TracosOutage(why_it_ended, see=See.EMBEDDED_ENDED) from error
        raise _told(error, seconds, topology()) from error
    raise AssertionError("unreachable: a retry context returns or raises")


def _verdict(error: PyMongoError, topology: Any) -> Verdict:
    if isinstance(error, OperationFailure):
        return judge(error.code, labels=filter(error.has_error_label, LABELS), message=str(error))
    if is_dns(error) or (isinstance(error, ConnectionFailure) and bad_certificate(error, topology) is None):
        return Verdict.PASSES
    return Verdict.STOPS


def _told(error: PyMongoError, seconds: float, topology: Any) -> Fatal:
    """What to say of an error that is the end."""
    reason = why(error, topology)
    if _verdict(error, topology) is Verdict.PASSES:
        what, do = "did not answer", "see that the server runs and that MONGO_URI names it, then run again"
        if isinstance(error, OperationFailure | NotPrimaryError):
            what, do = "could not work", "run again when it can"
        see = See.NO_MAJORITY if isinstance(error, WriteConcernError) else See.MONGODB_AWAY
        return TracosOutage(f"MongoDB {what} for {seconds:g} s ({reason}): nothing is lost; {do}", see=see)
    if isinstance(error, OperationFailure):
        return Fatal(_refused(error, reason), see=See.MONGODB_REFUSES)
    if isinstance(error, ConnectionFailure):
        return Fatal(
            f"MongoDB cannot be reached: {reason}; set it right, waiting does not help", see=See.MONGODB_REFUSES
        )
    if isinstance(error, ConfigurationError):
        return WrongSettings([f"MONGO_URI: the driver cannot work with it ({type(error).__name__})"])
    return Fatal(
        f"MongoDB's driver failed ({type(error).__name__}); set LOG_LEVEL=TRACE for the details", see=See.UNEXPECTED
    )


def _refused(error: OperationFailure, reason: str) -> str:
    verdict = _verdict(error, None)
    if verdict is Verdict.LOGIN:
        return f"MongoDB refuses the login ({reason}): see user, password and authSource in MONGO_URI"
    if verdict is Verdict.RIGHTS and "requires authentication" in str(
        error
    ):  # the server's words where nobody logged in
        return f"MongoDB wants a login ({reason}): name user and password in MONGO_URI"
    if verdict is Verdict.RIGHTS:
        right = missing_right(str(error))
        what = f"lacks the right to {right}" if right else "lacks a right"
        return f"the user of MONGO_URI {what} in MongoDB ({reason}): grant it readWrite on the database"
    if isinstance(error, WriteConcernError):
        return f"MongoDB cannot confirm writes as MONGO_URI asks ({reason}): see its option w"
    return f"MongoDB refuses the command ({reason}); set LOG_LEVEL=TRACE for the details"
