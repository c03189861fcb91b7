"""Nothing is left of an order in what this program keeps for itself: log, letters, files put away, state."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from pipeline.clients.records.naming import naming
from pipeline.deadletters import DeadLetterOffice, Letter
from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.erasing import erase_letters
from pipeline.disk import in_thread
from pipeline.errors import Fatal, See, WrongUsage
from pipeline.history.decisions import ERASED, Entry, erase_decisions, index_decisions, names_of, read_order
from pipeline.orders.workorder import ExternalId, id_key
from pipeline.service.session import Session

__all__ = ["Erased", "erase_order"]


class Erased(Struct, frozen=True, kw_only=True):
    """How much there was of an order."""

    entries: int
    """Of the decision log."""
    letters: int
    """Open ones."""
    closed: int
    """Letters in the archives."""
    kept: int
    """Records in files put away, and in what is remembered of an API."""


class _Called(Struct, frozen=True):
    """By what an order is known."""

    numbers: frozenset[ExternalId]
    """In TracOS."""
    ids: frozenset[ExternalId]
    """At the client."""


async def erase_order(session: Session, number: str, because: str) -> Erased:
    """Remove what there is of the order ``number`` of a client, and note that it was, and why, without values.

    ``number`` is that in TracOS, or the client's own id. To be called under the client's lease. The note is durable
    before anything is removed. May be killed at any instant and done again: it is noted again then. Raises WrongUsage
    without a reason; Fatal while somebody has the client's letters, and where something cannot be removed.
    """
    if not because.strip():
        raise WrongUsage("an order is erased for a reason: say why")
    with DeadLetterOffice(session.settings.data_dead_letter_dir).taken(session.client.name) as drawers:
        called = await in_thread(_called, session, number)
        await session.decisions.record(list(_notes(session, called, because.strip())))
        try:
            return await in_thread(_removed, session, called, drawers)
        except OSError as error:
            what = f"{error.filename or 'a file'} cannot be rewritten: {error.strerror}"
            raise Fatal(
                f"{what}; some of order {number} is left: set it right, then do it again", see=See.FILES
            ) from error


def _removed(session: Session, called: _Called, drawers: Sequence[Drawer]) -> Erased:
    """Remove it, and tell how much there was."""
    mention = _mention(session, called)
    counts = [erase_letters(drawer, _meant(session, drawer, called, mention), mention) for drawer in drawers]
    kept = session.client.erase(called.ids)
    log = session.settings.data_decision_log  # last, because it alone may know by what else the order is known
    entries = erase_decisions(log, session.client.name, called.numbers, called.ids, mention)
    index_decisions(log)
    open_, closed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return Erased(entries=entries, letters=open_, closed=closed, kept=kept)


def _called(session: Session, number: str) -> _Called:
    """By what else the order is known, as far as the log tells; else the number is taken for both."""
    key = id_key(number)
    told, _ = read_order(session.settings.data_decision_log, number)
    ours = [entry for entry in told if entry.client == session.client.name]
    about = [entry for entry in ours if id_key(entry.number) == key] or [one for one in ours if key in names_of(one)]
    if not about or session.client.ids == "shared":
        return _Called(frozenset({key}), frozenset({key}))
    ids = frozenset(id_key(entry.id) for entry in about if entry.id is not None)
    return _Called(frozenset(id_key(entry.number) for entry in about), ids)


def _notes(session: Session, called: _Called, because: str) -> Iterator[Entry]:
    """One for each id, so that whoever goes on after a kill knows all of them."""
    decisions, at = session.decisions, datetime.now(UTC)
    for number in sorted(called.numbers, key=str):
        others: list[ExternalId | None] = [*sorted(called.ids - called.numbers, key=str)]
        for one in others or [None]:
            yield Entry(
                at=at,
                run=decisions.run,
                client=session.client.name,
                number=number,
                id=one,
                locator="",
                rule=ERASED,
                by=decisions.by,
                because=because,
            )


def _meant(
    session: Session, drawer: Drawer, called: _Called, mention: Callable[[bytes], bool]
) -> Callable[[Letter], bool]:
    """Whether a letter of the flow is about the order."""
    is_inbound = drawer.directory.name.endswith(".inbound")
    keys = called.ids if is_inbound else called.numbers
    identify = session.identify("inbound" if is_inbound else "outbound")

    def is_meant(letter: Letter) -> bool:
        found = {letter.id, identify(letter.payload) if letter.mended is not None else None} - {None}
        if found:
            return not keys.isdisjoint(id_key(one) for one in found if one is not None)
        return mention(letter.raw)

    return is_meant


def _mention(session: Session, called: _Called) -> Callable[[bytes], bool]:
    """Whether bytes that cannot be read have an id of the order where ids stand."""
    keys = [layout.id_key for layout in session.client.layouts.values()]
    return naming(["number", "id", *keys], called.ids | called.numbers)
