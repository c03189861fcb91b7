"""A session with the systems that the settings name: the client, TracOS, the dead letters."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.clients.connector import ClientSettings, Connector
from pipeline.deadletters import DeadLetterFolder, DeadLetterOffice, Identify
from pipeline.decisions import DecisionLog, Decisions
from pipeline.errors import WrongUsage
from pipeline.registry import find_client
from pipeline.settings import Settings
from pipeline.tracos.embedded import embedded_mongod
from pipeline.tracos.store import Tracos

__all__ = ["Session"]


class Session:
    """Everything that a command works with, under the run's id ``run``.

    With ``rehearse`` nothing is written anywhere: decisions are kept in memory, MongoDB and the client are only read.
    Raises WrongSettings for a client that cannot be made, WrongUsage for one that the settings do not have.
    """

    def __init__(self, settings: Settings, *, run: str = "", client: str | None = None, rehearse: bool = False) -> None:
        name = client or settings.clients[0]
        if name not in settings.clients:
            raise WrongUsage(f"the settings have no client {name!r}; CLIENTS has: {', '.join(settings.clients)}")
        self.settings = settings
        self.decisions: Decisions = Decisions(run) if rehearse else DecisionLog(settings.data_decision_log, run)
        self._rehearse = rehearse
        self.client: Connector = find_client(name)(
            ClientSettings(
                name=name,
                timezone=settings.client_timezone,
                layout=settings.client_layout,
                defaults={
                    "inbound_dir": settings.data_inbound_dir,
                    "outbound_dir": settings.data_outbound_dir,
                    "inbound_after": settings.inbound_after,
                },
                variables={
                    "inbound_dir": "DATA_INBOUND_DIR",
                    "outbound_dir": "DATA_OUTBOUND_DIR",
                    "inbound_after": "INBOUND_AFTER",
                },
                rehearse=rehearse,
            )
        )

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

    def tracos(self, uri: str) -> Tracos:
        """Our system, at ``uri``."""
        settings = self.settings
        return Tracos(
            uri=uri,
            database=settings.database,
            collection=settings.mongo_collection,
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

    @property
    def office(self) -> DeadLetterOffice:
        """All dead letters."""
        return DeadLetterOffice(self.settings.data_dead_letter_dir)
