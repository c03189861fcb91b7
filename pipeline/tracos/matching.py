"""Which document a record is about: found by the client's id, else by our number as its reference; pure.

Orders are linked by exact keys alone: what is ambiguous is told and left as it is.
"""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.errors import Reason, Rejected
from pipeline.orders.merge import Current
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId, Record, id_key
from pipeline.tracos.document import read_document
from pipeline.tracos.found import Found
from pipeline.tracos.verdicts import Refusal

__all__ = ["Wanted", "current_of", "why_taken"]


class Wanted:
    """What is looked up for the records of some orders, which are told apart by the client's id (``id_key``)."""

    def __init__(self, terms: Terms, records: Mapping[ExternalId, Iterable[Record]]) -> None:
        self._is_shared = terms.ids == "shared"
        self._keys = dict.fromkeys(records)
        self._references = {
            key: id_key(record.reference)
            for key, of_one in records.items()
            for record in of_one
            if record.reference is not None and id_key(record.reference) != key
        }
        self.ids: Sequence[ExternalId] = [] if self._is_shared else _spelled(self._keys)
        """The client's, in each way that a document may have them."""
        self.numbers: Sequence[ExternalId] = _spelled(
            {**self._keys, **dict.fromkeys(self._references.values())} if self._is_shared else self._references.values()
        )
        """Ours."""

    def of(self, found: Sequence[Found]) -> Mapping[ExternalId, Sequence[Found]]:
        """By order, its documents among those that were found."""
        named: dict[ExternalId, list[Found]] = {}
        linked: dict[ExternalId, list[Found]] = {}
        for one in found:
            for number in one.numbers:
                named.setdefault(number, []).append(one)
            if not self._is_shared and (linked_to := one.linked_to) is not None:
                linked.setdefault(linked_to, []).append(one)
        first = named if self._is_shared else linked
        documents = {key: first[key] for key in self._keys if key in first}
        for key, number in self._references.items():
            if key not in documents and number in named:
                documents[key] = named[number]
        return documents


def current_of(terms: Terms, key: ExternalId, found: Sequence[Found]) -> Current | None:
    """What the documents that were found for the order ``key`` say; None where there is none.

    Raises Rejected, with all reasons, where they are several, another order's, or cannot be understood.
    """
    if not found:
        return None
    if len(found) > 1:
        raise Rejected("several documents in TracOS have this number; merge or remove the twins")
    try:
        if found[0].document is None:
            raise Rejected(*found[0].reasons)
        current = read_document(found[0].document, terms)
    except Rejected as error:
        raise Rejected(*(Reason(f"the document in TracOS: {reason}") for reason in error.reasons)) from error
    if fault := _mismatch(terms, key, current):
        raise Rejected(fault)
    return current


def _mismatch(terms: Terms, key: ExternalId, found: Current) -> Reason | None:
    """Why the document that was found by a record's reference is not that of its order ``key``; None where it is."""
    linked, number = found.sync.id if found.sync else None, found.order.number
    if linked is not None and id_key(linked) != key:
        return Reason(f"its reference names the order {number}, which is linked to the client's {linked} already")
    if linked is None and terms.ids == "shared" and id_key(number) != key:
        return Reason(f'its reference names the order {number}: for that the client must be set to ids = "client"')
    return None


def why_taken(terms: Terms, record: Record, refusal: Refusal) -> Reason:
    """Why the new order of a record cannot have its number, or its id."""
    if terms.ids == "shared" or refusal.fields != ("number",):
        return refusal.reason
    number = terms.number_of(record.external_id)
    return Reason(
        f"another order in TracOS has the number {number}, and nothing says that the two are one: link them by the "
        "record's reference, or set `number`, such as ERP-{id}"
    )


def _spelled(keys: Iterable[ExternalId]) -> list[ExternalId]:
    """The ids as numbers and as texts: a decimal text and its integer are the same id."""
    keys = dict.fromkeys(keys)
    return [*keys, *(str(key) for key in keys if isinstance(key, int))]
