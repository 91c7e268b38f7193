"""Configuration files of every dialect, as they stand in configs/, each start a real server.

What they name that a test cannot have (ports that may be taken, folders of the system, S3 at a
fixed address) is replaced in the text, each once and nothing else; the rest comes from the
environment. Where every single setting of theirs is seen: SETTINGS in test_settings.py.
"""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import ARROW, ROOT, Server, daemon_path, to_ipc
from pull_node import publish, rows, until
from pyarrow import flight
from s3_gateway import BUCKET, Gateway, free_port, own_s3_server
from test_program import run

__all__ = ["own_s3_server"]

CONFIGS = Path(__file__).parent / "configs"


def config(folder: Path, name: str, replaced: dict[str, object]) -> Path:
    """The example with some texts replaced, each of which it has once."""
    text = (CONFIGS / name).read_text()
    for old, new in replaced.items():
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        text = text.replace(old, str(new))
    path = folder / name
    path.write_text(text)
    return path


def warnings(server: Server) -> list[str]:
    lines = map(json.loads, server.log_path.read_text().splitlines())
    return [line["text"] for line in lines if line["event"] == "configuration"]


def wait_until_ready(server: Server) -> None:
    until(lambda: server.get("/readyz").status == 200, server.log_path.read_text)


def test_the_plan_of_the_older_generation(make_server, own_s3_server, tmp_path):
    people = pa.table({"id": ["ann", "bob"], "age": pa.array([31, None], pa.int32())})
    publish(tmp_path / "people", "2026-11-20", {"a.parquet": people})
    docs = {
        "user": [f"u{n}" for n in range(4000)],
        "doc": list(range(4000)),
        "clicked": [n % 2 == 0 for n in range(4000)],
        "score": pa.array(range(4000), pa.float32()),
    }
    publish(own_s3_server.folder / BUCKET / "docs", "2026-11-20", {"a.parquet": pa.table(docs)})
    port = free_port()
    file = config(
        tmp_path,
        "murr-plan.yaml",
        {
            "port: 8080": f"port: {port}",
            "/var/lib/murr": tmp_path / "data",
            "http://127.0.0.1:7070": own_s3_server.endpoint,
            "/data/people": tmp_path / "people",
        },
    )
    # The plan has no Flight: its door is ours, and gets a free port.
    server = make_server(
        *("--config", str(file), "--flight", "127.0.0.1:0"), env=own_s3_server.env, bare=True
    )
    assert server.port == port
    assert server.host in ("127.0.0.1", "::1")  # what localhost is here
    wait_until_ready(server)
    assert list((tmp_path / "data").rglob("*.flseg"))
    answer = server.post("/v1/people", {"keys": ["bob", "eve", "ann"], "columns": ["age"]})
    assert answer.json == {"columns": {"age": [None, None, 31]}}
    keys = {"user": ["u3999", "u1", "u2"], "doc": [3999, 9, 2]}
    assert server.fetch("docs", keys, ["clicked", "score"]) == {
        "_idx": [0, 2],
        "clicked": [False, True],
        "score": [3999, 2],
    }
    assert server.get("/api/v1/table/docs").json["segment_count"] == 8  # parts
    assert warnings(server) == []


NEWER = {
    "murr-0.3.yaml": {"port: 8080": "port: {}", "port: 8081": "port: {}"},
    "murr-0.3-block.yaml": {"port: 8080": "port: {}"},
}


@pytest.mark.parametrize("name", NEWER)
def test_the_newer_generation(make_server, tmp_path, name):
    ports = [free_port() for _ in NEWER[name]]
    replaced = {
        old: new.format(port) for (old, new), port in zip(NEWER[name].items(), ports, strict=True)
    }
    path = re.search(r"path: (\S+)", (CONFIGS / name).read_text())[1]
    file = config(tmp_path, name, {**replaced, path: tmp_path / "data"})
    flags = ["--config", str(file)]
    if len(ports) == 1:
        flags += ["--flight", "127.0.0.1:0"]
    # These servers listen to everybody; ours wants to be told that it is meant.
    refused = run(daemon_path(), *flags)
    assert refused.returncode == 1
    assert "--insecure" in refused.stderr
    assert not (tmp_path / "data").exists()
    server = make_server(*flags, env={"FLETCHING_SECURITY_INSECURE": "true"}, bare=True)
    assert server.address == f"0.0.0.0:{ports[0]}"
    server.host = "127.0.0.1"
    server.create(
        "docs",
        {
            "columns": {
                "id": {"dtype": "int64", "key": True, "nullable": False},
                "score": {"dtype": "float32"},
            }
        },
    )
    server.write("docs", {"columns": {"id": [1, 2], "score": [0.5, None]}})
    body = to_ipc(pa.table({"id": [2, 3, 1]}), ["score"])
    answer = server.post("/api/v1/table/docs/fetch", body, content_type=ARROW, accept=ARROW)
    assert answer.table.to_pydict() == {"_idx": [0, 2], "score": [None, 0.5]}
    flight_port = int(server.flight_address.rpartition(":")[2])
    assert ports[1:] in ([], [flight_port])
    with flight.connect(f"grpc://127.0.0.1:{flight_port}") as client:
        ticket = json.dumps({"table": "docs", "keys": {"id": [1]}, "columns": ["score"]})
        assert client.do_get(flight.Ticket(ticket)).read_all()["score"].to_pylist() == [0.5]
    assert list((tmp_path / "data").rglob("*"))
    # What shaped the other engine's files is said to shape nothing here.
    said = warnings(server)
    engine = re.split(r"mmap:|block:", file.read_text())[1]
    for setting in re.findall(r"^ +(\w+):(?! null)", engine, re.MULTILINE):
        assert any(f".{setting} changes nothing here" in each for each in said), (setting, said)


def test_our_own(make_server, tmp_path):
    """The example of docs/loading.md, with the endpoint that its comment speaks of."""
    documented = (ROOT / "docs/loading.md").read_text()
    assert f"```yaml\n{(CONFIGS / 'fletching.yaml').read_text()}```" in documented
    gateway = Gateway(tmp_path / "buckets", region="eu-west-1")
    try:
        gateway.arrow().create_dir(BUCKET)
        source = gateway.folder / BUCKET / "docs"
        table = rows({f"k{n}": n for n in range(5000)}).rename_columns(["doc_id", "score"])
        publish(source, "2026-11-20", {"a.parquet": table})
        elsewhere = f'eu-west-1, endpoint: "{gateway.endpoint}"}}'
        replaced = {"/var/lib/fletching": tmp_path / "data", "eu-west-1}": elsewhere}
        file = config(tmp_path, "fletching.yaml", replaced)
        env = {
            **gateway.env,
            "AWS_REGION": "us-east-1",  # the file's region wins; this one would be refused
            "FLETCHING_CONFIG": str(file),
            "FLETCHING_HTTP": "127.0.0.1:0",
            "FLETCHING_FLIGHT": "127.0.0.1:0",
        }
        server = make_server(env=env, bare=True)
        wait_until_ready(server)
        assert server.fetch("docs", ["k7", "k4999", "k"], ["score"]) == {"score": [7, 4999, None]}
        assert server.get("/api/v1/table/docs").json["segment_count"] == 8
        assert list((tmp_path / "data").rglob("*.flseg"))
        assert warnings(server) == []
        server.stop()
    finally:
        gateway.stop()
