"""What a client of folders is told: where they are, and what becomes of a file that is done."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from pipeline.disk import Durability
from pipeline.finding import Finding, check_folder
from pipeline.transports.folder.known import KnownFiles
from pipeline.transports.folder.settled import InboundAfter
from pipeline.transports.settings import ClientSettings
from pipeline.version import VERSION

__all__ = ["FolderOptions"]


class FolderOptions(Struct, frozen=True, kw_only=True):
    """The options of a client of folders."""

    inbound_dir: Path
    outbound_dir: Path
    inbound_after: InboundAfter = "keep"
    durability: Durability = "batch"
    """Of outbound files."""

    def known(self, settings: ClientSettings, client: type) -> KnownFiles:
        """The index of known files of a ``client``: with another version, class, zone or option all are read again.

        Not noticed is that the code of the class was changed.
        """
        kind = f"{client.__module__}.{client.__qualname__}"
        understood = (VERSION, kind, settings.timezone.key, str(self.inbound_dir.resolve()), self)
        return KnownFiles(settings.state_dir / f"{settings.name}.files", repr(understood))

    def check(self, called: Callable[[str], str]) -> Sequence[Finding]:
        """Whether both folders can be used; ``called`` tells by which name a person sets an option."""
        takes = self.inbound_after != "keep"
        return (
            check_folder("inbound folder", self.inbound_dir, called("inbound_dir"), writes=takes),
            check_folder("outbound folder", self.outbound_dir, called("outbound_dir"), writes=True),
        )
