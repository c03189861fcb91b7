"""The service as the image runs it: uid 10001, nothing but its data to write to, and only what the image holds."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from pymongo import MongoClient

from tests.deploy.dockerfile import ROOT, command, environment
from tests.mongo import ReplicaSet, free_port, until

UID = 10001

JAIL = f"""\
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
while read -r _ place _; do
    case "$place" in "$1" | /proc* | /sys* | /dev*) ;; *) mount -o remount,bind,ro "$place" ;; esac
done < /proc/self/mounts
shift
exec setpriv --reuid {UID} --regid {UID} --clear-groups --no-new-privs \\
    --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search "$@"
"""
"""Everything is read-only but $1. May read everything: where Python and the tests lie here may be root's own."""


def jailed(data, *words, **options):
    return subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", JAIL, "sh", str(data), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture
def image(tmp_path):
    """A folder like the image's root: ``app`` and ``data``."""
    tried = shutil.which("unshare") and subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True)
    if os.getuid() != 0 or not shutil.which("setpriv") or not tried or tried.returncode:
        pytest.skip("needs root, unshare and setpriv")
    shutil.copytree(ROOT / "pipeline", tmp_path / "app/pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "deploy/ready.py", tmp_path / "app")
    tmp_path.chmod(0o755)  # as the image's root
    (tmp_path / "data/inbound").mkdir(parents=True)
    os.chown(tmp_path / "data", UID, UID)
    os.chown(tmp_path / "data/inbound", UID, UID)
    return tmp_path


@pytest.fixture
def mongo(tmp_path_factory):
    """A replica set of one, asked directly, as in docker-compose.yml."""
    members = ReplicaSet(tmp_path_factory.mktemp("m"), kinds=("data",))
    try:
        yield members.start().uri.partition("?")[0] + "?directConnection=true"
    finally:
        members.kill()


@pytest.mark.slow
def test_the_place_is_read_only_but_for_the_data(image):
    script = f"id -u; touch {image}/x; touch {image}/app/pipeline/x; touch /tmp/x; touch {image}/data/x"
    out, err = jailed(image / "data", "sh", "-c", script).communicate(timeout=60)
    assert out == f"{UID}\n"
    assert err.count("Read-only file system") == 3
    assert (image / "data/x").stat().st_uid == UID


@pytest.mark.slow
def test_the_service_needs_nothing_but_its_data(image, mongo):
    port = free_port()
    environ = environment() | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(image / "app"),
        "SERVE_PORT": str(port),
        "SERVE_EVERY": "1s",
        "MONGO_URI": mongo,
        "INBOUND_QUIET_SECONDS": "0",
    }
    with MongoClient(mongo) as client:
        orders = client.tractian.workorders
        process = jailed(image / "data", sys.executable, *command(), cwd=image, env=environ)
        try:
            record = {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "title": "Pump"}
            (image / "data/inbound/1.json").write_text(json.dumps(record))
            until(lambda: orders.count_documents({"number": 1}) or process.poll() is not None)
            orders.update_one({}, {"$set": {"title": "edited", "isSynced": False}})
            until(lambda: (image / "data/outbound/1.json").exists() or process.poll() is not None)
            asked = [sys.executable, str(image / "app/ready.py")]
            ready = subprocess.run(asked, env=environ, check=False, capture_output=True, text=True, timeout=30)
            assert (ready.returncode, ready.stdout + ready.stderr) == (0, "")
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
            sys.stdout.writelines(process.communicate())
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert {path.stat().st_uid for path in (image / "data").rglob("*") if path.name != "1.json"} == {UID}
    assert (image / "data/outbound/1.json").stat().st_uid == UID
    gone = subprocess.run(asked, env=environ, check=False, capture_output=True, text=True, timeout=30)
    assert gone.returncode == 1
    assert "does not answer" in gone.stdout
