"""Whether MongoDB answers now, asked time and again over one connection."""

import asyncio
from typing import Final

from pipeline.errors import Fatal
from pipeline.tracos.connection import Connection

__all__ = ["Probe"]

PATIENCE_SECONDS: Final = 2.0
"""How long an answer is waited for: whoever asks for it waits too."""


class Probe:
    """Asks the MongoDB at an address whether it is there; whoever asks meanwhile is told the same."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._uri = ""
        self._asking: asyncio.Task[str | None] | None = None

    async def why_away(self, uri: str) -> str | None:
        """None where the MongoDB at ``uri`` answers now, else why it does not. Of one address after the other."""
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask(uri))
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Give the connection back."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await self._forget()

    def _asked(self, _: "asyncio.Task[str | None]") -> None:
        self._asking = None

    async def _ask(self, uri: str) -> str | None:
        try:
            connection = await self._connected(uri)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await connection.ride_out(lambda: connection.collection.database.command("ping"))
        except Fatal as error:
            return str(error)
        except TimeoutError:
            await self._forget()  # what hangs may hang for long: the next one begins anew
            return f"MongoDB has not answered for {PATIENCE_SECONDS:g} s"
        return None

    async def _connected(self, uri: str) -> Connection:
        if uri != self._uri:
            await self._forget()
        if self._connection is None:
            connection = Connection(uri, "ping", "ping", 0)
            await connection.open()
            self._connection, self._uri = connection, uri
        return self._connection

    async def _forget(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
