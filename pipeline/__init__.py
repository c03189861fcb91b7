"""Two-way work-order sync as a dataflow of composable async streams.

The rooms, each of which may know those above it:

- ``errors``, ``version``, ``disk``, ``months``, ``finding``: the words of the house; files that appear whole
  and durable; files a month
- ``orders``: pure: what a work order is, what a document remembers of the client's side, what a record means for it
- ``dataflow``: the machinery: batches through typed stages, from a source to a sink; knows no work order
- ``translation``: pure: how each customer says it, and our words for it
- ``transports``: how a customer is reached: folders of files, HTTP
- ``deadletters``, ``history``: what could not pass; what became of orders and of runs
- ``clients``, ``tracos``: the two sides, which do not know each other: the customers' systems, and ours (MongoDB)
- ``flows``: the two chains, and nothing else
- ``service``: the program without a face: settings, customers, runs, plans, replays
- ``web``, ``cli``: its faces: the page, the command line
- ``testing``: for authors of clients; nothing else knows it

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

from pipeline.dataflow.aside import dead_letters, hold_known, hold_repeats
from pipeline.dataflow.budget import Budget
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import (
    Batch,
    BatchResult,
    DeadLetter,
    Empty,
    Envelope,
    Fate,
    Outcome,
    Spared,
    Unreadable,
)
from pipeline.dataflow.ports import BatchSink, DeadLetters, Progress, Resource, Sink, Source, Witness
from pipeline.dataflow.run import Report, run
from pipeline.dataflow.stage import Chain, Passage, Stage
from pipeline.dataflow.stages import (
    deliver,
    filter_items,
    flat_map_items,
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
from pipeline.orders.workorder import Record, Status, Values, WorkOrder

__all__ = [
    "Batch",
    "BatchResult",
    "BatchSink",
    "Budget",
    "BudgetExceeded",
    "Chain",
    "DeadLetter",
    "DeadLetters",
    "Deferred",
    "Empty",
    "Envelope",
    "Fatal",
    "Fate",
    "Locator",
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
    "hold_repeats",
    "map_items",
    "parse",
    "read",
    "run",
    "settle",
    "translate",
    "validate",
    "within",
]
