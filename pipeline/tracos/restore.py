"""A value that gave way is set again: as a new edit in TracOS, which the next run tells the client."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bson.decimal128 import Decimal128
from msgspec.structs import replace
from pymongo.read_concern import ReadConcern

from pipeline.errors import Fatal, Rejected, See, WrongUsage
from pipeline.history.conflicts import Conflict
from pipeline.history.decisions import RESTORED, Change, Decisions, Entry
from pipeline.orders.merge import Current
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import MERGED_FIELDS, Kind, Status, id_key, later, with_values
from pipeline.tracos.batch import UNLIKE
from pipeline.tracos.clock import now
from pipeline.tracos.connection import ATTEMPTS, Connection
from pipeline.tracos.document import READ, changes, guard, read_document
from pipeline.tracos.found import Found, read_batch, see_confirmed
from pipeline.tracos.indexes import IS_ID, SIMPLE
from pipeline.tracos.marks import understood
from pipeline.tracos.operations import Operation
from pipeline.tracos.story import Story
from pipeline.translation.times import format_time, parse_time

__all__ = ["Restorer"]

TOLD: Final = 0
"""The position of the one entry of the story."""


class Restorer:
    """Sets the value of ``conflict`` again, under the guard that every write has.

    What it overwrites may be the only copy of somebody's edit, so that the decision log is told before, durably, and
    that is taken back where the write misses. Killed in between, the log tells of a value that is not there; it can be
    restored again, because the document alone decides whether it is.
    """

    def __init__(self, connection: Connection, terms: Terms, decisions: Decisions, conflict: Conflict) -> None:
        self._connection = connection
        self._terms = terms
        self._decisions = decisions
        self._conflict = conflict
        self._called = f"order {conflict.number}"
        self._story = Story()
        self._compared: Found | None = None
        """What the last write was guarded by, which missed, or whose reply was lost."""
        self._made: Mapping[str, Any] = {}
        """What that write would have set."""
        self._is_unmet = False
        """Whether that write met no document, as the answer says: without an answer it is no miss."""
        self._missed = 0
        """How often that write missed, and nothing else was found than before."""
        self._change = Change(conflict.field, None, None)

    async def restore(self) -> Change:
        """What was written, once it is.

        Raises WrongUsage where there is no such order any more, where it cannot be understood, says that value already,
        or where MongoDB refuses it; Fatal where somebody edits the order time and again, or for an outage.
        """
        refused = Fatal(
            f"{self._called} is being edited in TracOS time and again: nothing was set; do it again", see=See.EDITED
        )
        try:
            for _ in range(ATTEMPTS):
                if await self._connection.ride_out(self._attempt):
                    await self._decisions.record(self._story.taken_back())
                    return self._change
            if self._missed >= ATTEMPTS - 1:
                raise Rejected(UNLIKE)
        except Rejected as error:
            refused = WrongUsage(f"{self._called}: {error}: nothing was set")
        await self._decisions.record(self._story.taken_back())  # not after an outage, when it may be written
        raise refused

    async def _attempt(self) -> bool:
        """Look the order up, and write; whether that is done."""
        found = await self._look_up()
        before = self._compared
        if before is not None and found.raw == before.raw:
            see_confirmed([found], [await self._look_up(confirmed=False)])
            self._missed += self._is_unmet
        try:
            current = understood(found, self._terms)
        except Rejected as error:
            raise Rejected(*(f"the document in TracOS: {reason}" for reason in error.reasons)) from error
        document = found.readable
        if before is not None and _shows(document, self._made):  # the reply was lost
            list(self._story.done([TOLD]))
            return True
        sets = self._sets(document, current, now())
        self._compared, self._made, self._is_unmet = found, sets, False
        await self._decisions.record(list(self._story.ahead([TOLD])))
        written = await self._connection.write(
            [Operation.update(guard(document, (*self._terms.fields, self._conflict.field)), sets)]
        )
        for refusal in written.refusals.values():
            raise Rejected(refusal.reason)
        self._is_unmet = not written.matched
        if written.matched:
            list(self._story.done([TOLD]))
        return bool(written.matched)

    async def _look_up(self, *, confirmed: bool = True) -> Found:
        """The order's document, the field in question read too."""
        key = id_key(self._conflict.number)
        query = {"number": {"$in": [key, str(key)], **IS_ID}}
        collection = self._connection.collection
        if not confirmed:
            collection = collection.with_options(read_concern=ReadConcern("local"))
        batches: Any = collection.find_raw_batches(
            query, dict.fromkeys((*READ, *self._terms.fields, self._conflict.field), True), collation=SIMPLE
        )
        found = [one async for batch in batches for one in read_batch(batch)]
        if not found:
            raise Rejected("TracOS has no such order any more")
        if len(found) > 1:
            raise Rejected("several documents in TracOS have this number; merge or remove the twins")
        return found[0]

    def _sets(self, document: Mapping[str, Any], current: Current, at: datetime) -> dict[str, Any]:
        """The new edit as values to set; what the decision log is told of it is decided with it."""
        order, field, value = current.order, self._conflict.field, self._conflict.value
        touched = replace(order, updated_at=later(order.updated_at, at))
        kind = self._terms.fields.get(field)
        if field in MERGED_FIELDS or (kind is Kind.TIME and value is not None):
            sets = changes(document, order, with_values(touched, _values(field, value, at)))
        else:
            said = value if kind is Kind.TEXT else like(document.get(field), value)
            sets = changes(document, order, touched) | {field: said}
        was = bool(document.get(field)) if field == "deleted" else document.get(field)
        if field not in sets or (sets[field] == was and isinstance(was, bool) is isinstance(sets[field], bool)):
            raise Rejected(f"{field} says that already")
        sets["isSynced"] = False
        if current.sync is not None:
            sets["sync.rev"] = current.sync.rev + 1
        read_document({**document, **sets}, self._terms)  # what could not be read again is not written
        self._change = Change(field, _plain(was), _plain(sets[field]))
        self._story.decide(TOLD, self._entry(at))
        return sets

    def _entry(self, at: datetime) -> Entry:
        conflict = self._conflict
        return Entry(
            at=at,
            run=self._decisions.run,
            client=conflict.client,
            number=conflict.number,
            locator=conflict.locator,
            rule=RESTORED,
            changes=(self._change,),
            by=self._decisions.by,
        )


