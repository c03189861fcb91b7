"""The pipeline: its chains, whole, with dead letters, decision log and index; or the command, as a person gives it."""

import asyncio
import io
import os
from contextlib import redirect_stdout
from pathlib import Path

import msgspec

from benchmarks.place import Place
from benchmarks.task import Task
from pipeline.cli import main
from pipeline.clients.connector import ClientSettings
from pipeline.clients.erp_json import connect
from pipeline.dataflow.run import run
from pipeline.deadletters.folder import DeadLetterFolder
from pipeline.flows import FLOWS
from pipeline.history.decisions import DecisionLog
from pipeline.history.journal import Run
from pipeline.service.settings import Settings
from pipeline.tracos.connection import Connection
from pipeline.tracos.sink import TracosSink
from pipeline.tracos.store import Tracos
from pipeline.transports.folder import source as folder_source

__all__ = ["both", "inbound", "outbound", "run_inbound", "run_outbound"]


def inbound(place: Place, task: Task) -> int:
    """The inbound chain."""
    return asyncio.run(_chains(place, task, "inbound"))


def outbound(place: Place, task: Task) -> int:
    """The outbound chain."""
    return asyncio.run(_chains(place, task, "outbound"))


def both(place: Place, task: Task) -> int:
    """One after the other."""
    return asyncio.run(_chains(place, task, "inbound", "outbound"))


def run_inbound(place: Place, task: Task) -> int:
    """The command ``run --only inbound``, in as many lanes as the task says: their start is part of it."""
    return _command(place, task, "inbound")


def run_outbound(place: Place, task: Task) -> int:
    """The command ``run --only outbound``."""
    return _command(place, task, "outbound")


def _command(place: Place, task: Task, flow: str) -> int:
    """How many items the run's own journal says that it read, or spared. For a process that does nothing else."""
    for field in msgspec.structs.fields(Settings):
        os.environ.pop(field.name.upper(), None)
    os.environ |= {
        "MONGO_URI": place.uri,
        "MONGO_DATABASE": place.name,
        "DATA_INBOUND_DIR": task.source or str(place.root / "inbound"),
        "DATA_OUTBOUND_DIR": str(place.outbound),
        "DATA_STATE_DIR": str(place.state),
        "DATA_DEAD_LETTER_DIR": str(place.root / "dead-letter"),
        "DATA_DECISION_LOG": str(place.root / "decisions.jsonl"),
        "DATA_JOURNAL": str(place.root / "runs.jsonl"),
        "LOG_LEVEL": "ERROR",
    }
    os.chdir(place.root)  # where no .env is
    if not task.remembers:
        (place.state / "erp_json.files").unlink(missing_ok=True)
    lanes = [] if task.workers is None else ["--workers", str(task.workers)]
    lanes += [] if task.engine is None else ["--engine", task.engine]
    with redirect_stdout(io.StringIO()) as shown:
        code = main(["run", "--only", flow, "--json", *lanes])
    if code:
        raise SystemExit(f"the command ended with {code}")
    return sum(one.read + one.spared for one in msgspec.json.decode(shown.getvalue(), type=Run).flows)


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
