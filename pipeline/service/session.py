"""Sessions with the systems that the settings name: each customer's client, TracOS, the dead letters."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from pipeline.clients.connector import ClientSettings, Connector
from pipeline.clients.registry import find_client
from pipeline.clients.spelling import WrongTable
from pipeline.dataflow.ports import DeadLetters, Source
from pipeline.dataflow.run import Report
from pipeline.dataflow.stage import Chain
from pipeline.deadletters import Identify
from pipeline.errors import WrongSettings, WrongUsage
from pipeline.history.decisions import DecisionLog, Decisions
from pipeline.orders.terms import ID
from pipeline.orders.workorder import MERGED_FIELDS, ExternalId
from pipeline.service.customers import Customer, Customers, customers, located, located_mistakes
from pipeline.service.drift import KnownKeys
from pipeline.service.effects import Effects, Live
from pipeline.service.settings import Settings
from pipeline.tracos.address import read_address
from pipeline.tracos.connection import Connection
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.embedded import embedded_mongod
from pipeline.tracos.lease import Lease
from pipeline.tracos.present import Present
from pipeline.tracos.store import Tracos
from pipeline.tracos.waiting import Waiting

__all__ = ["Session", "Sessions", "new_report", "session_of"]


class Session:
    """Everything that is done with one customer."""

    def __init__(
        self,
        settings: Settings,
        customer: Customer,
        client: Connector,
        decisions: Decisions,
        effects: Effects,
        keys: KnownKeys | None = None,
    ) -> None:
        self.settings = settings
        self.client = client
        self.decisions = decisions
        self.customer = customer
        self._effects = effects
        self.keys = keys
        """What is remembered of its records' keys; None: nobody watches them."""
        self.drift: Sequence[str] = ()
        """What has drifted in this run, a line each."""
        self._lease: Lease | None = None
        """What says that the orders are this session's alone, while they are."""

    @property
    def place(self) -> str:
        """Where this customer's orders are, for a person: server, database and collection, without credentials."""
        settings, one = self.settings, self.customer
        where, uri = f"{one.database}.{one.collection}", settings.mongo_uri
        return f"{read_address(uri).shown}/{where}" if uri else f"embedded, {settings.data_mongo_dir} ({where})"

    @property
    def flows(self) -> Collection[str]:
        """Those that are run for this customer."""
        return self.customer.flows

    def connection(self, uri: str) -> Connection:
        """A connection to the collection that holds this customer's orders, at ``uri``."""
        one = self.customer
        return self._effects.connection(uri, one.database, one.collection, self.settings.mongo_retry_seconds)

    @asynccontextmanager
    async def alone(self, uri: str, stop: asyncio.Event) -> AsyncIterator[None]:
        """Inside of this nobody else works on this customer's orders; raises Held where somebody does."""
        lease = None
        if self._lease is None:
            run, seconds = self.decisions.run, self.settings.lease_seconds
            lease = self._effects.lease(self.connection(uri), run, seconds, stop)
        if lease is None:  # whoever only looks needs none, and whoever has it has it
            yield
            return
        async with lease:
            self._lease = lease
            try:
                yield
            finally:
                self._lease = None

    async def confirm(self) -> None:
        """See that nobody else has come to work on these orders; raises Held where somebody has."""
        if self._lease is not None:
            await self._lease.confirm()

    def tracos(self, uri: str, *, deletes: DeleteBudget | None = None, anew: bool = False) -> Tracos:
        """Our system, at ``uri``: the collection that holds this customer's orders; for the others see Tracos."""
        deletes = deletes or DeleteBudget(self.settings.sync_max_deletes)
        return Tracos(self.connection(uri), self.decisions, deletes=deletes, first=self.confirm, anew=anew)

    async def waiting(self, uri: str) -> Waiting:
        """How many orders wait to be told, looked at once in the TracOS at ``uri``; raises Fatal."""
        return await self._at_once(uri).waiting()

    async def present(self, uri: str, keys: Collection[ExternalId]) -> list[Present]:
        """What the TracOS at ``uri`` holds of an order known by one of ``keys``, looked at once; raises Fatal."""
        return await self._at_once(uri).present(self.client.terms, keys)

    def _at_once(self, uri: str) -> Tracos:
        """Our system, where nobody waits for it while it is away."""
        connection = self._effects.connection(uri, self.customer.database, self.customer.collection, 0)
        return Tracos(connection, self.decisions)

    def dead(self, flow: str) -> DeadLetters:
        """The dead letters of ``flow`` (inbound, outbound)."""
        name, root = self.client.name, self.settings.data_dead_letter_dir
        return self._effects.dead(root, f"{name}.{flow}", name, self.identify(flow))

    def identify(self, flow: str) -> Identify:
        """What reads an order's id from the original bytes of ``flow``."""
        return self.client.identify if flow == "inbound" else Tracos.identify


