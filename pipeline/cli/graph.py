"""``graph``: the chains as they are, as Mermaid or SVG."""

import sys
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli.start import begin, tell_problems
from pipeline.dataflow.graph import mermaid
from pipeline.dataflow.graph import svg as as_svg
from pipeline.flows import FLOWS
from pipeline.service.effects import Dry
from pipeline.service.session import Sessions

__all__ = ["graph"]


def graph(*, client: str | None = None, svg: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Print the chains as Mermaid, made from the stages themselves.

    Args:
        client: Of this client.
        svg: Print SVG instead.
    """
    sessions = Sessions(begin(), only=client, effects=Dry())
    tell_problems(sessions.problems)
    chains = [
        (f"{one.client.name}.{name}", flow(one.client, one.tracos("mongodb://localhost"), one.dead(name)))
        for one in sessions
        for name, flow in FLOWS.items()
    ]  # made, never opened
    sys.stdout.write(as_svg(chains) if svg else mermaid(chains))
    return 0
