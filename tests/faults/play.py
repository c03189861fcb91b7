"""One fault in one command: what must hold right after it, and in the end."""

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.faults.disk import FAULTS, Disk, Fault, Operation
from tests.faults.world import World

TOLD_BY = (0, 1, 2, 3, 4)
"""The exit codes of a command that a fault has met: done all the same, stopped, wrong settings, letters left."""


class Story:
    """Faults in the command of one world, and the world as it is in the end where there was none."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.begin()
        self.before = world.picture()
        with Disk(world.plant.home) as disk:
            code, out, err = world.ask()
        assert code in world.scenario.wants, out + err
        self.operations = disk.operations
        """All that the command does where nothing fails."""
        self.right_after = world.picture()
        world.finish()
        self.end = world.picture()

    def count(self, fault: str) -> int:
        """How many operations the fault may befall."""
        return sum(operation.kind in FAULTS[fault].kinds for operation in self.operations)

    def play(self, fault: str, at: int, *, idle: bool = True) -> tuple[Operation | None, list[str]]:
        """Let it fail at the operation ``at``; which one failed, and all that is wrong then."""
        world = self.world
        world.begin()
        with Disk(world.plant.home, FAULTS[fault], at) as disk:
            code, out, err = world.ask()
        if disk.hit is None:
            return None, []
        wrong = [*_wrongly_told(code, err, FAULTS[fault]), *self.broken()]
        try:
            world.finish()
            wrong += self.differences()
            if idle:
                before = world.plant.state()
                world.plant.command("run")
                wrong += ["an idle run writes"] if world.plant.state() != before else []
        except AssertionError as error:
            wrong.append(f"on a disk that is well again: {error}")
        return disk.hit, [f"{one}\n{out}{err}" if "\n" not in one else one for one in wrong]

    def differences(self) -> list[str]:
        """What is not now as it is in the end where no fault was met."""
        return list(_differences(self.end, self.world.picture()))

    def broken(self) -> list[str]:
        """What is lost or half there right after the fault."""
        return list(self._broken())

    def _broken(self) -> Iterator[str]:
        now = self.world.picture()
        marked = {f"{number}.json" for number, one in now["documents"].items() if one.get("isSynced")}
        missing = marked & self.right_after["sent"].keys() - self.before["sent"].keys() - now["sent"].keys()
        if missing:
            yield f"marked, and without a file: {missing}"
        for name, body in now["sent"].items():
            if name.endswith((".json", ".csv")) and not _is_whole(name, body):
                yield f"half a file: {name}"
        lost = set(self.before["inbound"].values()) - set(now["inbound"].values())
        taken = set(self.before["inbound"].values()) - set(self.right_after["inbound"].values())
        if lost - taken:
            yield f"files of the client are lost: {lost}"


def _is_whole(name: str, body: bytes) -> bool:
    try:
        return body.endswith(b"\n") and (name.endswith(".csv") or bool(msgspec.json.decode(body)))
    except msgspec.DecodeError:
        return False


def _wrongly_told(code: int, err: str, fault: Fault) -> Iterator[str]:
    if code not in TOLD_BY:
        yield f"exit code {code}"
    if "Traceback" in err or "unexpected" in err:
        yield "not one clear line"
    errors = [line for line in err.splitlines() if " ERROR " in line]
    if code == 1 and not any(_says(line, fault.code) for line in errors):
        yield "no line says why"
    if code == 1 and len(errors) > 1 + (fault.lasts and "the journal" in errors[-1]):
        yield "more than one line says why"


def _says(line: str, errno: int) -> bool:
    words = (os.strerror(errno), "disk is full", "disk I/O error", "unable to open database file", "readonly database")
    return any(word in line for word in words)


def _differences(wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """What is not as it is where no fault was met; what was told once more on the way there is no difference.

    A limit: of a file of lines that broke off at its very end, the letter about the place behind it stays for a person.
    """
    left = {place: one for place, one in found["letters"].items() if not (one[0] == "read" and ":" in place)}
    found = {**found, "letters": left}
    for kind in ("documents", "inbound", "letters", "erp"):
        if found[kind] != wanted[kind]:
            yield f"{kind}: wanted {_but(wanted[kind], found[kind])}, found {_but(found[kind], wanted[kind])}"
    for kind in ("sent", "gave way"):
        if missing := set(wanted[kind]) - set(found[kind]):
            yield f"{kind}: {missing} are missing"
    for name, body in found["sent"].items():
        title = found["documents"].get(int(name.partition(".")[0]), {}).get("title", "")
        if title.encode() not in body:
            yield f"sent: {name} does not say what the document does"
    closed = [one for one in found["closed"] if one[1] != "read"]  # those were open for a moment
    if closed != wanted["closed"]:
        yield f"closed: wanted {wanted['closed']}, found {closed}"


def _but(one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in one.items() if other.get(key) != value}
