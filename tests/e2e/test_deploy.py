"""deploy/docker, kubernetes and systemd: linted, and true of the server that they start."""

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fletching._keygen import new_key
from pull_node import until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
MANIFESTS = [
    DEPLOY / "kubernetes" / name
    for name in ("configmap.yaml", "service.yaml", "statefulset.yaml", "poddisruptionbudget.yaml")
]

REPLICAS = [
    DEPLOY / "kubernetes/replicas" / name
    for name in ("configmap.yaml", "service.yaml", "deployment.yaml", "poddisruptionbudget.yaml")
]


def run(*command, **options) -> str:
    """What it prints; it has to succeed."""
    ended = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def documents() -> list[dict]:
    paths = MANIFESTS + REPLICAS
    return [d for path in paths for d in yaml.safe_load_all(path.read_text())]


def document(kind: str, name: str = "fletching") -> dict:
    return next(d for d in documents() if (d["kind"], d["metadata"]["name"]) == (kind, name))


def container() -> dict:
    return document("StatefulSet")["spec"]["template"]["spec"]["containers"][0]


def replica() -> dict:
    return document("Deployment", "fletching-replica")["spec"]["template"]


def test_the_dockerfile_is_clean():
    assert run(BIN / "hadolint", DEPLOY / "docker/Dockerfile") == ""
    for script in (DEPLOY / "docker").glob("*.sh"):
        run("bash", "-n", script)
        assert script.stat().st_mode & 0o111, script


def test_yaml_is_clean():
    rules = "{line-length: {max: 120}, document-start: disable, comments: disable}"
    print(run(BIN / "yamllint", "-s", "-d", f"{{extends: default, rules: {rules}}}", DEPLOY))


def test_manifests_fit_the_schemas_of_kubernetes():
    run(BIN / "kubernetes-validate", "--strict", *MANIFESTS, *REPLICAS)
    for folder, manifests in (("kubernetes", MANIFESTS), ("kubernetes/replicas", REPLICAS)):
        kustomization = yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text())
        assert kustomization["resources"] == [path.name for path in manifests]
        in_folder = {path.name for path in (DEPLOY / folder).iterdir() if path.is_file()}
        assert in_folder == {path.name for path in manifests} | {"kustomization.yaml"}


def test_replicas_are_pods_like_the_writer():
    """All but where they have their data from."""
    service = document("Service", "fletching-replica")["spec"]
    assert service["selector"].items() <= replica()["metadata"]["labels"].items()
    one, other = container(), replica()["spec"]["containers"][0]
    for same in ("image", "args", "ports", "livenessProbe", "readinessProbe", "resources"):
        assert other[same] == one[same], same
    for same in ("securityContext", "volumeMounts", "startupProbe"):
        assert other[same] == one[same], same
    pod = document("StatefulSet")["spec"]["template"]["spec"]
    for same in ("securityContext", "terminationGracePeriodSeconds"):
        assert replica()["spec"][same] == pod[same], same
    (data,) = (v for v in replica()["spec"]["volumes"] if v["name"] == "data")
    config = yaml.safe_load(document("ConfigMap", "fletching-replica")["data"]["fletching.yaml"])
    room = {"emptyDir": int(data["emptyDir"]["sizeLimit"].removesuffix("Gi"))}
    assert room["emptyDir"] > int(config["remote"]["cache"].removesuffix("GiB"))


def test_the_configuration_of_replicas_follows_a_writer(make_server, tmp_path):
    writer = make_server("--remote", f"file://{tmp_path}/remote", folder="writer")
    writer.create("t", {"columns": {"k": {"dtype": "utf8", "key": True, "nullable": False}}})
    file = tmp_path / "fletching.yaml"
    file.write_text(document("ConfigMap", "fletching-replica")["data"]["fletching.yaml"])
    keys = tmp_path / "keys"
    keys.write_text(new_key("reader", "read", [])[1] + "\n")
    node = make_server(
        *("--config", str(file), "--remote", f"file://{tmp_path}/remote", "--metrics", ":0"),
        *("--keys-file", keys),
        folder="replica",
    )
    until(lambda: node.get("/readyz").status == 200, "readiness")


