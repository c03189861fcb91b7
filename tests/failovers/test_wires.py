"""The proxy itself: it hands on what comes, and whatever it is in the middle of, it ends with nothing left open."""

import contextlib
import gc
import socket
import threading

import pytest

from tests.failovers.wires import CLIENT, Wires

LARGE = bytes(1_000_000)


@pytest.fixture
def member():
    """The port of one that says again what it is told."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Thread(target=_repeat, args=(listener,))
    ended.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    ended.join()
    listener.close()


def _repeat(listener):
    with contextlib.suppress(OSError):
        while True:
            caller, _ = listener.accept()
            threading.Thread(target=_repeat_to, args=(caller,)).start()


def _repeat_to(caller):
    with caller, contextlib.suppress(OSError):
        while data := caller.recv(65536):
            caller.sendall(data)


def call(door, data, *, ended=None):
    """Say it, and hear it again, over and over where it is not ``ended``."""
    while ended is None or not ended.is_set():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", door), timeout=5) as caller:
            caller.sendall(data)
            left = len(data)
            while left and (heard := caller.recv(65536)):
                left -= len(heard)
            if ended is None:
                return left == 0
    return False


def test_what_comes_is_handed_on_until_the_wire_is_closed(member):
    wires = Wires([member], lambda: [None])
    assert call(wires.doors[0], LARGE)
    wires.close({(CLIENT, 0)})
    with socket.create_connection(("127.0.0.1", wires.doors[0]), timeout=5) as caller:
        assert caller.recv(1) == b""
    wires.mend()
    assert call(wires.doors[0], LARGE)
    wires.stop()


def test_nothing_is_left_open_by_an_end_in_the_middle_of_all(member, caplog):
    for _ in range(3):
        ended = threading.Event()
        wires = Wires([member, 1], lambda: [None, 999_999_999])  # nobody listens on port 1, and that process is gone
        callers = [
            threading.Thread(target=call, args=(door, LARGE), kwargs={"ended": ended}) for door in wires.doors * 4
        ]
        for caller in callers:
            caller.start()
        assert call(wires.doors[0], LARGE)
        wires.silence({(CLIENT, 0)})
        wires.mend()
        wires.stop()
        ended.set()
        for caller in callers:
            caller.join()
    gc.collect()  # what is open still warns, and a warning is an error here
    assert caplog.text == ""
