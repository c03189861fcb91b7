"""``graph``: the chains as they are, as Mermaid or SVG."""

import sys
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli.start import begin
from pipeline.flows import inbound, outbound
from pipeline.graph import mermaid
from pipeline.graph import svg as as_svg
from pipeline.session import Session

__all__ = ["graph"]


def graph(*, client: str | None = None, svg: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Print the chains as Mermaid, made from the stages themselves.

    Args:
        client: Of this client.
        svg: Print SVG instead.
    """
    session = Session(begin(), client=client, rehearse=True)
    tracos = session.tracos("mongodb://localhost")  # made, never opened
    chains = [
        (f"{session.client.name}.{name}", flow(session.client, tracos, session.dead(name)))
        for name, flow in (("inbound", inbound), ("outbound", outbound))
    ]
    sys.stdout.write(as_svg(chains) if svg else mermaid(chains))
    return 0