class Sessions:
    """A session for each customer, or with ``only`` for that one, under the run's id ``run``, for the person ``by``.

    ``found`` are the customers, where they were looked for already. What changed at ``since`` or later is read again.
    ``effects`` are what they may do to the world: all of it, unless something else is said. ``problems`` are those
    customers that cannot be served, by name; they keep nobody else from it. Raises WrongSettings where nobody can be,
    and WrongUsage for an ``only`` that the settings do not have.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run: str = "",
        by: str = "",
        only: str | None = None,
        since: datetime | None = None,
        effects: Effects | None = None,
        found: Customers | None = None,
    ) -> None:
        self.settings = settings
        self.decisions = DecisionLog(settings.data_decision_log, run, by)
        self._effects = effects or Live()
        self._since = since
        found = found or customers(settings)
        if only is not None and only not in found:
            known = ", ".join({**found.named, **found.problems})
            raise WrongUsage(f"the settings have no client {only!r}; they have: {known}")
        self.problems: dict[str, list[str]] = {
            name: list(lines) for name, lines in found.problems.items() if only in (None, name)
        }
        self._made: dict[str, Session] = {}
        for name, customer in found.named.items():
            if only in (None, name):
                self._make(customer)
        if not self._made:
            raise WrongSettings(line for lines in self.problems.values() for line in lines)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._made.values())

    def __len__(self) -> int:
        return len(self._made)

    def get(self, name: str) -> Session:
        """The session with the customer ``name``; raises WrongUsage where there is none."""
        if name not in self._made:
            raise WrongUsage(f"the settings have no client {name!r} that works; they have: {', '.join(self._made)}")
        return self._made[name]

    @contextmanager
    def mongo(self, *, joins: bool = True) -> Iterator[str]:
        """The URI of MongoDB: the one that is set, else an embedded server's, while it runs.

        ``joins``: where another run has one there, it is used, as long as that run goes on.
        """
        settings = self.settings
        with self._effects.begun(settings.data_mongo_dir) as mongo_dir:
            if settings.mongo_uri:
                yield settings.mongo_uri
            else:
                with embedded_mongod(mongo_dir, binary=settings.mongod_bin, joins=joins) as uri:
                    yield uri

    def _make(self, customer: Customer) -> None:
        wrong = self.problems.get(customer.name, [])
        try:
            decisions = self._effects.decisions(self.decisions)
            one = session_of(self.settings, customer, decisions, self._effects, since=self._since)
        except WrongSettings as error:
            wrong = wrong + list(error.problems)
        if wrong:
            self.problems[customer.name] = wrong
        else:
            self._made[customer.name] = one


def new_report(session: Session, flow: str, chain: Chain[Any]) -> Report:
    """The report of a chain that has not begun, with the places that it reads and writes."""
    source, sink = (step.end.title for step in chain.steps if step.kind in {"source", "sink"} and step.end is not None)
    source, sink = (source, session.place) if flow == "inbound" else (session.place, sink)
    report = Report(flow=f"{session.client.name}.{flow}", source=source, sink=sink)
    if isinstance(end := chain.steps[0].end, Source):
        report.progress = end.progress
    return report


def session_of(
    settings: Settings, customer: Customer, decisions: Decisions, effects: Effects, *, since: datetime | None = None
) -> Session:
    """The session with one customer; raises WrongSettings, each problem with file and line, where it cannot be made."""
    try:
        client = find_client(customer.kind)(
            ClientSettings(
                name=customer.name,
                timezone=customer.timezone,
                layout=customer.layout,
                layouts=customer.layouts,
                number=customer.number,
                authority=customer.authority,
                options=customer.options,
                defaults=customer.defaults,
                variables=customer.variables,
                said=customer.said,
                state_dir=effects.state_dir(settings.data_state_dir),
                since=since,
                secret=settings.secrets.get,
            )
        )
        problems = [located(customer, problem) for problem in _disagreements(customer, client)]
    except WrongTable as error:
        problems = located_mistakes(customer, error)
    except WrongSettings as error:
        problems = [located(customer, problem) for problem in error.problems]
    except Exception as error:  # somebody else's code: it stops nobody else's client
        what = f"{customer.name}: its client cannot be made: {type(error).__name__}: {error}"
        problems = [located(customer, what)]
    if problems:
        raise WrongSettings(problems)
    keys = None
    if customer.on_unknown != "ignore" and isinstance(client, Connector):  # one that is none cannot be watched
        path = settings.data_state_dir / f"{customer.name}.keys"
        keys = KnownKeys(client, path, customer.on_unknown)
        client = keys.client
    return Session(settings, customer, effects.client(client), decisions, effects, keys)


def _disagreements(customer: Customer, client: Connector) -> Iterator[str]:
    """What the settings say of a client that it does not do; raises WrongSettings for layouts that do not agree."""
    fields = (*MERGED_FIELDS, *client.terms.fields)
    for field in customer.authority:
        if field not in fields:
            near = get_close_matches(field, fields, 1)
            mean = f"did you mean {near[0]}? " if near else ""
            yield f"{customer.name}: authority: its layouts have no field {field}; {mean}they have: {', '.join(fields)}"
    if customer.authority != client.authority:
        yield f"{customer.name}: authority: clients of the kind {customer.kind} know nothing of it"
    if customer.number != client.number:
        yield f"{customer.name}: number: clients of the kind {customer.kind} know nothing of it"
    elif customer.number != ID and client.ids == "shared":
        yield f'{customer.name}: number: with shared ids an order has one number on both sides: set ids = "client"'
