"""Which steps a client's statuses may take: tables as data, and what to tell where a step is none."""

from collections.abc import Collection, Mapping
from typing import TypeAlias

from msgspec import Struct

from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import Record, Status

__all__ = ["Vocabulary"]

Steps: TypeAlias = Mapping[str, Collection[str]]


class Vocabulary(Struct, frozen=True, kw_only=True):
    """A client's status words, what they mean here, and the steps that it allows."""

    status_of: Mapping[str, Status]
    """The client's word -> TracOS's; several words may mean the same."""
    word_of: Mapping[Status, str]
    """TracOS's word -> the one that the client is told."""
    steps: Steps
    """The client's word -> the words that it may become."""
    first: Collection[str] = ()
    """The words that a new order may have; empty: any."""
    key: str = "status"
    """Where the client's records have the word."""

    def project(self, status: Status | None) -> Status | None:
        """What the client can say of a status."""
        return None if status is None else self.status_of[self.word_of[status]]

    def word(self, record: Record) -> str | None:
        """The word to tell the client, None where it says the same already.

        Raises Rejected for a step that the client would refuse, with the steps that are legal from what it is known to
        hold; where several of its words mean that, a step is legal if it is from one of them.
        """
        status = record.order.status
        if status is None:
            raise Rejected(Reason("missing, and this layout requires one", f"$.{self.key}"))
        word = self.word_of[status]
        before = self.project(record.known.status) if record.known is not None else None
        if before is None:
            return self._born(word)
        if before is self.status_of[word]:
            return None
        return self.step(before, word)

    def step(self, before: Status, word: str) -> str:
        """``word``, where a client that holds ``before`` lets it become so; raises Rejected where not."""
        held = [one for one, meaning in self.status_of.items() if meaning is before]
        if any(word in self.steps[one] for one in held):
            return word
        legal = dict.fromkeys(step for one in held for step in self.steps[one])
        message = f"{' or '.join(held)} may not become {word}; legal: {', '.join(legal) or 'none, it is final'}"
        raise Rejected(Reason(message, f"$.{self.key}"))

    def _born(self, word: str) -> str:
        if self.first and word not in self.first:
            legal = ", ".join(self.first)
            raise Rejected(Reason(f"a new order may not begin as {word}; legal: {legal}", f"$.{self.key}"))
        return word