def like(own: Any, value: Any) -> Any:
    """``value``, in the kind of what the document has there: a time, a number; the decision log holds it as JSON does.

    Where it cannot be one, it stays as it is.
    """
    try:
        if isinstance(own, datetime) and isinstance(value, str):
            return parse_time(value, UTC)
        if isinstance(own, str) and isinstance(value, str) and _is_time(own):
            return format_time(parse_time(value, UTC))
        if isinstance(own, Decimal128) and isinstance(value, int | float | str) and not isinstance(value, bool):
            return Decimal128(str(value))
        if isinstance(own, float) and type(value) is int:
            return float(value)
    except (ValueError, ArithmeticError):
        pass
    return value


def _is_time(text: str) -> bool:
    """Whether a text is a time as we write it."""
    try:
        return format_time(parse_time(text, UTC)) == text
    except ValueError:
        return False


def _values(field: str, value: Any, at: datetime) -> dict[str, Any]:
    """A value of one of the four, or of a time, as an order has it; a deletion is dated ``at``, when it is made."""
    try:
        match field:
            case "deleted":
                return {"deleted": bool(value), "deleted_at": at if value else None}
            case "status":
                return {"status": None if value is None else Status(value)}
            case "title" | "description":
                return {field: value}
        return {field: parse_time(value, UTC)}
    except (ValueError, TypeError) as error:
        raise Rejected(
            f"the decision log holds no {'status' if field == 'status' else 'time'} that there is"
        ) from error


def _plain(value: Any) -> Any:
    """What JSON can hold, and a person can read."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)  # of BSON's own types of integers
    return value if value is None or isinstance(value, bool | str | float | datetime) else str(value)


def _shows(document: Mapping[str, Any], sets: Mapping[str, Any]) -> bool:
    """Whether a document is as a write of ours has left it."""
    sync = document.get("sync")
    rev = sync.get("rev") if isinstance(sync, Mapping) else None
    return all((rev if field == "sync.rev" else document.get(field)) == value for field, value in sets.items())
