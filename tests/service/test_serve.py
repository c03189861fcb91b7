"""The service over many passes: nothing grows with them."""

import gc
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from pipeline.flows import FLOWS
from pipeline.service import serve, triggers
from pipeline.service.serve import Service
from pipeline.service.settings import load
from pipeline.service.sync import Sync

PASSES = int(os.environ.get("SERVE_PASSES", "400"))


LOOKS = 10
"""After so many passes in a row the process is looked at: what one has open while another ends is no leak."""


class Size:
    """What a process has at least, of several looks."""

    def __init__(self):
        self.kilobytes = self.files = self.threads = sys.maxsize

    def look(self):
        gc.collect()
        status = Path("/proc/self/status").read_text()
        self.kilobytes = min(self.kilobytes, int(status.partition("VmRSS:")[2].split()[0]))
        self.files = min(self.files, len(list(Path("/proc/self/fd").iterdir())))
        self.threads = min(self.threads, threading.active_count())


@pytest.mark.slow
def test_a_service_of_many_passes_is_as_small_as_one_of_100(plant, monkeypatch):
    monkeypatch.setattr(serve, "_seconds", lambda every: 0.0)
    monkeypatch.setattr(triggers, "QUIET_SECONDS", 0.0)
    monkeypatch.chdir(plant.home)
    plant.put("a.json", {"id": 0, "status": "NEW", "createdAt": "2026-10-01"})
    settings = load({**plant.environ, "LEASE_SECONDS": "5"}, plant.home / ".env")
    early, late, ends = Size(), Size(), []

    async def after(client, ended):
        ends.append(ended.exit)
        if 100 - LOOKS < len(ends) <= 100:
            early.look()
        if len(ends) > PASSES - LOOKS:
            late.look()
        if len(ends) == PASSES:
            service.stop()
        elif len(ends) % 50 == 0:  # sometimes there is something to do
            path = plant.inbound / "a.json"
            path.write_text(json.dumps({"id": len(ends), "status": "NEW", "createdAt": "2026-10-01"}))
            os.utime(path, (1_760_000_000 + len(ends),) * 2)

    service = Service(settings, lambda: settings, lambda settings: Sync(settings, FLOWS), after)
    service.to_the_end()
    assert set(ends) == {0}
    assert plant.orders.count_documents({}) == PASSES // 50
    assert late.files <= early.files + 5  # the driver's pools breathe; one that leaks would have hundreds
    assert late.threads <= early.threads + 2
    assert late.kilobytes <= early.kilobytes + 5 * 1024


def test_whatever_a_pass_raises_is_told_and_the_client_is_served_again(plant, monkeypatch, log):
    monkeypatch.setattr(serve, "_seconds", lambda every: 0.01)
    monkeypatch.setattr(triggers, "QUIET_SECONDS", 0.0)
    monkeypatch.chdir(plant.home)
    settings = load(plant.environ, plant.home / ".env")
    odd = [LookupError("nobody thought of this"), OSError("nor of that")]

    def work(settings):
        if odd:
            raise odd.pop()
        return Sync(settings, FLOWS)

    async def after(client, ended):
        service.stop()

    service = Service(settings, lambda: settings, work, after, lambda settings: ())
    service.to_the_end()
    assert [line for line in log if "stopped by an unexpected LookupError" in line]
    assert service.states["erp_json"].succeeded
