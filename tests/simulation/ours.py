"""The people in TracOS; their software says when something was edited, and that it is to be told."""

from collections.abc import Callable
from typing import Any

from bson import ObjectId

from tests.simulation.clock import Clock
from tests.simulation.people import NUMBERS, Made, People, can_be
from tests.simulation.steps import Edit, Setting
from tests.simulation.words import shown, text, token

STATUSES = ("created", "pending", "in_progress", "on_hold", "completed", "cancelled")
SPOILS = (("status", "gone fishing"), ("title", 7), ("updatedAt", "soon"), ("createdAt", "31.31.2026"))
"""What makes a document one that cannot be understood: a value of a field."""


class Ours:
    """They edit documents, each with values of their own."""

    def __init__(self, documents: Any, setting: Setting, clock: Clock, people: People) -> None:
        self._documents, self._setting, self._clock, self._people = documents, setting, clock, people
        self._theirs_of: Callable[[int], str | None] = lambda slot: None
        self.erp_ids: dict[int, str] = {}
        """The ids of the orders that the ERP made itself."""

    def find(self, slot: int) -> dict[str, Any] | None:
        """The document of an order."""
        number: Any = NUMBERS[slot]
        if self._setting.ids == "client" and self._people.made.get(slot) == "erp":
            number = f"ERP-{self.erp_ids[slot]}"
        found = {str(one.get("number")): one for one in self._documents.all()}
        there = self._theirs_of(slot) if slot in self._people.lost else None
        return found.get(str(number)) or found.get(f"ERP-{there}")

    def know(self, theirs_of: Callable[[int], str | None]) -> None:
        """What tells the ERP's id of an order: by it an order is called that came back from there."""
        self._theirs_of = theirs_of

    @staticmethod
    def is_spoiled(document: dict[str, Any]) -> bool:
        """Whether somebody has made a document one that cannot be understood."""
        return any(document.get(field) == value for field, value in SPOILS)

    def edit(self, edit: Edit) -> None:
        """Do it, where it can be done."""
        document = self.find(edit.slot)
        if edit.what == "make":
            if document is None and self._people.may_make(self._setting, edit.slot):
                self._make(edit)
        elif document is not None and edit.what == "remove":
            self._people.excuse([edit.slot])
            self._documents.remove(document["_id"])
        elif document is not None and can_be(edit, is_deleted=bool(document.get("deleted"))):
            self._change(document, edit)
            if edit.time == "now" and edit.what != "spoil":
                document["updatedAt"] = self._time(document)
            elif edit.time == "none":
                document.pop("updatedAt", None)
            document["isSynced"] = False
            self._people.touched.add(edit.slot)
            self._documents.put(document)

    def _change(self, document: dict[str, Any], edit: Edit) -> None:
        match edit.what:
            case "spoil":
                self._people.spoil(edit, document, *SPOILS[edit.n % len(SPOILS)])
            case "mend":
                if self.is_spoiled(document):
                    self._people.mend(edit, document)
            case "title" | "description":
                self._type(document, edit, edit.what, text(edit.what[0].upper(), edit.n))
            case "more":
                self._type(document, edit, "asset", f"A{edit.n}")
            case "status":
                document["status"] = STATUSES[edit.n % len(STATUSES)]
                self._people.statuses[edit.slot].add(document["status"])
            case "delete":
                self._people.deleted.add((edit.slot, "tracos"))
                document |= {"deleted": True, "deletedAt": self._time(document)}
            case "undelete":
                document |= {"deleted": False, "deletedAt": None}
            case "remake":
                document |= {"deleted": False, "deletedAt": None, "createdAt": self._time(document)}
                self._type(document, edit, "title", text("T", edit.n))

    def _make(self, edit: Edit) -> None:
        now: Any = self._clock.moment if edit.n % 4 == 0 else shown(self._clock.moment)
        document: dict[str, Any] = {
            "_id": ObjectId(f"{edit.slot:024x}"),
            "number": NUMBERS[edit.slot],
            "status": STATUSES[edit.n % len(STATUSES)],
            "createdAt": now,
        }
        self._type(document, edit, "title", text("T", edit.n))
        if edit.n % 2:
            self._type(document, edit, "description", text("D", edit.n))
        if edit.n % 3:
            document |= {"isSynced": False, "deleted": False}
        if edit.time == "now":
            document["updatedAt"] = now
        self._people.made.setdefault(edit.slot, "tracos")
        self._people.touched.add(edit.slot)
        self._people.statuses.setdefault(edit.slot, set()).add(document["status"])
        self._documents.put(document)

    def _type(self, document: dict[str, Any], edit: Edit, field: str, value: str) -> None:
        self._people.typed.append(Made("tracos", edit.slot, field, value, token(document.get(field))))
        document[field] = value

    def _time(self, document: dict[str, Any]) -> Any:
        is_date = not isinstance(document.get("createdAt"), str)
        return self._clock.moment if is_date else shown(self._clock.moment)
