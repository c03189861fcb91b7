"""Two-way work-order sync as a dataflow of composable async streams.

The rooms, in the order in which they may know each other:

- ``errors``, ``workorder``: the words of the house
- ``dataflow``: the machinery: batches through typed stages; ``disk``: files that appear whole and durable
- ``translation``, ``sync``, ``merge``: pure: a client's layouts <-> canonical work orders; what a document remembers of
  the client's side; what a record means for it
- ``tracos``, ``clients``, ``deadletters``: the wings, which do not know each other: our system, the customers' systems,
  and what could not pass
- ``flows``: the two chains; ``registry``: finds clients
- ``settings``, ``logs``, ``summary``, ``cli``: the program

A chain is read from top to bottom, and every step of it is visible::

    report = await run(
        read(source, flow="mine")
        | parse(json.loads)
        | filter_items(lambda order: order["status"] != "DONE")
        | deliver(sink)
        | dead_letters(folder)
        | settle(source)
    )
"""

from pipeline.dataflow.budget import Budget
from pipeline.dataflow.messages import Batch, DeadLetter, Envelope, Outcome, Spared, Unreadable
from pipeline.dataflow.ports import BatchSink, DeadLetters, Progress, Resource, Sink, Source, Witness
from pipeline.dataflow.run import Report, run
from pipeline.dataflow.stage import Chain, Passage, Stage
from pipeline.dataflow.stages import (
    dead_letters,
    deliver,
    filter_items,
    flat_map_items,
    hold_known,
    map_items,
    parse,
    read,
    settle,
    translate,
    validate,
    within,
)
from pipeline.errors import (
    BudgetExceeded,
    Deferred,
    Fatal,
    Outage,
    PipelineError,
    Reason,
    Rejected,
    WrongSettings,
    WrongUsage,
)
from pipeline.workorder import Record, Status, Values, WorkOrder

__all__ = [
    "Batch",
    "BatchSink",
    "Budget",
    "BudgetExceeded",
    "Chain",
    "DeadLetter",
    "DeadLetters",
    "Deferred",
    "Envelope",
    "Fatal",
    "Outage",
    "Outcome",
    "Passage",
    "PipelineError",
    "Progress",
    "Reason",
    "Record",
    "Rejected",
    "Report",
    "Resource",
    "Sink",
    "Source",
    "Spared",
    "Stage",
    "Status",
    "Unreadable",
    "Values",
    "Witness",
    "WorkOrder",
    "WrongSettings",
    "WrongUsage",
    "dead_letters",
    "deliver",
    "filter_items",
    "flat_map_items",
    "hold_known",
    "map_items",
    "parse",
    "read",
    "run",
    "settle",
    "translate",
    "validate",
    "within",
]
