"""What a stage is: a typed step that joins with others into bigger stages and chains, and can be looked at."""

from collections.abc import AsyncIterable, Callable
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, overload

from aiostream.core import Stream

from pipeline.dataflow.messages import Batch
from pipeline.dataflow.ports import Resource

__all__ = ["Apply", "Chain", "Passage", "Stage", "Step"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
T = TypeVar("T")
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)

Apply: TypeAlias = Callable[[AsyncIterable[Batch[Any]]], Stream[Batch[Any]]]


class Step(NamedTuple):
    """One step as it can be looked at, for a graph of the chain."""

    name: str
    kind: Literal["source", "items", "sink", "hold", "budget", "dead_letters", "settle"]
    end: Resource | None = None
    """The resource that the step works with."""


class Chain(Stream[Batch[T]], Generic[T]):
    """A source and the stages after it: a stream of batches, which runs when it is iterated."""

    def __init__(self, factory: Callable[[], AsyncIterable[Batch[T]]], steps: tuple[Step, ...]) -> None:
        super().__init__(factory)
        self.steps = steps


class _Joinable:
    """What Stage and Passage share: their steps, and the operator that makes one stream of another."""

    def __init__(self, apply: Apply, *steps: Step) -> None:
        self.steps = steps
        self._apply = apply

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' | '.join(step.name for step in self.steps)}>"

    def _after(self, source: AsyncIterable[Batch[Any]]) -> Chain[Any]:
        before = source.steps if isinstance(source, Chain) else ()
        return Chain(lambda: self._apply(source), (*before, *self.steps))

    def _then(self, after: "_Joinable") -> tuple[Any, ...]:
        return lambda source: after._apply(self._apply(source)), *self.steps, *after.steps


class Stage(_Joinable, Generic[A_contra, B_co]):
    """A typed step of a chain: ``chain | stage`` makes a longer chain, ``stage | stage`` a bigger stage."""

    def __call__(self, source: AsyncIterable[Batch[A_contra]]) -> Chain[B_co]:
        """The chain of this stage's batches, made from the stream of the batches before it."""
        return self._after(source)

    @overload
    def __or__(self, after: "Stage[B_co, C]") -> "Stage[A_contra, C]": ...
    @overload
    def __or__(self, after: "Passage") -> "Stage[A_contra, B_co]": ...
    def __or__(self, after: "Stage[B_co, C] | Passage") -> "Stage[A_contra, Any]":
        return Stage(*self._then(after))


class Passage(_Joinable):
    """A stage that changes no payload, of whatever type: it may stand anywhere in a chain."""

    def __call__(self, source: AsyncIterable[Batch[T]]) -> Chain[T]:
        """The chain of this stage's batches, made from the stream of the batches before it."""
        return self._after(source)

    @overload
    def __or__(self, after: Stage[A, B]) -> Stage[A, B]: ...
    @overload
    def __or__(self, after: "Passage") -> "Passage": ...
    def __or__(self, after: "Stage[A, B] | Passage") -> "Stage[A, B] | Passage":
        made = self._then(after)
        return Passage(*made) if isinstance(after, Passage) else Stage(*made)
