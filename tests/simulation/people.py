"""The people of a history: they edit orders in TracOS and in the ERP, each with values of their own."""

from typing import Any

from bson import ObjectId
from msgspec import Struct

from tests.simulation.erp import FLAGS, REFERENCE, WORDS, Erp, shown
from tests.simulation.steps import SLOTS, Edit, Setting
from tests.simulation.world import Clock, token, word

NUMBERS = ("100", "N1", 102)
"""What the orders are called where both sides share their numbers."""
STATUSES = ("created", "pending", "in_progress", "on_hold", "completed", "cancelled")
FIELDS = ("title", "description", "asset")
"""The fields whose values tell which edit they are of."""


class Made(Struct, frozen=True):
    """What somebody typed."""

    slot: int
    field: str
    text: str
    replaced: str | None
    """The token of what was there."""

    @property
    def token(self) -> str | None:
        """Which edit it is."""
        return token(self.text)


class People:
    """What the people of both sides know of each other: which orders there are, and who typed what."""

    def __init__(self) -> None:
        self.made: dict[int, str] = {}
        """By slot, the side that made it first."""
        self.typed: list[Made] = []
        self.deleted: set[tuple[int, str]] = set()
        """Who ever deleted which order."""

    def may_make(self, setting: Setting, slot: int) -> bool:
        """Whether both sides may make the order: where it is one by its number, and the ERP's list shows all.

        One that is an integer here and a text there MongoDB does not keep from being two, which every run then tells.
        """
        is_one = setting.ids == "shared" and setting.transport == "list" and isinstance(NUMBERS[slot], str)
        return slot not in self.made or is_one


def text(letter: str, n: int) -> str:
    """A text that shows whatever is done to texts."""
    return f"{letter}{n} pump & valve  in Room {n}"


class Ours:
    """People in TracOS; their software says when, and that an edit is to be told."""

    def __init__(self, documents: Any, setting: Setting, clock: Clock, people: People) -> None:
        self._documents, self._setting, self._clock, self._people = documents, setting, clock, people
        self.erp_ids: dict[int, str] = {}
        """The ids of the orders that the ERP made itself."""

    def find(self, slot: int) -> dict[str, Any] | None:
        """The document of an order."""
        number: Any = NUMBERS[slot]
        if self._setting.ids == "client" and self._people.made.get(slot) == "erp":
            number = f"ERP-{self.erp_ids[slot]}"
        same = (str(one.get("number")) == str(number) for one in self._documents.all())
        return next((one for one, is_it in zip(self._documents.all(), same, strict=True) if is_it), None)

    def edit(self, edit: Edit) -> None:
        """Do it, where it can be done."""
        document = self.find(edit.slot)
        if edit.what == "make":
            if document is None and self._people.may_make(self._setting, edit.slot):
                self._make(edit)
            return
        if document is None or bool(document.get("deleted")) is not (edit.what in ("undelete", "remake")):
            return
        match edit.what:
            case "title" | "description":
                self._type(document, edit, edit.what, text(edit.what[0].upper(), edit.n))
            case "more":
                self._type(document, edit, "asset", f"A{edit.n}")
            case "status":
                document["status"] = STATUSES[edit.n % len(STATUSES)]
            case "delete":
                self._people.deleted.add((edit.slot, "tracos"))
                document |= {"deleted": True, "deletedAt": self._time(document)}
            case "undelete":
                document |= {"deleted": False, "deletedAt": None}
            case "remake":
                document |= {"deleted": False, "deletedAt": None, "createdAt": self._time(document)}
                self._type(document, edit, "title", text("T", edit.n))
        if edit.time == "now":
            document["updatedAt"] = self._time(document)
        elif edit.time == "none":
            document.pop("updatedAt", None)
        document["isSynced"] = False
        self._documents.put(document)

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
        self._documents.put(document)

    def _type(self, document: dict[str, Any], edit: Edit, field: str, value: str) -> None:
        self._people.typed.append(Made(edit.slot, field, value, token(document.get(field))))
        document[field] = value

    def _time(self, document: dict[str, Any]) -> Any:
        is_date = not isinstance(document.get("createdAt"), str)
        return self._clock.moment if is_date else shown(self._clock.moment)


