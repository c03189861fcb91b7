"""A source whose uses go through the ports of a run."""

from collections.abc import Mapping
from typing import Any

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Fate
from pipeline.dataflow.ports import Source
from pipeline.dataflow.wrapped import WrappedSource
from tests.simulation.ports import Ports


class PortedSource(WrappedSource[bytes]):
    """Its settling is a use of a port."""

    def __init__(self, source: Source[bytes], ports: Ports) -> None:
        super().__init__(source)
        self.ports = ports

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        async with self.ports.using("erp.settle"):
            await super().settle(fates)


class PortedList(PortedSource):
    """So is its reading of each group."""

    async def read(self) -> Any:
        async for group in super().read():
            async with self.ports.using("erp.list"):
                pass
            yield group
