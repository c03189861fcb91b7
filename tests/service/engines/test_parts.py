"""Runs and workers that meet in a folder: whoever is killed, frozen or gone, no record is lost and none taken twice."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from pipeline.errors import Fatal, WrongSettings
from pipeline.service.engines import parts as engine
from pipeline.service.lanes import parts
from pipeline.service.lanes.engine import Lost
from pipeline.service.lanes.parts import PartsOfRun, WorkerAtParts
from pipeline.service.lanes.worker import Worker
from pipeline.transports.folder import source as folder_source
from tests.mongo import until
from tests.service.lanes.compared import clear, documents, fill, letters

QUICK = "from pipeline.service.lanes import worker; worker.BEAT_SECONDS = 0.2; from pipeline.cli import main; main()"


@pytest.fixture
def quick(monkeypatch):
    """Whoever is silent is given up soon."""
    for module in (parts, engine):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 2)


@pytest.fixture
def run(tmp_path):
    run = PartsOfRun(tmp_path / "parts")
    run.open()
    yield run
    run.close()


@pytest.fixture
def worker(tmp_path, run):
    worker = WorkerAtParts(tmp_path / "parts")
    worker.open()
    yield worker
    worker.close()


def age(*paths, seconds=100):
    for path in paths:
        at = path.stat().st_mtime - seconds
        os.utime(path, (at, at))


def taken_by(worker):
    [folder] = worker.runs()
    return worker.take(folder)


async def until_there(home):
    """Wait until a part lies there."""
    await asyncio.to_thread(until, lambda: list((home / "parts").glob("*.run/*.part")))


def start(plant, *arguments):
    """A worker in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", QUICK, "work", str(plant.home / "parts"), *arguments],
        env=plant.environ,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestTheFolder:
    def test_what_is_laid_down_is_taken_in_order_and_answered(self, run, worker):
        for number in range(3):
            run.put(number, b"%d" % number)
        assert run.answers() == {}
        for number in range(3):
            worker.answer(taken := taken_by(worker), taken.body * 2)
            assert run.answers() == {number: b"%d" % number * 2}
        assert taken_by(worker) is None
        assert run.answers() == {}

    def test_each_is_taken_once(self, run, tmp_path):
        for number in range(200):
            run.put(number, b"%d" % number)
        begun, had = threading.Barrier(4), []

        def work():
            worker = WorkerAtParts(tmp_path / "parts")
            worker.open()
            begun.wait()
            while (taken := taken_by(worker)) is not None:
                had.append(int(taken.body))
            worker.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(had) == list(range(200))

    def test_what_is_withdrawn_nobody_takes(self, run, worker):
        run.put(1, b"")
        run.withdraw(1)
        run.withdraw(1)
        assert taken_by(worker) is None

    def test_a_worker_that_is_silent_has_lost_what_it_had(self, run, worker):
        run.put(7, b"")
        taken = taken_by(worker)
        assert run.lost() == {}
        age(taken.path)
        worker.beat()
        assert run.lost() == {}, "it has said that it is there"
        age(taken.path)
        assert run.lost() == {7: worker.name}
        assert run.lost() == {}
        worker.beat()
        worker.answer(taken, b"late")
        assert run.answers() == {7: b"late"}

    def test_who_works_there_is_counted(self, run, worker, tmp_path):
        assert run.workers() == 1
        age(tmp_path / "parts" / f"{worker.name}.worker")
        assert run.workers() == 0

    def test_what_a_killed_run_has_laid_down_is_worked_by_nobody(self, run, worker, tmp_path):
        run.put(1, b"it holds a password")
        [folder] = worker.runs()
        age(folder / "alive")
        assert worker.runs() == []
        assert not folder.exists()

    def test_a_run_clears_away_what_others_have_left(self, run, worker, tmp_path):
        age(tmp_path / "parts" / f"{worker.name}.worker", *(tmp_path / "parts").glob("*.run/alive"))
        another = PartsOfRun(tmp_path / "parts")
        another.open()
        assert len(list((tmp_path / "parts").iterdir())) == 1
        another.close()
        assert list((tmp_path / "parts").iterdir()) == []

    def test_a_run_that_is_over_is_told_nothing(self, run, worker):
        run.put(1, b"")
        taken = taken_by(worker)
        run.close()
        worker.answer(taken, b"")
        assert worker.runs() == []

    def test_only_its_owner_sees_what_lies_there(self, run, tmp_path):
        run.put(1, b"")
        for path in (tmp_path / "parts").rglob("*"):
            assert path.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize("end", [PartsOfRun, WorkerAtParts])
    def test_a_folder_that_others_may_write_to_is_refused(self, tmp_path, end):
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        with pytest.raises(Fatal, match="others may write to"):
            end(tmp_path / "open").open()
        (tmp_path / "file").touch()
        with pytest.raises(Fatal, match="cannot be made: Not a directory"):
            end(tmp_path / "file" / "parts").open()


