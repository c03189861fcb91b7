"""What befalls a replica set in the middle of a run, and how it is set right again; one context manager a kind."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Final, Protocol

from pymongo.read_concern import ReadConcern

from tests.failovers.members import Members
from tests.failovers.orders import ODD, doom
from tests.mongo import until


class UnderWay(Protocol):
    """The run in the middle of which it happens."""

    database: str

    def goes_on(self) -> None:
        """Wait until it has got further, or has ended."""

    def is_over(self) -> bool:
        """Whether it has ended."""


@contextlib.contextmanager
def none(members: Members, run: UnderWay) -> Iterator[None]:
    """Nothing happens: what holds now is what the others are to be compared with."""
    yield


@contextlib.contextmanager
def kill(members: Members, run: UnderWay) -> Iterator[None]:
    """The primary is killed by the system; another one is elected; it comes back."""
    primary = members.primary()
    members.kill(primary)
    members.wait_for_another(primary)
    run.goes_on()
    yield
    members.start_member(primary)


@contextlib.contextmanager
def step_down(members: Members, run: UnderWay) -> Iterator[None]:
    """The primary gives up its office at once, as for its maintenance."""
    primary = members.primary()
    members.ask(primary, {"replSetStepDown": 5, "secondaryCatchUpPeriodSecs": 1, "force": True})
    members.wait_for_another(primary)
    run.goes_on()
    yield


@contextlib.contextmanager
def stop(members: Members, run: UnderWay) -> Iterator[None]:
    """The primary's machine freezes, and wakes up as one that takes itself for the primary still."""
    primary = members.primary()
    members.signal(primary, signal.SIGSTOP)
    members.wait_for_another(primary)
    run.goes_on()
    yield
    members.signal(primary, signal.SIGCONT)


@contextlib.contextmanager
def cut_off(members: Members, run: UnderWay) -> Iterator[None]:
    """Nothing passes to the primary and from it; what was under way arrives when the net is back."""
    primary = members.primary()
    members.wires.silence(members.around(primary, clients=True))
    members.wait_for_another(primary)
    run.goes_on()
    yield
    members.wires.mend()


@contextlib.contextmanager
def refuse(members: Members, run: UnderWay) -> Iterator[None]:
    """All connections to the primary and from it end, and none is made."""
    primary = members.primary()
    members.wires.close(members.around(primary, clients=True))
    members.wait_for_another(primary)
    run.goes_on()
    yield
    members.wires.mend()


@contextlib.contextmanager
def apart(members: Members, run: UnderWay) -> Iterator[None]:
    """The members lose the primary, we do not: for a while we write to one that nobody follows."""
    primary = members.primary()
    members.wires.silence(members.around(primary, clients=False))
    members.wait_for_another(primary)
    run.goes_on()
    yield
    members.wires.mend()


@contextlib.contextmanager
def lose_replies(members: Members, run: UnderWay) -> Iterator[None]:
    """Three writes are done, and their replies are lost; no election."""
    members.wires.lose_replies(3)
    run.goes_on()
    yield
    members.wires.lose_replies(0)


@contextlib.contextmanager
def no_majority(members: Members, run: UnderWay) -> Iterator[None]:
    """Both others are killed, so that the primary gives up, and there is none for a while."""
    primary = members.primary()
    others = [number for number in members.numbers if number != primary]
    members.kill(*others)
    until(lambda: not members.primaries())
    yield
    for number in others:
        members.start_member(number)


@contextlib.contextmanager
def roll_back(members: Members, run: UnderWay) -> Iterator[None]:
    """A primary takes what nobody has after it, of ours and of people who wait for nobody; all of it is taken back."""
    primary = members.primary()
    others = [number for number in members.numbers if number != primary]
    before = members.rollbacks(primary)
    with members.behind(*others):
        orders = members.at_once(primary, run.database)
        until(lambda: run.is_over() or _has_unconfirmed(orders))
        doom(orders)
        members.wires.silence(members.around(primary, clients=True))
        orders.database.client.close()
    members.outvote(primary)
    run.goes_on()
    yield
    members.wires.mend()
    until(lambda: members.rollbacks(primary) > before)


def _has_unconfirmed(orders):
    """Whether some of our writes are here that no majority has."""
    sure = orders.with_options(read_concern=ReadConcern("majority"))
    return any(orders.count_documents(what) != sure.count_documents(what) for what in ({}, {"isSynced": True}, ODD))


FAULTS: Final = {
    "none": none,
    "kill": kill,
    "step-down": step_down,
    "stop": stop,
    "cut-off": cut_off,
    "refuse": refuse,
    "apart": apart,
    "lose-replies": lose_replies,
    "no-majority": no_majority,
    "roll-back": roll_back,
}
