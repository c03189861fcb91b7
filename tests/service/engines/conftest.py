import shutil
import threading
from pathlib import Path

import pytest

from pipeline.service import engines
from pipeline.service.lanes.worker import Worker
from tests.service.engines.cluster import Cluster


@pytest.fixture
def cluster(tmp_path):
    """A scheduler of the test's own, without workers yet."""
    cluster = Cluster(tmp_path / "cluster")
    yield cluster
    cluster.end()


@pytest.fixture
def threads(tmp_path, monkeypatch):
    """The address of one more engine, which is added by adding a file."""
    folder = tmp_path / "engines"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("threads.py"), folder)
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(folder)])
    return "threads://"


@pytest.fixture
def parts(tmp_path):
    """The address of a folder of parts, at which two threads work."""
    folder = tmp_path / "parts"
    workers = [Worker(folder) for _ in range(2)]
    threads = [threading.Thread(target=worker.work) for worker in workers]
    for thread in threads:
        thread.start()
    yield f"parts://{folder}"
    for worker in workers:
        worker.stop()
    for thread in threads:
        thread.join()


@pytest.fixture(params=["threads", "parts"])
def engine(request):
    """The address of each engine that is there without anything else."""
    return request.getfixturevalue(request.param)
