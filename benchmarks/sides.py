"""Who is compared: the pipeline, alone and in lanes, and each peer that is installed. A new one is one line more."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.place import Indexes, Place
from pipeline.flows import FLOWS

__all__ = ["LANES", "PATHWAY", "Side", "file_peers", "line_peers", "pathway_version", "waiting", "with_lanes"]

LANES: Final = (1, 2, 4)
"""How many: each is a side ``N lanes`` wherever the pipeline is compared with its floor."""

ROOT: Final = Path(__file__).resolve().parent.parent

PATHWAY: Final = ROOT / ".venv-pathway" / "bin" / "python"
"""The environment of pathway, which brings a hundred packages of its own; ``requirements-pathway.txt`` makes it."""


class Side(Struct, frozen=True):
    """One of those that are compared."""

    work: str
    orders: int
    source: str = ""
    prepare: Callable[[Place], object] = lambda place: None
    options: Mapping[str, object] = {}
    indexes: Indexes | None = None
    """Those that are there before the clock runs. None: the pipeline's own three for its sides, else two."""
    stored: int | None = None
    """How many documents there are afterwards; None: one an order."""
    python: str = sys.executable

    @property
    def prepared(self) -> Indexes:
        """Which indexes are there before."""
        return self.indexes or ("pipeline" if self.work.startswith("ours.") else "two")

    @property
    def sends(self) -> bool:
        """Whether nothing waits to be sent afterwards."""
        return "outbound" in self.work


class _Peer(Struct, frozen=True):
    """One that loads plain documents, and the packages without which it is left out."""

    work: str
    needs: tuple[str, ...] = ()
    indexes: Indexes = "two"


FILE_PEERS: Final = {
    "naive": _Peer("peers.naive_inbound"),
    "gather": _Peer("peers.gather"),
    "aiostream per item": _Peer("peers.per_item"),
    "bulk_write": _Peer("peers.bulk_write"),
    "dlt": _Peer("frameworks.with_dlt", ("dlt", "singer_sdk")),
    "singer-sdk": _Peer("frameworks.with_singer", ("dlt", "singer_sdk")),
}

LINE_PEERS: Final = {
    "insert_many": _Peer("loaders.insert_many"),
    "insert_many, no index": _Peer("loaders.insert_many", indexes="none"),
    "bulk_write": _Peer("loaders.bulk_write"),
    "polars": _Peer("with_polars.load", ("polars", "pymongoarrow")),
    "polars, no index": _Peer("with_polars.load", ("polars", "pymongoarrow"), indexes="none"),
    "duckdb": _Peer("with_duckdb.load", ("duckdb",)),
}


def file_peers(orders: int, source: str) -> dict[str, Side]:
    """Those that load a folder of small files."""
    return _installed(FILE_PEERS, orders, source)


def line_peers(orders: int, source: str, pathway: Path = PATHWAY) -> dict[str, Side]:
    """Those that load a file of lines; ``pathway`` is the Python that has it."""
    peers = _installed(LINE_PEERS, orders, source)
    if pathway_version(pathway):
        peers["pathway"] = Side("with_pathway.load", orders, source, python=str(pathway))
    return peers


def pathway_version(python: Path) -> str | None:
    """Which pathway ``python`` has, beside what the measuring itself needs; None: none."""
    if not python.exists():
        return None
    asked = "from importlib.metadata import version; import benchmarks.work; print(version('pathway'))"
    found = subprocess.run([str(python), "-c", asked], capture_output=True, text=True, check=False, cwd=ROOT)
    return found.stdout.strip() or None


def with_lanes(sides: dict[str, Side]) -> dict[str, Side]:
    """``sides``, and the pipeline of them as the command runs it, in one process and in several.

    None of these for a flow that knows of no lanes.
    """
    alone = sides["pipeline"]
    flow = FLOWS[alone.work.removeprefix("ours.")]
    lanes = LANES if "lanes" in signature(flow).parameters else ()
    return sides | {
        f"{count} lane{'s' * (count > 1)}": replace(
            alone, work=alone.work.replace("ours.", "ours.run_"), options={"workers": count}
        )
        for count in lanes
    }


def waiting(work: str, orders: int, *, among: int | None = None) -> Side:
    """``work`` on so many unsynced documents, among others that are synced."""
    among = among or orders
    return Side(work, orders, prepare=lambda place: place.with_documents(among, unsynced=orders), stored=among)


def _installed(peers: Mapping[str, _Peer], orders: int, source: str) -> dict[str, Side]:
    return {
        name: Side(peer.work, orders, source, indexes=peer.indexes)
        for name, peer in peers.items()
        if all(map(find_spec, peer.needs))
    }