def test_manifests_agree_with_each_other_and_with_the_image():
    dockerfile = (DEPLOY / "docker/Dockerfile").read_text()
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert re.findall(r"^EXPOSE (.*)", dockerfile, re.M) == [
        " ".join(str(ports[name]) for name in ("http", "flight", "metrics"))
    ]
    assert f"FLETCHING_HTTP=0.0.0.0:{ports['http']}" in dockerfile
    assert f"FLETCHING_METRICS=0.0.0.0:{ports['metrics']}" in dockerfile
    pod = document("StatefulSet")["spec"]["template"]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
    for name in ("fletching", "fletching-pods"):
        service = document("Service", name)["spec"]
        assert service["selector"].items() <= pod["metadata"]["labels"].items()
        assert all(ports[port["targetPort"]] == port["port"] for port in service["ports"])
    stateful = document("StatefulSet")["spec"]
    assert stateful["serviceName"] == "fletching-pods"
    security = pod["spec"]["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in dockerfile
    assert security["runAsNonRoot"] is True
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert f"FLETCHING_DATA_DIR={mounts['data']}" in dockerfile
    assert container()["args"] == ["--config", mounts["config"] + "/fletching.yaml"]


def test_probes_are_routes_of_the_server(server):
    paths = server.get("/openapi.json").json["paths"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        action = container()[probe]["httpGet"]
        assert action["path"] in paths
        assert server.get(action["path"]).status == 200
        assert action["port"] == "http"


@pytest.mark.parametrize("which", ["kubernetes", "systemd"])
def test_the_configuration_starts_a_server(make_server, tmp_path, which):
    if which == "kubernetes":
        text = document("ConfigMap")["data"]["fletching.yaml"]
    else:
        text = (DEPLOY / "systemd/fletching.yaml").read_text()
    file = tmp_path / "fletching.yaml"
    file.write_text(text)
    flags = []
    if which == "kubernetes":
        mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
        keys_file = Path(yaml.safe_load(text)["security"]["keys_file"])
        assert str(keys_file.parent) == mounts["keys"]
        (tmp_path / keys_file.name).write_text(new_key("reader", "read", [])[1] + "\n")
        flags = ["--keys-file", tmp_path / keys_file.name]
    server = make_server("--config", str(file), "--metrics", ":0", *flags)
    assert server.alive()


def test_the_pod_has_time_to_end_in():
    """Grace of the pod is longer than the server takes at most, whatever it is told."""
    seconds_max = re.search(
        r"kShutdownSecondsMax = (\d+);", (ROOT / "src/server/wiring.cc").read_text()
    )[1]
    pod = document("StatefulSet")["spec"]["template"]["spec"]
    unit = (DEPLOY / "systemd/fletching.service").read_text()
    assert pod["terminationGracePeriodSeconds"] > int(seconds_max)
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M)[1]) > int(seconds_max)


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: no systemd here")
    text = (DEPLOY / "systemd/fletching.service").read_text()
    # Whether the program is there is looked at, too; here it is not where a user puts it.
    assert "ExecStart=/opt/fletching/bin/fletchingd --config" in text
    unit = tmp_path / "fletching.service"
    unit.write_text(text.replace("/opt/fletching/bin/fletchingd", "/bin/true"))
    said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit)
    assert "fletching.service" not in said, said
    run("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", unit)


def test_flags_of_the_unit_are_flags_of_the_server():
    from conftest import daemon_path

    text = (DEPLOY / "systemd/fletching.service").read_text()
    known = run(daemon_path(), "--help")
    for flag in re.findall(r" (--[a-z-]+)", re.search(r"^ExecStart=(.*)$", text, re.M)[1]):
        assert flag in known


@pytest.mark.parametrize("hidden", [False, True], ids=["in a folder", "abstract"])
def test_systemd_is_told_when_it_is_ready_and_when_it_stops(make_server, tmp_path, hidden):
    name = f"@{tmp_path}" if hidden else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if hidden else name)
        listener.settimeout(30)
        server = make_server(env={"NOTIFY_SOCKET": name})
        assert listener.recv(100) == b"READY=1"
        assert server.stop() == 0
        assert listener.recv(100) == b"STOPPING=1"


def test_a_listener_that_is_gone_keeps_nobody_from_serving(make_server, tmp_path):
    for n, name in enumerate((str(tmp_path / "nobody"), "@", "x" * 200, "")):
        assert make_server(env={"NOTIFY_SOCKET": name}, folder=f"data{n}").alive()


def test_dashboard_and_documents_name_files_that_are_there():
    for page in ("README.md", "docs/operations.md", "docs/runbook.md"):
        text = (ROOT / page).read_text()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert ((ROOT / page).parent / target).exists(), (page, target)
    json.loads((DEPLOY / "grafana/fletching.json").read_text())
