"""Three members behind wires that can be cut: who is the primary, how many elections there were, when all is well."""

import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo import MongoClient, WriteConcern
from pymongo.errors import PyMongoError

from tests.failovers.wires import CLIENT, Wires
from tests.mongo import ReplicaSet, until

ELECTION_SECONDS = 20
"""How long members are waited for that elect one a second after they have lost theirs."""
WELL = {"PRIMARY", "SECONDARY", "ARBITER"}
BRIEF = "&serverSelectionTimeoutMS=500&connectTimeoutMS=500&socketTimeoutMS=2000"


class Members(ReplicaSet):
    """A replica set whose members vote quickly, and reach each other through wires alone."""

    def __init__(self, folder: Path, kinds=("data", "data", "data")) -> None:
        super().__init__(folder, kinds, doors=self._build_doors, election_ms=1000)

    def _build_doors(self, ports):
        self.wires = Wires(ports, lambda: [process and process.pid for process in self.members])
        return self.wires.doors

    def stop(self) -> None:
        """End them, and their wires."""
        self.kill()
        self.wires.stop()

    @property
    def numbers(self) -> range:
        """All of them."""
        return range(len(self.members))

    def direct(self, number: int) -> MongoClient:
        """A client of one member, past the wires, that gives up soon."""
        return MongoClient(f"mongodb://127.0.0.1:{self._ports[number]}/?directConnection=true{BRIEF}")

    def ask(self, number: int, command, **options):
        """The member's answer; an empty one where it has none to give."""
        try:
            with self.direct(number) as client:
                return client.admin.command(command, **options)
        except PyMongoError:
            return {}

    def primaries(self) -> set[int]:
        """Those that call themselves primary, by term: of two the older one is not yet told that it is none."""
        said = {number: self.ask(number, "hello") for number in self.numbers}
        return {number for number, hello in said.items() if hello.get("isWritablePrimary")}

    def primary(self) -> int:
        """The one primary, waited for."""
        until(lambda: len(self.primaries()) == 1)
        (number,) = self.primaries() or {self.primary()}
        return number

    def term(self) -> int:
        """The number of elections up to now, of those that were not called off before their first vote."""
        return max(self.ask(number, "replSetGetStatus").get("term", 0) for number in self.numbers)

    def rollbacks(self, number: int) -> int:
        """How often the member has taken back what no majority had; 0 while it does not answer."""
        return self.ask(number, "replSetGetRBID").get("rbid", 0)

    def all_rollbacks(self) -> int:
        """The same of all members together."""
        return sum(map(self.rollbacks, self.numbers))

    def wait_for_another(self, primary: int) -> None:
        """Until some member other than this is primary; one that does not come to it by itself is told to be."""
        others = itertools.cycle(number for number in self.numbers if number != primary)
        patience = time.monotonic() + ELECTION_SECONDS

        def is_there_another() -> bool:
            nonlocal patience
            is_there = bool(self.primaries() - {primary})
            if not is_there and time.monotonic() > patience:
                self.ask(next(others), "replSetStepUp")
                patience += ELECTION_SECONDS
            return is_there

        until(is_there_another, seconds=180)

    def outvote(self, primary: int) -> None:
        """Until both others have what this one has not; before, it may become primary again, and keep its own."""
        until(lambda: any(self._confirms(number) for number in self.primaries() - {primary}))

    def _confirms(self, number: int) -> bool:
        try:
            with self.direct(number) as client:
                orders = client["warm"].get_collection("up", write_concern=WriteConcern(w=2, wtimeout=1000))
                return orders.insert_one({}).acknowledged
        except PyMongoError:
            return False

    def wait_until_well(self) -> None:
        """Until all are up, and the first is primary again: it takes over as soon as it has caught up, once more."""
        until(self._is_well)

    def _is_well(self):
        status = self.ask(0, "replSetGetStatus")
        states = [member["stateStr"] for member in status.get("members", ())]
        return len(states) == len(self.members) and set(states) <= WELL and states[0] == "PRIMARY"

    def around(self, number: int, *, clients: bool) -> set[tuple[int | None, int]]:
        """The wires between this member and the others, both ways; of ``clients`` too."""
        others = [other for other in self.numbers if other != number]
        wires = {(number, other) for other in others} | {(other, number) for other in others}
        return wires | ({(CLIENT, number)} if clients else set())

    def at_once(self, number: int, database: str):
        """The orders as this member has them, for somebody whose writes wait for nobody."""
        client = self.direct(number)
        return client[database].get_collection("workorders", write_concern=WriteConcern(w=1))


@contextmanager
def living() -> Iterator[Members]:
    """Three members in a folder of their own, which both go with this."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        members = Members(Path(folder))
        try:
            yield members.start()
        finally:
            members.stop()
