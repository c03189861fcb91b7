"""The same with faults that the system makes: a file system that is full, files that may not grow, no descriptors."""

import shlex
import subprocess
import sys

import pytest

from tests.faults.play import Story
from tests.faults.world import SCENARIOS, World
from tests.plant import ROOT

pytestmark = pytest.mark.slow

LIMITED = """\
import resource, sys
sys.dont_write_bytecode = True  # or half of it stays for others to trip over
resource.setrlimit(resource.{what}, ({limit}, {limit}))
from pipeline.cli import program
sys.exit(program())
"""

ON_A_FULL_DISK = """\
set -e
mount -t tmpfs -o size=64m none {home}
cp -a {template}/. {home}
full=$(df --output=used -B1024 {home} | tail -1)
mount -o remount,size=$((full + {room}))k {home}
cd {home}
{python} -m pipeline {arguments} >{out}/out 2>{out}/err || echo $? >{out}/code
mount -o remount,size=64m {home}
{python} -m pipeline {arguments} || true
{python} -m pipeline run
cp -a {home}/. {out}/after
"""


@pytest.fixture(params=["run", "rest"])
def world(request, tmp_path, mongo_uri, database_name):
    """A command that writes, and all that it needs."""
    world = World(tmp_path, mongo_uri, database_name, SCENARIOS[request.param])
    yield world
    world.close()


def check(world, story, code, err):
    assert "Traceback" not in err
    assert "unexpected" not in err
    assert code in (*world.scenario.wants, 0, 1), err
    assert story.broken() == []


def limited(world, what, limit):
    """The command in a process of its own, with less than it needs."""
    script = world.plant.home / "limited.py"
    script.write_text(LIMITED.format(what=what, limit=limit))
    process = world.plant.start(str(script), *world.arguments, MONGO_RETRY_SECONDS=1)
    _, err = process.communicate(timeout=120)
    script.unlink()
    return process.returncode, err


@pytest.mark.parametrize(("what", "limits"), [("RLIMIT_FSIZE", (0, 700, 20_000)), ("RLIMIT_NOFILE", (12, 20))])
def test_a_limit_of_the_process(world, what, limits):
    story = Story(world)
    for limit in limits:
        world.begin()
        check(world, story, *limited(world, what, limit))
        world.finish()
        assert story.differences() == []


def test_a_file_system_that_is_full(world, tmp_path):
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("nobody may mount here")
    story = Story(world)
    for room in (0, 40):
        world.begin()
        out = tmp_path / f"room-{room}"
        out.mkdir()
        script = ON_A_FULL_DISK.format(
            home=world.plant.home,
            template=world.template,
            room=room,
            python=f"PYTHONPATH={ROOT} {sys.executable} -W error",
            arguments=shlex.join(world.arguments),
            out=out,
        )
        environ = world.plant.environ | {"TMPDIR": str(world.plant.home / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(["unshare", "-rm", "sh", "-c", script], check=True, env=environ, stdout=subprocess.DEVNULL)
        code = int((out / "code").read_text()) if (out / "code").exists() else 0
        err = (out / "err").read_text()
        world.take(out / "after")
        assert "Traceback" not in err
        assert "unexpected" not in err
        assert code in (*world.scenario.wants, 0) or "No space left" in err or "is full" in err, err
        assert story.differences() == []