class Theirs:
    """People in the ERP."""

    def __init__(self, erp: Erp, ours: Ours, people: People) -> None:
        self._erp, self._ours, self._people = erp, ours, people
        form = erp.form
        self._keys = {"title": form.title, "description": form.description, "more": form.more}

    def id_of(self, slot: int) -> str | None:
        """The id of an order that is there."""
        if self._erp.setting.ids == "shared":
            found = str(NUMBERS[slot])
        elif self._people.made.get(slot) == "erp":
            found = self._ours.erp_ids[slot]
        else:
            return self._erp.by_reference(str(NUMBERS[slot]))
        return found if found in self._erp.records else None

    def edit(self, edit: Edit) -> None:
        """Do it, where it can be done."""
        order_id = self.id_of(edit.slot)
        if edit.what == "make":
            if order_id is None and self._people.may_make(self._erp.setting, edit.slot):
                self._make(edit)
            return
        if order_id is None:
            return
        record, form = dict(self._erp.records[order_id]), self._erp.form
        if self._is_deleted(record) is not (edit.what in ("undelete", "remake")):
            return
        # What is stale is told by times. Files that come late have nothing else; and where the ERP keeps the times that
        # it is told, only a new one is later than those.
        is_ordered = self._erp.setting.transport == "list" and self._erp.setting.stamps == "own"
        time = (
            "now" if (edit.time == "same" and not is_ordered) or self._erp.setting.transport == "folders" else edit.time
        )
        before = self._erp.latest.get(order_id)
        match edit.what:
            case "title" | "description" | "more":
                key = self._keys[edit.what]
                if key is None:
                    return
                field = "asset" if edit.what == "more" else edit.what
                letter = edit.what[0].upper() if edit.what != "more" else "A"
                value = f"A{edit.n}" if field == "asset" else text(letter, edit.n)
                self._type(record, edit, field, key, value)
            case "status":
                self._status(record, edit.n)
            case "delete":
                self._people.deleted.add((edit.slot, "erp"))
                self._delete(record)
            case "undelete" | "remake":
                self._undelete(record, edit.n)
                if edit.what == "remake":
                    record[form.created] = self._erp.time(record.get(form.created))
                    self._type(record, edit, "title", form.title, text("T", edit.n))
        if time == "now" or (time == "same" and edit.what in ("undelete", "remake")):
            record[form.updated] = self._erp.time(before)
        elif time == "none":
            record.pop(form.updated, None)
        self._erp.put(order_id, record)

    def _make(self, edit: Edit) -> None:
        form, erp = self._erp.form, self._erp
        is_shared = erp.setting.ids == "shared"
        order_id = str(NUMBERS[edit.slot]) if is_shared else f"E{len(erp.records) + 1}"
        record: dict[str, Any] = {form.id: order_id, form.created: erp.time()}
        self._status(record, edit.n)
        self._type(record, edit, "title", form.title, text("T", edit.n))
        if form.description and edit.n % 2:
            self._type(record, edit, "description", form.description, text("D", edit.n))
        if edit.time == "now" or erp.setting.transport == "folders":
            record[form.updated] = record[form.created]
        self._people.made.setdefault(edit.slot, "erp")
        self._ours.erp_ids[edit.slot] = order_id
        erp.put(order_id, record)

    def _type(self, record: dict[str, Any], edit: Edit, field: str, key: str, value: str) -> None:
        kept = word(self._erp.setting, value) if key in self._erp.form.texts else value
        self._people.typed.append(Made(edit.slot, field, kept, token(record.get(key))))
        record[key] = kept

    def _status(self, record: dict[str, Any], n: int) -> None:
        words = WORDS[self._erp.setting.layout]
        chosen = words[n % len(words)]
        if self._erp.setting.layout == "flag_order":
            record |= {flag: flag == chosen for flag in FLAGS}
        else:
            record["state" if self._erp.setting.layout == "full" else "status"] = chosen

    def _is_deleted(self, record: dict[str, Any]) -> bool:
        match self._erp.setting.layout:
            case "flag_order":
                return record.get("isDeleted") is True
            case "full":
                return record.get("void") is True
            case _:
                return record.get("deletedAt") is not None

    def _delete(self, record: dict[str, Any]) -> None:
        match self._erp.setting.layout:
            case "flag_order":
                record |= {flag: flag == "isDeleted" for flag in FLAGS}
                record["deletedDate"] = self._erp.time(record.get("lastUpdateDate"))
            case "full":
                record["void"] = True
            case _:
                record["deletedAt"] = self._erp.time(record.get("updatedAt"))

    def _undelete(self, record: dict[str, Any], n: int) -> None:
        match self._erp.setting.layout:
            case "flag_order":
                self._status(record, n)
                record.pop("deletedDate", None)
            case "full":
                record["void"] = False
            case _:
                record.pop("deletedAt", None)


__all__ = ["FIELDS", "NUMBERS", "REFERENCE", "SLOTS", "Made", "Ours", "People", "Theirs"]
