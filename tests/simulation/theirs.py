"""The people in the ERP."""

from typing import Any

from tests.simulation.erp import FLAGS, WORDS, Erp, is_spoiled, is_time
from tests.simulation.ours import Ours
from tests.simulation.people import NUMBERS, Made, People, can_be
from tests.simulation.steps import Edit
from tests.simulation.words import text, token, word


class Theirs:
    """They edit records, each with values of their own."""

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
        record = dict(self._erp.records[order_id])
        if can_be(edit, is_deleted=self._is_deleted(record)) and self._can_say(edit, record):
            before = self._erp.latest.get(order_id)
            if (edit.slot, "erp") in self._people.deleted and edit.time in ("none", "sentinel"):
                self._people.undeleted.add(edit.slot)
            self._change(record, edit, before)
            self._stamp(record, edit, before)
            self._erp.put(order_id, record)

    def _can_say(self, edit: Edit, record: dict[str, Any]) -> bool:
        """Whether there is anything to do."""
        if edit.what == "remove":
            return False
        if edit.what == "mend":
            return is_spoiled(self._erp.form, record)
        return self._keys.get(edit.what, "") is not None

    def _change(self, record: dict[str, Any], edit: Edit, before: str | None) -> None:
        form = self._erp.form
        match edit.what:
            case "spoil":
                self._people.spoil(edit, record, *form.spoils[edit.n % len(form.spoils)])
            case "mend":
                self._people.mend(edit, record)
            case "title" | "description":
                self._type(record, edit, edit.what, self._keys[edit.what], text(edit.what[0].upper(), edit.n))
            case "more":
                self._type(record, edit, "asset", self._keys["more"], f"A{edit.n}")
            case "status":
                self._status(record, edit)
            case "delete":
                self._people.deleted.add((edit.slot, "erp"))
                self._delete(record, before)
            case "undelete":
                self._undelete(record, edit)
            case "remake":
                self._undelete(record, edit)
                record[form.created] = self._erp.time(record.get(form.created))
                self._type(record, edit, "title", form.title, text("T", edit.n))

    def _stamp(self, record: dict[str, Any], edit: Edit, before: str | None) -> None:
        """What becomes of its update time.

        What is stale is told by times. Files that come late have nothing else; and where the ERP keeps the times that
        it is told, only a new one is later than those.
        """
        setting, updated = self._erp.setting, self._erp.form.updated
        is_ordered = setting.transport != "folders" and setting.stamps == "own"
        time = edit.time
        if (time == "same" and not is_ordered) or setting.transport == "folders" or setting.is_asked_by_time:
            time = "now"
        if edit.what == "spoil" and not (setting.is_asked_by_time and is_time(record.get(updated))):
            return
        if time == "now" or (time == "same" and edit.what in ("undelete", "remake")):
            record[updated] = self._erp.time(before)
        elif time == "none":
            record.pop(updated, None)
        elif time == "sentinel":
            record[updated] = "9999-12-31T23:59:59Z"

    def _make(self, edit: Edit) -> None:
        form, erp = self._erp.form, self._erp
        is_shared = erp.setting.ids == "shared"
        order_id = str(NUMBERS[edit.slot]) if is_shared else f"E{len(erp.records) + 1}"
        record: dict[str, Any] = {form.id: order_id, form.created: erp.time()}
        self._status(record, edit)
        self._type(record, edit, "title", form.title, text("T", edit.n))
        if form.description and edit.n % 2:
            self._type(record, edit, "description", form.description, text("D", edit.n))
        if edit.time == "now" or erp.setting.transport != "list":
            record[form.updated] = record[form.created]
        self._people.made.setdefault(edit.slot, "erp")
        self._people.statuses.setdefault(edit.slot, set())
        self._ours.erp_ids[edit.slot] = order_id
        erp.put(order_id, record)

    def _type(self, record: dict[str, Any], edit: Edit, field: str, key: str | None, value: str) -> None:
        if key is None:
            return
        kept = word(self._erp.setting, value) if key in self._erp.form.texts else value
        self._people.typed.append(Made("erp", edit.slot, field, kept, token(record.get(key))))
        record[key] = kept

    def _status(self, record: dict[str, Any], edit: Edit) -> None:
        words = WORDS[self._erp.setting.layout]
        chosen = list(words)[edit.n % len(words)]
        self._people.statuses.setdefault(edit.slot, set()).update(words[chosen])
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

    def _delete(self, record: dict[str, Any], before: str | None) -> None:
        match self._erp.setting.layout:
            case "flag_order":
                record |= {flag: flag == "isDeleted" for flag in FLAGS}
                record["deletedDate"] = self._erp.time(before)
            case "full":
                record["void"] = True
            case _:
                record["deletedAt"] = self._erp.time(before)

    def _undelete(self, record: dict[str, Any], edit: Edit) -> None:
        match self._erp.setting.layout:
            case "flag_order":
                self._status(record, edit)
                record.pop("deletedDate", None)
            case "full":
                record["void"] = False
            case _:
                record.pop("deletedAt", None)
