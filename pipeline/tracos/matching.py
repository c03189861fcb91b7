"""Which document a record is about: found by the client's id, else by our number as its reference; pure."""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId, Record, id_key
from pipeline.tracos.found import Found

__all__ = ["Wanted"]


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


def _spelled(keys: Iterable[ExternalId]) -> list[ExternalId]:
    """The ids as numbers and as texts: a decimal text and its integer are the same id."""
    keys = dict.fromkeys(keys)
    return [*keys, *(str(key) for key in keys if isinstance(key, int))]
