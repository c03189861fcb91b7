"""Sessions with the systems that the settings name: each customer's client, TracOS, the dead letters."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.clients.connector import ClientSettings, Connector
from pipeline.clients.registry import find_client
from pipeline.deadletters import DeadLetterFolder, Identify
from pipeline.errors import WrongSettings, WrongUsage
from pipeline.history.decisions import DecisionLog, Decisions
from pipeline.service.customers import Customer, customers, located
from pipeline.service.settings import Settings
from pipeline.tracos.embedded import embedded_mongod
from pipeline.tracos.store import Tracos

__all__ = ["Session", "Sessions"]


class Session:
    """Everything that is done with one customer."""

    def __init__(self, settings: Settings, customer: Customer, client: Connector, decisions: Decisions) -> None:
        self.settings = settings
        self.client = client
        self.decisions = decisions
        self.customer = customer
        self._rehearse = not isinstance(decisions, DecisionLog)

    def tracos(self, uri: str) -> Tracos:
        """Our system, at ``uri``: the collection that holds this customer's orders."""
        settings = self.settings
        return Tracos(
            uri=uri,
            database=self.customer.database,
            collection=self.customer.collection,
            decisions=self.decisions,
            retry_seconds=settings.mongo_retry_seconds,
            max_deletes=settings.sync_max_deletes,
            rehearse=self._rehearse,
        )

    def dead(self, flow: str) -> DeadLetterFolder:
        """The dead letters of ``flow`` (inbound, outbound)."""
        return DeadLetterFolder(
            self.settings.data_dead_letter_dir,
            flow=f"{self.client.name}.{flow}",
            client=self.client.name,
            identify=self.identify(flow),
        )

    def identify(self, flow: str) -> Identify:
        """What reads an order's id from the original bytes of ``flow``."""
        return self.client.identify if flow == "inbound" else Tracos.identify


class Sessions:
    """A session for each customer, or with ``only`` for that one, under the run's id ``run``.

    With ``rehearse`` nothing is written anywhere: decisions are kept in memory, MongoDB and the clients are only read.
    ``problems`` are those customers that cannot be served, by name; they keep nobody else from it. Raises WrongSettings
    where nobody can be, and WrongUsage for an ``only`` that the settings do not have.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run: str = "",
        only: str | None = None,
        rehearse: bool = False,
    ) -> None:
        self.settings = settings
        self.decisions = DecisionLog(settings.data_decision_log, run)
        self._rehearse = rehearse
        found = customers(settings)
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
    def mongo(self) -> Iterator[str]:
        """The URI of MongoDB: the one that is set, else an embedded server's, while it runs."""
        settings = self.settings
        if settings.mongo_uri:
            yield settings.mongo_uri
        elif self._rehearse and not settings.data_mongo_dir.exists():
            with (
                tempfile.TemporaryDirectory(prefix="workorder-sync-") as nothing,
                embedded_mongod(Path(nothing), binary=settings.mongod_bin) as uri,
            ):
                yield uri
        else:
            with embedded_mongod(settings.data_mongo_dir, binary=settings.mongod_bin) as uri:
                yield uri

    def _make(self, customer: Customer) -> None:
        try:
            client = find_client(customer.kind)(
                ClientSettings(
                    name=customer.name,
                    timezone=customer.timezone,
                    layout=customer.layout,
                    options=customer.options,
                    defaults=customer.defaults,
                    variables=customer.variables,
                    said=customer.said,
                    state_dir=self.settings.data_state_dir,
                    secret=self.settings.secrets.get,
                    rehearse=self._rehearse,
                )
            )
        except WrongSettings as error:
            problems = list(error.problems)
        except Exception as error:  # somebody else's code: it stops nobody else's client
            problems = [f"{customer.name}: its client cannot be made: {type(error).__name__}: {error}"]
        else:
            problems = []
        wrong = self.problems.get(customer.name, []) + [located(customer, problem) for problem in problems]
        if wrong:
            self.problems[customer.name] = wrong
        else:
            decisions = Decisions() if self._rehearse else self.decisions  # one log, but a plan each
            self._made[customer.name] = Session(self.settings, customer, client, decisions)
