"""Compose, Kubernetes, systemd and Grafana: what is run there is hardened, and what they name is there."""

import json
import re
import shutil
import subprocess
from configparser import RawConfigParser

import pytest
import yaml

from pipeline.service.environment import meant
from pipeline.service.settings import Settings
from tests.deploy.dockerfile import ROOT, environment

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = [
    manifest
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
]
DASHBOARD = (DEPLOY / "grafana/dashboards/workorder-sync.json").read_text()


def of_kind(kind):
    return [manifest for manifest in MANIFESTS if manifest["kind"] == kind]


def test_without_a_profile_there_is_a_mongodb_and_nothing_else():
    assert [name for name, service in COMPOSE["services"].items() if "profiles" not in service] == ["mongo"]
    assert COMPOSE["services"]["app"]["profiles"] == ["app"]
    assert {
        service["profiles"][0] for name, service in COMPOSE["services"].items() if name not in ("mongo", "app")
    } == {"monitoring"}


def test_all_that_is_published_is_published_to_this_machine_alone():
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_mongodb_is_a_replica_set_that_its_health_check_makes():
    mongo = COMPOSE["services"]["mongo"]
    name = mongo["command"][mongo["command"].index("--replSet") + 1]
    check = mongo["healthcheck"]["test"][-1]
    assert f"_id: '{name}'" in check
    assert "\n" not in check
    host = re.search(r"host: '([^']+)'", check)[1]
    assert f"{host}:27017" in mongo["ports"], "this machine must reach the member by the name that the set has for it"


def test_the_service_in_compose_is_locked_up_and_keeps_its_data():
    app = COMPOSE["services"]["app"]
    assert app["read_only"] is True
    assert app["cap_drop"] == ["ALL"]
    assert app["user"].endswith(":-10001:10001}")
    assert app["volumes"] == ["./data:/data"]
    assert app["environment"]["SERVE_HOST"] == environment()["SERVE_HOST"]
    assert "directConnection=true" in app["environment"]["MONGO_URI"]


def test_every_variable_for_compose_is_none_that_the_program_takes_for_a_mistaken_setting():
    text = (ROOT / "docker-compose.yml").read_text()
    known = [name.upper() for name in Settings.__struct_fields__]
    named = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert named
    assert {name: meant(name, known) for name in named} == dict.fromkeys(named)


def test_every_place_that_compose_and_grafana_name_is_there():
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    [job] = scraped["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["app:8080"]}]
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert {uid for uid in re.findall(r'"uid": "([^"]+)"', DASHBOARD) if uid != "workorder-sync"} == {source["uid"]}


def pods():
    return [
        *(one["spec"]["template"]["spec"] for one in of_kind("Deployment")),
        *(one["spec"]["jobTemplate"]["spec"]["template"]["spec"] for one in of_kind("CronJob")),
    ]


def test_pods_are_locked_up_and_hold_what_they_name():
    assert len(pods()) == 2
    claims = {one["metadata"]["name"] for one in of_kind("PersistentVolumeClaim")}
    maps = {one["metadata"]["name"] for one in of_kind("ConfigMap")}
    for pod in pods():
        assert pod["automountServiceAccountToken"] is False
        assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]) == (10001, True)
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
        named = [one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
        assert set(named) == claims
        named = [one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one]
        assert {*named, container["envFrom"][0]["configMapRef"]["name"]} == maps


def test_the_settings_of_pods_are_settings_and_lie_where_they_are_mounted():
    [settings] = [one["data"] for one in of_kind("ConfigMap") if "CLIENTS_FILE" in one["data"]]
    known = {name.upper() for name in Settings.__struct_fields__}
    assert {name.removesuffix("_FILE") for name in settings if name not in known} == {"MONGO_URI"}
    mounted = {mount["mountPath"] for pod in pods() for mount in pod["containers"][0]["volumeMounts"]}
    for name in ("CLIENTS_FILE", "MONGO_URI_FILE"):
        assert settings[name].rpartition("/")[0] in mounted


def test_the_service_is_probed_and_one_pod_alone_and_runs_never_overlap():
    [served] = of_kind("Deployment")
    assert served["spec"]["replicas"] == 1
    assert served["spec"]["strategy"] == {"type": "Recreate"}
    [container] = served["spec"]["template"]["spec"]["containers"]
    assert {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    labels = served["spec"]["template"]["metadata"]["labels"]
    assert served["spec"]["selector"]["matchLabels"].items() <= labels.items()
    [run] = of_kind("CronJob")
    assert run["spec"]["concurrencyPolicy"] == "Forbid"
    assert run["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_locked_up(path):
    unit = RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(path)
    service = unit["Service"]
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ReadWritePaths"] == service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    assert f"u {service['User']} 10001 " in (DEPLOY / "systemd/workorder-sync.sysusers").read_text()


@pytest.mark.slow
def test_systemd_understands_the_units_and_finds_them_safe(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    there = tmp_path / "python"
    there.write_text("#!/bin/sh\n")
    there.chmod(0o755)
    for path in (DEPLOY / "systemd").iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/workorder-sync/.venv/bin/python", str(there)))
    units = [str(tmp_path / path.name) for path in (*UNITS, DEPLOY / "systemd/workorder-sync-run.timer")]
    verified = subprocess.run(
        ["systemd-analyze", "verify", *units], check=False, capture_output=True, text=True, timeout=60
    )
    assert [line for line in verified.stderr.splitlines() if "workorder-sync" in line] == []
    for unit in units[:2]:
        looked = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit]
        assert subprocess.run(looked, check=False, capture_output=True, timeout=60).returncode == 0, unit


def expressions():
    dashboard = json.loads(DASHBOARD)
    queries = [variable["query"]["query"] for variable in dashboard["templating"]["list"]]
    return queries + [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_the_dashboard_asks_for_metrics_that_the_program_exports():
    metrics = pytest.importorskip("pipeline.service.metrics").Metrics()
    metrics.expect({"acme": ["inbound", "outbound"]})
    kinds = dict(re.findall(r"(?m)^# TYPE (\w+) (\w+)$", metrics.text().decode()))
    exported = {name for name, kind in kinds.items() if kind != "histogram"}
    exported |= {
        f"{name}_{part}" for name, kind in kinds.items() if kind == "histogram" for part in ("bucket", "sum", "count")
    }
    asked = {name for expression in expressions() for name in re.findall(r"workorder_sync_\w+", expression)}
    assert asked <= exported
    assert {name for name in kinds if name not in asked and f"{name}_bucket" not in asked} == set(), "shown by no panel"


def test_the_dashboard_groups_by_labels_that_there_are():
    labels = {"client", "flow", "outcome", "side", "le"}
    for expression in expressions():
        for grouped in re.findall(r"by \(([^)]*)\)", expression):
            assert set(grouped.split(", ")) <= labels
