"""Orders that the client has no more: gone from a list that was read to its end, and from their own address.

That a list does not show an order says little: it may show open orders alone, or have been cut. So each that it showed
before, and does not now, is asked for.
"""

from collections.abc import AsyncIterator
from typing import Final

from loguru import logger

from pipeline.errors import PipelineError
from pipeline.transports.http.addresses import order_address
from pipeline.transports.http.api import Api
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.push import GONE
from pipeline.transports.http.state import State

__all__ = ["Absence", "Removed"]

ASKED: Final = 100
"""Orders that are asked for in a run; the others have their turn in the next ones."""


class Removed(bytes):
    """The id of an order, as UTF-8, that the client had and has no more: in place of a record that says so."""


class Absence:
    """Notes which orders one pass over a list shows."""

    def __init__(self, api: Api, options: HttpOptions, state: State) -> None:
        self._api = api
        self._options = options
        self._state = state
        self._shown: set[str] = set()

    def show(self, order_id: str) -> None:
        """The list shows this order."""
        self._shown.add(order_id)

    async def gone(self) -> AsyncIterator[tuple[str, int]]:
        """The orders that were taken once, and are gone, each with what its address answers.

        Only to be asked once the whole list has been read to its end. One that is still there is asked for no more
        before it is shown again.
        """
        missing: list[str] = []
        async for ids in self._state.listed():
            missing += [order_id for order_id in ids if order_id not in self._shown]
            if len(missing) >= ASKED:
                break
        addresses = await self._state.addresses(missing)
        for order_id in missing[:ASKED]:
            try:
                url = order_address(self._options, order_id, addresses.get(order_id))
                answer = await self._api.send("GET", url, params=self._options.order_params)
            except PipelineError as error:  # the list was answered: it is this order, or can wait
                logger.debug("order {} is not in the list, and cannot be asked for: {}", order_id, error)
                continue
            if answer.status in GONE and answer.page_title is None:
                yield order_id, answer.status
            elif answer.is_success:
                await self._state.set_unlisted([order_id])
