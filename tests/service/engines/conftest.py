import shutil
from pathlib import Path

import pytest

from pipeline.service import engines
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
