"""What ``doctor`` tells of MongoDB: reachable, recent, writes allowed and confirmed, indexes, twins, its clock."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo.errors import OperationFailure

from pipeline.errors import Fatal
from pipeline.finding import Finding
from pipeline.tracos.connection import Connection
from pipeline.tracos.indexes import find_twins, missing, refuse_unfit
from pipeline.tracos.rights import look_at_majority, look_at_rights
from pipeline.tracos.verdicts import LABELS, Verdict, judge, missing_right

__all__ = ["examine"]

OLDEST: Final = 7
"""The oldest major version that is still maintained."""

SKEW: Final = timedelta(seconds=5)


async def examine(connection: Connection) -> list[Finding]:
    """Look at MongoDB through ``connection``, which this opens and closes; writes nothing."""
    async with connection:
        try:
            return await connection.ride_out(lambda: _look(connection))
        except Fatal as error:
            what, _, do = str(error).partition(": ")
            return [Finding("MongoDB", "problem", what, do or "see MONGO_URI")]


async def _look(connection: Connection) -> list[Finding]:
    collection = connection.collection
    admin = collection.database.client.admin
    asked = datetime.now(UTC)
    hello = await admin.command("hello")
    answered = datetime.now(UTC)
    build = await admin.command("buildInfo")
    findings = [_version(build["version"]), _writable(hello), _clock(hello, asked, answered)]
    if (majority := await look_at_majority(collection, hello)) is not None:
        findings.append(majority)
    try:
        await refuse_unfit(collection)
        lacking = await missing(collection)
        rights = await look_at_rights(collection, lacking)
        twins = await find_twins(collection)
    except OperationFailure as error:
        if judge(error.code, labels=filter(error.has_error_label, LABELS)) is not Verdict.RIGHTS:
            raise
        right = missing_right(str(error)) or "read"
        return [
            *findings,
            Finding("rights", "problem", f"lacks the right to {right}", "grant readWrite on the database"),
        ]
    except Fatal as error:
        what, _, do = str(error).partition(": ")
        return [*findings, Finding("collection", "problem", what, do)]
    name = f"{collection.database.name}.{collection.name}"
    indexes = Finding("indexes", "ok", f"{name} has all three")
    if lacking:
        says = f"{name} lacks an index on {' and on '.join(lacking)}"
        indexes = Finding("indexes", "warning", says, "the next run makes it")
    unique = Finding("twins", "ok", "every number is there once")
    if twins:
        several = ", ".join(map(repr, twins))
        unique = Finding("twins", "problem", f"several documents have one number: {several}", "merge or remove them")
    return [*findings, rights, indexes, unique]


def _version(version: str) -> Finding:
    if int(version.split(".", maxsplit=1)[0]) < OLDEST:
        return Finding("MongoDB", "warning", f"answers, but {version} is past its end of life", "use a current one")
    return Finding("MongoDB", "ok", f"answers, version {version}")


def _writable(hello: dict[str, Any]) -> Finding:
    if hello.get("isWritablePrimary"):
        return Finding("writes", "ok", "this server takes writes")
    return Finding("writes", "problem", "this server takes no writes", "name the replica set in MONGO_URI")


def _clock(hello: dict[str, Any], asked: datetime, answered: datetime) -> Finding:
    theirs = hello["localTime"]
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    apart = max(asked - theirs, theirs - answered, timedelta(0))
    if apart > SKEW:
        return Finding(
            "clocks", "warning", f"the server's is {apart.total_seconds():.0f} s off ours", "set them by NTP"
        )
    return Finding("clocks", "ok", "the server's agrees with ours")
