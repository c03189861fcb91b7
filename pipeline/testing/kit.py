"""What a client's author hands to the conformance suite: how to make the client, and records of its system."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from pipeline.clients.connector import ClientSettings, Connector
from pipeline.clients.dry import DryClient, DryState
from pipeline.testing.stands import FolderStand, Sample, Stand

__all__ = ["ClientUnderTest"]

UTC: Final = ZoneInfo("UTC")


class ClientUnderTest(Struct, frozen=True, kw_only=True):
    """One kind of client. Its samples should hold every status, and different ids."""

    connect: Callable[[ClientSettings], Connector]
    samples: Sequence[Sample]
    """Records as the client's system shows them: JSON objects as mappings, anything else as bytes."""
    stand: Callable[[], Stand] = FolderStand
    """Makes what stands for the client's system."""
    options: Mapping[str, Any] = {}
    """Beside those of the stand."""
    layouts: Mapping[str, Mapping[str, Any]] = {}
    """Tables as settings spell them: the client speaks the first."""
    secrets: Mapping[str, str] = {}
    """The environment variables that the options name."""

    @property
    def raw(self) -> list[bytes]:
        """The samples' bytes."""
        return [one if isinstance(one, bytes) else msgspec.json.encode(one) for one in self.samples]

    @contextmanager
    def made(self, folder: Path, *, dry: bool = False, timezone: ZoneInfo = UTC) -> Iterator[tuple[Connector, Stand]]:
        """The client with a system of its own, fresh in ``folder``; ``dry``: as `plan` has it."""
        folder.mkdir(parents=True, exist_ok=True)
        stand = self.stand()
        with stand.stand(folder) as options, DryState(folder / "state") as copy:
            settings = ClientSettings(
                name="under-test",
                timezone=timezone,
                layout=next(iter(self.layouts), None),
                layouts=self.layouts,
                options={**options, **self.options},
                state_dir=copy.copy if dry else folder / "state",
                secret=self.secrets.get,
            )
            client = self.connect(settings)
            yield DryClient(client) if dry else client, stand
