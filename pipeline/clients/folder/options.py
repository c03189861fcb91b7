"""What a client of folders is told: where they are, and what becomes of a file that is done."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from pipeline.clients.folder.settled import InboundAfter
from pipeline.finding import Finding, check_folder

__all__ = ["FolderOptions"]


class FolderOptions(Struct, frozen=True, kw_only=True):
    """The options of a client of folders."""

    inbound_dir: Path
    outbound_dir: Path
    inbound_after: InboundAfter = "keep"

    def check(self) -> Sequence[Finding]:
        """Whether both folders can be used."""
        return (
            check_folder("inbound folder", self.inbound_dir, "inbound_dir", writes=self.inbound_after != "keep"),
            check_folder("outbound folder", self.outbound_dir, "outbound_dir", writes=True),
        )
