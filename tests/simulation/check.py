"""What must hold while a history is played, and at its end."""

import json
from typing import Any

from pipeline.orders.renderings import is_rendering
from tests.simulation import letters
from tests.simulation.erp import is_spoiled
from tests.simulation.people import FIELDS
from tests.simulation.words import Wrong, token, word


def always(world: Any) -> None:
    """What holds after every step: no order twice, and nothing marked that was not handed over."""
    made = len(world.people.made)
    documents, records = world.documents.all(), world.erp.records
    if len(documents) > made:
        raise Wrong(f"{made} orders, and {len(documents)} documents")
    # A restored TracOS has forgotten which orders the ERP was told of, and learns it from their records alone.
    world.was_unread |= any(is_spoiled(world.erp.form, one) for one in records.values())
    is_unlearned = world.is_restored and world.was_unread
    if len(records) > made and not is_unlearned:
        raise Wrong(f"{made} orders, and {len(records)} in the ERP")
    may_be_told = world.is_restored or world.tracos_had_a_say
    for slot in () if may_be_told else world.people.made.keys() - world.people.touched - world.people.undeleted:
        if world.theirs.id_of(slot) in world.erp.told:
            raise Wrong(f"order {slot} was edited in the ERP alone, and the ERP was told of it")
    for document in documents:
        for sent in document.get("sync", {}).get("sent", ()):
            if sent.get("state") == "noted":
                continue
            title = token(sent["values"].get("title"))
            if title not in world.erp.handed:
                raise Wrong(f"order {document['number']} is marked as handed over ({title}), and was not")


def at_the_end(world: Any) -> None:
    """What holds once nobody edits any more."""
    entries = world.entries()
    for slot in world.people.made:
        document, order_id = world.ours.find(slot), world.theirs.id_of(slot)
        record = world.erp.records.get(order_id)
        if (document is not None and world.ours.is_spoiled(document)) or (
            record is not None and is_spoiled(world.erp.form, record)
        ):
            continue
        if letters.is_made_twice(world, slot):
            continue
        if slot in world.people.lost and document is None and record is None:
            continue  # it was in TracOS alone, and was removed with its document
        if document is None or record is None:
            where = "TracOS" if document is None else "the ERP"
            raise Wrong(f"order {slot} never came to {where}")
        _equal(world, slot, document, record)
        if not document.get("deleted"):
            _typed(world, slot, document)
            _status_was_set(world, slot, document)
            _kept(world, slot, document, entries)
    letters.see_all(world)


def _equal(world: Any, slot: int, document: dict[str, Any], record: dict[str, Any]) -> None:
    seen = world.read(json.dumps(record).encode())
    deleted = bool(document.get("deleted"))
    if seen.order.deleted is not deleted:
        raise Wrong(f"order {slot} is {_gone(deleted)} in TracOS, and {_gone(bool(seen.order.deleted))} in the ERP")
    if deleted:
        return
    project = world.client().terms.projections[seen.layout]
    ours = project(world.understood(document).values)
    for field in ("title", "description", "status", "asset"):
        own, theirs = ours.get(field), seen.order.get(field)
        if own == theirs or (theirs is None and own is None):
            continue
        is_text = isinstance(own, str) and isinstance(theirs, str) and field != "status"
        if is_text and (word(world.setting, own) == theirs or is_rendering(field, own, theirs)):
            continue
        raise Wrong(f"order {slot}: {field} is {own!r} in TracOS, and {theirs!r} in the ERP")


def _gone(is_deleted: bool) -> str:
    return "deleted" if is_deleted else "there"


def is_unsure(world: Any) -> bool:
    """Whether what the ERP made of our text may be taken for an edit of it.

    So it may where nobody could note that the ERP was told, and where it takes a file of ours late, when another text
    has won already.
    """
    return bool(world.is_unsure or world.setting.transport == "folders")


def _typed(world: Any, slot: int, document: dict[str, Any]) -> None:
    """Each text is one that somebody typed, letter by letter."""
    for field in () if is_unsure(world) or slot in world.people.lost else FIELDS:
        value = document.get(field)
        known = {one.text for one in world.people.typed if (one.slot, one.field) == (slot, field)}
        if value is not None and value not in known:
            raise Wrong(f"order {slot}: nobody typed the {field} {value!r}")


def _status_was_set(world: Any, slot: int, document: dict[str, Any]) -> None:
    """Its status is one that somebody set, as far as the ERP's words can tell it.

    A deleted order of flags has none, and is cancelled once it is there; one that is created or pending is shown as
    the latter, which is taken where the ERP has the say, or nobody noted what it was told.
    """
    known = set(world.people.statuses[slot])
    if world.setting.layout == "flag_order":
        is_shown = (world.erp_had_a_say or is_unsure(world)) and "created" in known
        known |= {"cancelled"} | ({"created", "pending"} if is_shown or slot in world.people.lost else set())
    if document["status"] not in known:
        raise Wrong(f"order {slot}: nobody set the status {document['status']!r}")


def _kept(world: Any, slot: int, document: dict[str, Any], entries: Any) -> None:
    """What somebody typed is there, was typed over, or is in the decision log as what gave way."""
    number = str(document["number"])
    for field in FIELDS:
        typed = [one for one in world.people.typed if (one.slot, one.field) == (slot, field)]
        over = {one.replaced for one in typed} | {token(document.get(field))}
        over |= world.erp.overwritten | world.people.excused
        for entry in entries:
            if number in (str(entry.number), f"ERP-{entry.id}"):
                over |= {token(lost.value) for lost in entry.lost if lost.field == field}
        for one in typed:
            if one.token not in over:
                raise Wrong(f"order {slot}: the {field} {one.text!r} is gone, and the decision log says nothing of it")
