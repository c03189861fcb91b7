import pytest

from tests.service.engines.cluster import Cluster


@pytest.fixture
def cluster(tmp_path):
    """A scheduler of the test's own, without workers yet."""
    cluster = Cluster(tmp_path / "cluster")
    yield cluster
    cluster.end()
