"""Whether the user of MONGO_URI may do what a run does, and a majority can confirm it; nothing is written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pymongo.errors import OperationFailure

from pipeline.finding import Finding
from pipeline.tracos.indexes import Collection

__all__ = ["look_at_majority", "look_at_rights"]

NEEDED: Final = ("find", "insert", "update", "listIndexes")
"""What every run does to the collection; readWrite on the database has it all."""

OF_LEASES: Final = ("find", "insert", "update")
"""What every run does to the collection beside it, where its lease is."""

CONFIRMING: Final = frozenset({1, 2})
"""PRIMARY and SECONDARY: the states of members that confirm writes."""


async def look_at_rights(collection: Collection, lacking: Sequence[str]) -> Finding:
    """What the user may not do of what a run does; where ``lacking`` names fields, it makes indexes, too."""
    name = f"{collection.database.name}.{collection.name}"
    status = await collection.database.client.admin.command({"connectionStatus": 1, "showPrivileges": True})
    login = status["authInfo"]
    if not login.get("authenticatedUsers"):
        return Finding("rights", "ok", "this server asks for no login")
    privileges, database = login.get("authenticatedUserPrivileges", ()), collection.database.name
    for beside, needed in (("", (*NEEDED, "createIndex") if lacking else NEEDED), (".sync", OF_LEASES)):
        held = set(_held(privileges, database, f"{collection.name}{beside}"))
        if missing := ", ".join(action for action in needed if action not in held):
            says = f"lacks the right to {missing} on {name}{beside}"
            return Finding("rights", "problem", says, "grant readWrite on the database")
    return Finding("rights", "ok", f"all that a run needs on {name}")


async def look_at_majority(collection: Collection, hello: Mapping[str, Any]) -> Finding | None:
    """Whether enough members run to confirm writes; None where that cannot be known or is no question."""
    if "setName" not in hello:
        return None
    try:
        status = await collection.database.client.admin.command("replSetGetStatus")
    except OperationFailure:
        return None  # a right of its own, which a run does not need
    confirming = [one for one in status["members"] if one.get("health") == 1 and one.get("state") in CONFIRMING]
    needed = status.get("writeMajorityCount", len(status["members"]) // 2 + 1)
    if len(confirming) < needed:
        says = f"no majority of members can confirm writes: {needed} are needed, {len(confirming)} run"
        return Finding("majority", "problem", says, "see that enough members that hold data run and keep up")
    return Finding("majority", "ok", f"{len(confirming)} members can confirm writes, {needed} are needed")


def _held(privileges: Sequence[Mapping[str, Any]], database: str, collection: str) -> Iterator[str]:
    """The actions that privileges allow on the collection."""
    for privilege in privileges:
        resource = privilege["resource"]
        if resource.get("anyResource") or (
            resource.get("db") in ("", database) and resource.get("collection") in ("", collection)
        ):
            yield from privilege["actions"]
