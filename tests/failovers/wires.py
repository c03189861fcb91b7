"""A loopback proxy before each member of a replica set, that knows who calls, and cuts, stalls, or loses replies."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

CLIENT = None
"""Who calls when it is no member."""

CHUNK = 256 * 1024
A_WRITE = 4096
"""Bytes of a request that is surely no heartbeat."""


class Wires:
    """Doors to members that listen on ``ports``; ``pids`` tells the members' processes, None for one that is dead."""

    def __init__(self, ports: Sequence[int], pids: Callable[[], Sequence[int | None]]) -> None:
        self._ports = ports
        self._pids = pids
        self._silent: set[tuple[int | None, int]] = set()
        self._closed: set[tuple[int | None, int]] = set()
        self._open: dict[asyncio.Task[None], tuple[int | None, int]] = {}
        self._replies_to_lose = 0
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in ports]
        self.doors: list[int] = [listener.getsockname()[1] for listener in self._listeners]
        for number, listener in enumerate(self._listeners):
            listener.setblocking(False)
            self._loop.add_reader(listener, self._accept, number, listener)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def silence(self, wires: Iterable[tuple[int | None, int]]) -> None:
        """From now on nothing passes between these pairs of caller and member; neither of them is told."""
        self._do(self._set(self._silent, set(wires)))

    def close(self, wires: Iterable[tuple[int | None, int]]) -> None:
        """From now on these callers have their connections to these members ended, and get no other."""
        self._do(self._set(self._closed, set(wires)))

    def mend(self) -> None:
        """All goes through again, also what was held back."""
        self._do(self._set(self._silent, set()))
        self._do(self._set(self._closed, set()))

    def lose_replies(self, count: int) -> None:
        """Of the next ``count`` writes of clients that reach a member, the connection ends in place of the reply."""
        self._replies_to_lose = count

    @property
    def still_to_lose(self) -> int:
        """How many replies are not lost yet."""
        return self._replies_to_lose

    def stop(self) -> None:
        """End all connections, and listen no more."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _end(self):
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _set(self, kind, wires):
        kind.clear()
        kind.update(wires)
        self._changed.set()
        self._changed = asyncio.Event()
        for task, wire in self._open.items():
            if wire in self._closed:
                task.cancel()

    def _accept(self, member, listener):
        """Take the next caller; nothing is awaited here, so that whatever is accepted is closed in the end."""
        try:
            caller, (_, port) = listener.accept()
        except OSError:
            return
        wire = (self._caller(port), member)
        if wire in self._closed:
            caller.close()
            return
        task = self._loop.create_task(self._serve(wire, caller))
        self._open[task] = wire
        task.add_done_callback(lambda task: (self._open.pop(task), caller.close()))  # also of one that never began

    async def _serve(self, wire, caller):
        with contextlib.suppress(OSError), socket.socket() as member:
            for end in (caller, member):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._may_pass(wire)
            await self._loop.sock_connect(member, ("127.0.0.1", self._ports[wire[1]]))
            await self._join(wire, caller, member)

    async def _join(self, wire, caller, member):
        asked = [0]
        pumps = [
            self._loop.create_task(self._pump(wire, caller, member, lambda size: self._ask(asked, size))),
            self._loop.create_task(self._pump(wire, member, caller, lambda size: self._answer(wire, asked))),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, wire, source, to, sees):
        """Hand on what comes, until the end or until ``sees`` says that this is it."""
        while data := await self._loop.sock_recv(source, CHUNK):
            await self._may_pass(wire)
            if sees(len(data)):
                return
            await self._loop.sock_sendall(to, data)

    def _ask(self, asked, size):
        asked[0] += size
        return False

    def _answer(self, wire, asked):
        """Whether this reply is one to lose."""
        size, asked[0] = asked[0], 0
        if wire[0] is not CLIENT or size < A_WRITE or not self._replies_to_lose:
            return False
        self._replies_to_lose -= 1
        return True

    async def _may_pass(self, wire):
        while wire in self._silent:
            await self._changed.wait()

    def _caller(self, port):
        """The member whose process has the other end of the connection from ``port``."""
        inode = _inode(port)
        for number, pid in enumerate(self._pids()):
            if pid is not None and inode is not None and _has_socket(pid, inode):
                return number
        return CLIENT


def _inode(port: int) -> str | None:
    """Of the socket of this machine that calls from ``port``. Source: proc(5), /proc/net/tcp."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, here, *rest = line.split()
        if here.endswith(f":{port:04X}"):
            return rest[7]
    return None


def _has_socket(pid: int, inode: str) -> bool:
    with contextlib.suppress(OSError):  # it is gone by now
        return f"socket:[{inode}]" in map(_target, list(Path(f"/proc/{pid}/fd").iterdir()))
    return False


def _target(link: Path) -> str:
    """What a link points to; nothing where it is gone by now."""
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""