class TestTheEngine:
    async def test_a_worker_that_is_silent_is_lost(self, tmp_path, quick):
        async with engine.PartsEngine(tmp_path / "parts") as one:
            worker = WorkerAtParts(tmp_path / "parts")
            worker.open()
            answer = asyncio.ensure_future(one.submit(b""))
            await until_there(tmp_path)
            assert taken_by(worker) is not None
            with pytest.raises(Lost, match=f"worker {worker.name}"):
                await answer
            worker.close()

    async def test_where_nobody_works_that_is_told(self, tmp_path, quick):
        async with engine.PartsEngine(tmp_path / "parts") as one:
            with pytest.raises(Fatal, match=f"nobody has worked at {tmp_path}/parts for 2 seconds: start `work "):
                await one.submit(b"")
            with pytest.raises(Fatal, match="nobody has worked"):
                await one.submit(b"")

    async def test_whoever_does_not_wait_any_more_takes_the_errand_back(self, tmp_path):
        async with engine.PartsEngine(tmp_path / "parts") as one:
            answer = asyncio.ensure_future(one.submit(b""))
            await until_there(tmp_path)
            answer.cancel()
            await asyncio.wait([answer])
            assert list((tmp_path / "parts").glob("*.run/*.part")) == []

    async def test_a_folder_that_goes_away_ends_it(self, tmp_path):
        async with engine.PartsEngine(tmp_path / "parts") as one:
            answer = asyncio.ensure_future(one.submit(b""))
            await until_there(tmp_path)
            shutil.rmtree(tmp_path / "parts")
            for submitted in (answer, one.submit(b"")):
                with pytest.raises(Fatal, match="cannot be used any more"):
                    await submitted

    async def test_what_nobody_expects_there_keeps_nobody_waiting(self, tmp_path):
        async with engine.PartsEngine(tmp_path / "parts") as one:
            answer = asyncio.ensure_future(one.submit(b""))
            await until_there(tmp_path)
            [folder] = (tmp_path / "parts").glob("*.run")
            (folder / "mine.answer").touch()
            with pytest.raises(Fatal, match=r"cannot be used any more \(ValueError\)"):
                await answer

    @pytest.mark.parametrize("url", ["parts://", "parts://here", "parts://./here"])
    def test_an_address_that_is_no_whole_path_is_told(self, url):
        with pytest.raises(WrongSettings, match="expected parts:///FOLDER"):
            engine.connect(url)


def test_workers_are_processes_that_end_when_they_are_told_to(plant):
    worker = start(plant)
    fill(plant, 1, records=60)
    alone = json.loads(plant.command("run", "--only", "inbound", "--json"))
    expected = documents(plant), letters(plant)
    clear(plant)
    out = json.loads(plant.command("run", "--only", "inbound", "--json", "--engine", f"parts://{plant.home}/parts"))
    assert (documents(plant), letters(plant)) == expected
    assert [flow["read"] for flow in out["flows"]] == [flow["read"] for flow in alone["flows"]]
    assert [path.suffix for path in (plant.home / "parts").iterdir()] == [".worker"]
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert err.endswith("/parts: 1 group\n")
    assert list((plant.home / "parts").iterdir()) == []


def test_a_worker_ends_by_itself_where_there_is_no_run(plant):
    code, _, err = plant.ask("work", str(plant.home / "parts"), "--idle", "0")
    assert code == 0
    assert "worked at" in err
    assert list((plant.home / "parts").iterdir()) == []


def test_what_a_worker_has_in_hand_is_done_before_it_ends(tmp_path, run, monkeypatch):
    worker = Worker(tmp_path / "parts")

    def told_to_end(body):
        worker.stop()
        return body * 2

    monkeypatch.setattr("pipeline.service.lanes.errand.run", told_to_end)
    for number in (1, 2):
        run.put(number, b"%d" % number)
    assert worker.work() == 1
    assert run.answers() == {1: b"11"}
    assert run.workers() == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_gone_loses_nothing(plant, quick, monkeypatch, how):
    monkeypatch.setattr(folder_source, "GROUP", 50)
    fill(plant, 1, records=6000, orders=5000)
    alone = json.loads(plant.command("run", "--only", "inbound", "--json"))
    expected = documents(plant), letters(plant)
    clear(plant)
    workers = [start(plant) for _ in range(2)]

    def end():
        until(lambda: plant.orders.estimated_document_count() > 500)
        workers[0].send_signal(how)

    ending = threading.Thread(target=end)
    ending.start()
    code, out, err = plant.ask("run", "--only", "inbound", "--json", "--engine", f"parts://{plant.home}/parts")
    ending.join()
    assert code == 0, err
    workers[0].send_signal(signal.SIGCONT)
    for worker in workers:
        worker.terminate()
        worker.communicate(timeout=60)
    assert documents(plant) == expected[0]
    # A letter that a later record was about to close, when its worker was killed, stays for a person.
    assert letters(plant).items() >= expected[1].items()
    assert [flow["read"] for flow in json.loads(out)["flows"]] == [flow["read"] for flow in alone["flows"]]
