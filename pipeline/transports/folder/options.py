"""What a client of folders is told: where they are, and what becomes of a file that is done."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from pipeline.dataflow.ports import NOTHING_IS_SURE, Witness
from pipeline.disk import Durability
from pipeline.errors import Fatal, See
from pipeline.finding import Finding, check_folder
from pipeline.orders.terms import Ids
from pipeline.transports.folder.archive import erase_archived
from pipeline.transports.folder.formats import JSON_FILES, FileFormat
from pipeline.transports.folder.known import KnownFiles
from pipeline.transports.folder.names import ARCHIVE
from pipeline.transports.folder.settled import InboundAfter
from pipeline.transports.folder.sink import FolderSink
from pipeline.transports.folder.source import QUIET_SECONDS, FolderSource
from pipeline.transports.folder.unread import look_for_unread
from pipeline.transports.settings import ClientSettings
from pipeline.version import VERSION

__all__ = ["FolderOptions"]


class FolderOptions(Struct, frozen=True, kw_only=True):
    """The options of a client of folders."""

    inbound_dir: Path
    outbound_dir: Path
    ids: Ids = "shared"
    """Whose ids the client's records have; ``client``: a new order goes out with our number alone, as ``reference``."""
    inbound_after: InboundAfter = "keep"
    durability: Durability = "batch"
    """Of outbound files."""
    quiet_seconds: Annotated[float, Meta(ge=0, le=86_400)] = QUIET_SECONDS
    """How long a file must have been left alone before it is read."""

    def source(
        self, settings: ClientSettings, witness: Witness = NOTHING_IS_SURE, *, form: FileFormat = JSON_FILES
    ) -> FolderSource:
        """The inbound folder; with another version, client, zone or option all known files are read again."""
        understood = (VERSION, settings.code, settings.timezone.key, str(self.inbound_dir.resolve()), self)
        return FolderSource(
            self.inbound_dir,
            after=self.inbound_after,
            form=form,
            known=KnownFiles(settings.state_dir / f"{settings.name}.files", repr(understood), witness, settings.since),
            setting=settings.called("inbound_dir"),
            quiet_seconds=self.quiet_seconds,
        )

    def sink(self, settings: ClientSettings, *, suffix: str = JSON_FILES.suffixes[0]) -> FolderSink:
        """The outbound folder; each order's file ends in ``suffix``."""
        called = settings.called("outbound_dir")
        return FolderSink(self.outbound_dir, suffix=suffix, setting=called, durability=self.durability)

    def erase(self, settings: ClientSettings, is_meant: Callable[[bytes], bool], form: FileFormat = JSON_FILES) -> int:
        """Remove the records that are meant from what was put away, and forget the files that were known; how many.

        Raises Fatal where that cannot be done.
        """
        known = settings.state_dir / f"{settings.name}.files"
        try:
            known.unlink(missing_ok=True)
        except OSError as error:
            raise Fatal(
                f"{known} cannot be removed: {error.strerror}; set it right, then do it again", see=See.FILES
            ) from error
        return erase_archived(self.inbound_dir / ARCHIVE, form, is_meant)

    def check(self, called: Callable[[str], str], form: FileFormat = JSON_FILES) -> Sequence[Finding]:
        """Whether both folders can be used, and what nobody reads; ``called``: by which name an option is set."""
        takes = self.inbound_after != "keep"
        findings = [
            check_folder("inbound folder", self.inbound_dir, called("inbound_dir"), writes=takes),
            check_folder("outbound folder", self.outbound_dir, called("outbound_dir"), writes=True),
        ]
        if unread := look_for_unread(self.inbound_dir, form):
            says = f"{self.inbound_dir}: {unread}"
            findings.insert(1, Finding("other files", "warning", says, "rename what holds orders, move the rest away"))
        return findings
