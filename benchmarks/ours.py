"""The pipeline's own chains, whole, as a run has them: connected, with dead letters, decision log and index."""

import asyncio
from pathlib import Path

from benchmarks.place import Place
from benchmarks.task import Task
from pipeline.clients.connector import ClientSettings
from pipeline.clients.erp_json import connect
from pipeline.dataflow.run import run
from pipeline.deadletters.folder import DeadLetterFolder
from pipeline.flows import FLOWS
from pipeline.history.decisions import DecisionLog
from pipeline.tracos.connection import Connection
from pipeline.tracos.sink import TracosSink
from pipeline.tracos.store import Tracos
from pipeline.transports.folder import source as folder_source

__all__ = ["both", "inbound", "outbound"]


def inbound(place: Place, task: Task) -> int:
    """The inbound chain."""
    return asyncio.run(_chains(place, task, "inbound"))


def outbound(place: Place, task: Task) -> int:
    """The outbound chain."""
    return asyncio.run(_chains(place, task, "outbound"))


def both(place: Place, task: Task) -> int:
    """One after the other."""
    return asyncio.run(_chains(place, task, "inbound", "outbound"))


async def _chains(place: Place, task: Task, *flows: str) -> int:
    """How many items were read, or spared."""
    folder_source.GROUP = task.batch or folder_source.GROUP  # type: ignore[misc]  # a constant, but for whoever measures
    TracosSink.in_flight = task.in_flight or TracosSink.in_flight
    options = {"inbound_dir": Path(task.source), "outbound_dir": place.outbound}
    erp = connect(ClientSettings(name="erp_json", options=options, state_dir=place.state))
    if not task.remembers:
        (place.state / "erp_json.files").unlink(missing_ok=True)
    decisions = DecisionLog(place.root / "decisions.jsonl")
    done = 0
    connection = Connection(place.uri, place.name, "workorders", retry_seconds=60)
    async with Tracos(connection, decisions) as tracos:
        for name in flows:
            flow = f"erp_json.{name}"
            dead = DeadLetterFolder(place.root / "dead-letter", flow=flow, client=erp.name, identify=erp.identify)
            report = await run(FLOWS[name](erp, tracos, dead))
            done += report.received + report.spared
    return done
