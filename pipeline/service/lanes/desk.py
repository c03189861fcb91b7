"""What a run has of its lanes, wherever they are: groups are numbered, and what became of each is told to the rest."""

import itertools
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from loguru import logger
from msgspec.structs import replace

from pipeline.clients.records.drift import Tally
from pipeline.dataflow.messages import Batch, DeadLetter, Envelope, Outcome
from pipeline.history.decisions import DecisionLog
from pipeline.service.lanes.wire import Deal, Done, Hello, Said
from pipeline.service.session import Session
from pipeline.tracos.witness import TracosWitness

__all__ = ["Desk"]

_ENCODE: Final = msgspec.msgpack.Encoder().encode

OUTCOMES: Final = {str(outcome): outcome for outcome in Outcome}


class Desk:
    """Deals the records of ``session``'s client, for the TracOS at ``uri``, where ``witness`` keeps the proofs of them.

    Without a witness it deals the orders that go to the client.
    """

    def __init__(self, session: Session, uri: str, witness: TracosWitness | None) -> None:
        self._session = session
        self._uri = uri
        self._witness = witness
        self._numbers = itertools.count()

    @property
    def hello(self) -> Hello:
        """What a lane is for."""
        session, witness = self._session, self._witness
        return Hello(
            session.settings,
            session.customer,
            session.decisions.run,
            "outbound" if witness is None else "inbound",
            self._uri,
            is_attended=witness is not None and witness.is_attended,
        )

    def deal(self, batch: Batch[Any]) -> Deal:
        """The batch as a group, with the next number."""
        items = batch.items
        return Deal(
            number=next(self._numbers),
            flow=batch.flow,
            payloads=[_ENCODE(item.payload) if self._witness is None else item.payload for item in items],
            places=[item.locator.place for item in items],
            parts=[item.locator.part for item in items],
            arrivals=[item.arrival for item in items],
        )

    def note(self, tallies: Mapping[str, Tally] | None) -> None:
        """Which keys records had; None: that is lost."""
        if self._session.keys is not None:
            self._session.keys.add(tallies)

    def log(self, line: Said) -> None:
        """Log a line of another process."""
        logger.bind(kind=line.kind or None, event=line.event).log(line.level, "{}", line.message)

    def made(self, batch: Batch[Any], done: Done) -> Batch[Outcome]:
        """The batch, as what was done makes it."""
        items = batch.items
        locators = [item.locator for item in items]
        if self._witness is not None:
            self._witness.keep({locators[position]: proof for position, proof in done.proofs.items()})
        decisions = self._session.decisions
        if isinstance(decisions, DecisionLog):
            decisions.rules.update(done.rules)
            decisions.gave_way_of[self._session.client.name].update(done.gave_way)
        failed = [
            DeadLetter.of(items[position], flow=batch.flow, stage=stage, reasons=reasons)
            for position, stage, reasons in done.failed
        ]
        return replace(
            batch,
            items=[_delivered(items[position], outcome) for position, outcome in done.outcomes.items()],
            skipped=[*batch.skipped, *(locators[position] for position in done.skipped)],
            deferred=[*batch.deferred, *(locators[position] for position in done.deferred)],
            failed=[*batch.failed, *failed],
            called={locators[position]: given for position, given in done.called.items()},
            gone=[*batch.gone, *(locators[position] for position in done.gone)],
            stop=done.stop.error if done.stop is not None else None,
        )


def _delivered(item: Envelope[Any], outcome: str) -> Envelope[Outcome]:
    return Envelope(OUTCOMES[outcome], item.locator, item.raw, item.stamp, item.arrival)
