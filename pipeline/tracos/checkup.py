"""What ``doctor`` tells of MongoDB: reachable, recent, writable, indexed, without twins, its clock right."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo.errors import OperationFailure

from pipeline.errors import Fatal
from pipeline.finding import Finding
from pipeline.tracos.connection import Connection
from pipeline.tracos.indexes import find_twins, missing

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
    asked = datetime.now(UTC)
    hello = await collection.database.client.admin.command("hello")
    answered = datetime.now(UTC)
    build = await collection.database.client.admin.command("buildInfo")
    findings = [_version(build["version"]), _writable(hello), _clock(hello, asked, answered)]
    try:
        lacking = await missing(collection)
        twins = await find_twins(collection)
    except OperationFailure as error:
        findings.append(Finding("access", "problem", f"not allowed to read (code {error.code})", "grant readWrite"))
        return findings
    name = f"{collection.database.name}.{collection.name}"
    findings.append(
        Finding("indexes", "warning", f"{name} lacks an index on {' and on '.join(lacking)}", "the next run makes it")
        if lacking
        else Finding("indexes", "ok", f"{name} has both")
    )
    several = ", ".join(map(repr, twins))
    findings.append(
        Finding("twins", "problem", f"several documents have one number: {several}", "merge or remove them")
        if twins
        else Finding("twins", "ok", "every number is there once")
    )
    return findings


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
