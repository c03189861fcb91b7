"""A run with an engine is a run: the same orders, letters, decisions and counts, whatever ends whom meanwhile."""

import pytest

from pipeline.transports.folder import source as folder_source
from tests.service.lanes.test_lanes import clear, documents, everything, fill


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_a_run_with_an_engine_does_what_a_run_without_does(plant, cluster, monkeypatch, seed):
    for _ in range(2):
        cluster.worker()
    monkeypatch.setattr(folder_source, "GROUP", 7)
    fill(plant, seed)
    alone = everything(plant, plant.command("run", "--json"))
    clear(plant)
    code, out, err = plant.ask("run", "--json", "--engine", cluster.url)
    assert code == 0, err + cluster.logs()
    assert everything(plant, out) == alone
    assert documents(plant), "there is something to compare"
    before = plant.state()
    plant.command("run", "--engine", cluster.url)
    assert plant.state() == before, "an idle run writes nothing"
