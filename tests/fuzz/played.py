"""What became of the executions of one target."""

import base64
from typing import NamedTuple

ROW = "| {:24} | {:>12} | {:>9} | {:>6} |"
HEAD = f"{ROW.format('target', 'executions', 'a second', 'failed')}\n{ROW.format(':---', '---:', '---:', '---:')}"


class Played(NamedTuple):
    """One target's executions; ``why`` says what has failed, for the input ``data``."""

    name: str
    executions: int
    seconds: float
    why: str = ""
    data: bytes = b""

    @property
    def row(self) -> str:
        """A row of a table."""
        speed = self.executions / max(self.seconds, 0.001)
        return ROW.format(self.name, f"{self.executions:,}", f"{speed:,.0f}", int(bool(self.why)))

    @property
    def told(self) -> str:
        """The failure, and the line that plays it again."""
        text = base64.b64encode(self.data).decode()
        return f"{self.name}: {self.why}\n  python -m tests.fuzz --target {self.name} --replay {text or '='}"


def total(found: list[Played]) -> str:
    """The row of all together."""
    return ROW.format("all", f"{sum(one.executions for one in found):,}", "", sum(bool(one.why) for one in found))
