"""Dead letters are exactly what is bad: none is missing, and none is of what is good."""

import json
from typing import Any

from pipeline.deadletters.letter import Letter
from tests.simulation.erp import REFERENCE, is_spoiled
from tests.simulation.folders import File
from tests.simulation.people import NUMBERS
from tests.simulation.words import Wrong


def see_all(world: Any) -> None:
    """Raise Wrong for a letter that is missing, and for one about what is good."""
    letters = world.letters()
    inbound = [one for one in letters if one.flow == "erp.inbound"]
    outbound = [one for one in letters if one.flow == "erp.outbound"]
    bad = {slot for slot in world.people.made if _is_bad_in_tracos(world, slot)}
    for slot in bad:
        if not any(_is_about_document(world, slot, one) for one in outbound):
            raise Wrong(f"order {slot} cannot be understood in TracOS, and no letter says so")
    waiting = bad | {slot for slot in world.people.made if _is_bad_in_the_erp(world, slot)}
    for one in outbound:
        if not any(_is_about_document(world, slot, one) for slot in waiting):
            raise Wrong(f"a letter is about what is good: {_shown(one)}")
    twice = {slot for slot in world.people.made if is_made_twice(world, slot)}
    unreached = {one for slot in bad | twice for one in (world.theirs.id_of(slot), *_made_of(world, slot))}
    if world.folders is None:
        _see_records(world, inbound, unreached)
    else:
        _see_files(world, inbound, unreached)


def is_made_twice(world: Any, slot: int) -> bool:
    """Whether a restored TracOS had an order made a second time, since the record that links it could not be read."""
    return bool(world.is_restored and len(_made_of(world, slot)) > 1)


def _made_of(world: Any, slot: int) -> list[str]:
    """The ERP's ids of an order of ours: two, perhaps, where a restored TracOS could not read the first."""
    return [one for one, record in world.erp.records.items() if record.get(REFERENCE) == str(NUMBERS[slot])]


def _is_bad_in_tracos(world: Any, slot: int) -> bool:
    document = world.ours.find(slot)
    return document is not None and world.ours.is_spoiled(document)


def _is_bad_in_the_erp(world: Any, slot: int) -> bool:
    """Then nothing can be told of it either: whoever tells it must have read it before."""
    record = world.erp.records.get(world.theirs.id_of(slot))
    return record is not None and is_spoiled(world.erp.form, record)


def _is_about_document(world: Any, slot: int, letter: Letter) -> bool:
    document = world.ours.find(slot)
    return document is not None and letter.file == str(document.get("number"))


def _see_records(world: Any, letters: list[Letter], unreached: set[str | None]) -> None:
    """Of an ERP that shows all its orders: the bad ones, and those whose document cannot be understood."""
    bad = {order_id for order_id, record in world.erp.records.items() if is_spoiled(world.erp.form, record)}
    for order_id in bad:
        if not any(one.file == order_id for one in letters):
            raise Wrong(f"order {order_id} of the ERP cannot be understood, and no letter says so")
    for one in letters:
        if one.file not in bad | unreached:
            raise Wrong(f"a letter is about what is good: {_shown(one)}")


def _see_files(world: Any, letters: list[Letter], unreached: set[str | None]) -> None:
    """Of files: those that are bad, as long as no newer one of their order has come."""
    files = world.folders.files
    about = {one.file for one in letters}
    for file in files:
        is_bad = _is_bad(world, file)
        later = [one for one in files if one.at > file.at and one.order_id == file.order_id and not _is_bad(world, one)]
        may_have_none = file.is_gone or (file.is_whole and file.order_id is not None and bool(later))
        if is_bad and not may_have_none and file.order_id not in unreached and file.name not in about:
            raise Wrong(f"the file {file.name} cannot be understood, and no letter says so")
        # Where another machine has taken it away, the one that has the letter does not see it go through.
        is_seen = len(world.machines) == 1 or (world.folders.inbound / file.name).exists()
        if not is_bad and is_seen and file.name in about and file.order_id not in unreached:
            shown = "; ".join(_shown(one) for one in letters if one.file == file.name)
            raise Wrong(f"a letter is about a file that is good: {shown}")


def _is_bad(world: Any, file: File) -> bool:
    return not file.is_whole or is_spoiled(world.erp.form, json.loads(file.raw))


def _shown(letter: Letter) -> str:
    return f"{letter.flow}: {letter.locator}: {'; '.join(map(str, letter.reasons))}"
