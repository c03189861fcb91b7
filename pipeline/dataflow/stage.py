"""What a stage is: a typed step that joins with others into bigger stages and chains."""

from collections.abc import AsyncIterable, Callable
from typing import Any, Generic, TypeAlias, TypeVar, overload

from aiostream.core import Stream

from pipeline.dataflow.messages import Batch

__all__ = ["Apply", "Passage", "Stage"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
T = TypeVar("T")
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)

Apply: TypeAlias = Callable[[AsyncIterable[Batch[Any]]], Stream[Batch[Any]]]


class _Step:
    """What Stage and Passage share: a name, and the operator that makes one stream of another."""

    def __init__(self, name: str, apply: Apply) -> None:
        self.name = name
        self._apply = apply

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def _then(self, after: "_Step") -> tuple[str, Apply]:
        return f"{self.name} | {after.name}", lambda source: after._apply(self._apply(source))


class Stage(_Step, Generic[A_contra, B_co]):
    """A typed step of a chain: ``stream | stage`` runs it, ``stage | stage`` makes a bigger stage."""

    def __call__(self, source: AsyncIterable[Batch[A_contra]]) -> Stream[Batch[B_co]]:
        """The stream of this stage's batches, made from the stream of the batches before it."""
        return self._apply(source)

    @overload
    def __or__(self, after: "Stage[B_co, C]") -> "Stage[A_contra, C]": ...
    @overload
    def __or__(self, after: "Passage") -> "Stage[A_contra, B_co]": ...
    def __or__(self, after: "Stage[B_co, C] | Passage") -> "Stage[A_contra, Any]":
        return Stage(*self._then(after))


class Passage(_Step):
    """A stage that changes no payload, of whatever type: it may stand anywhere in a chain."""

    def __call__(self, source: AsyncIterable[Batch[T]]) -> Stream[Batch[T]]:
        """The stream of this stage's batches, made from the stream of the batches before it."""
        return self._apply(source)

    @overload
    def __or__(self, after: Stage[A, B]) -> Stage[A, B]: ...
    @overload
    def __or__(self, after: "Passage") -> "Passage": ...
    def __or__(self, after: "Stage[A, B] | Passage") -> "Stage[A, B] | Passage":
        made = self._then(after)
        return Passage(*made) if isinstance(after, Passage) else Stage(*made)
