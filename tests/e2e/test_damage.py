"""Damaged files: the error names the file, other tables go on serving."""

import pyarrow as pa

SCHEMA = {
    "columns": {
        "k": {"dtype": "utf8", "key": True, "nullable": False},
        "v": {"dtype": "int64"},
    }
}
ROWS = pa.table({"k": [f"k{n}" for n in range(20_000)], "v": list(range(20_000))})


def test_a_damaged_segment_fails_its_table_alone(make_server):
    server = make_server()
    for name in ("good", "bad"):
        server.create(name, SCHEMA)
        server.write(name, ROWS)
        assert server.post(f"/api/v1/table/{name}/compact").status == 200
    good_before = {path for path in server.folder.rglob("*") if path.is_file()}
    server.stop()
    # The larger half of the files are the segments; the tables are alike, so take the last one.
    segments = sorted(
        (path for path in good_before if path.stat().st_size > 100_000), key=lambda p: str(p)
    )
    assert len(segments) >= 2
    victim = segments[-1]
    data = bytearray(victim.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at] ^= 0xFF
    victim.write_bytes(data)

    again = make_server()
    keys = {"keys": {"k": ROWS["k"].to_pylist()[:5000]}, "columns": ["v"]}
    answers = {name: again.post(f"/api/v1/table/{name}/fetch", keys) for name in ("good", "bad")}
    statuses = sorted(answer.status for answer in answers.values())
    assert statuses == [200, 500], answers
    broken = next(name for name, answer in answers.items() if answer.status == 500)
    assert victim.name in answers[broken].error
    assert "offset" in answers[broken].error
    whole = "good" if broken == "bad" else "bad"
    again.write(whole, {"columns": {"k": ["new"], "v": [1]}})
    assert again.fetch(whole, {"k": ["new"]}, ["v"])["v"] == [1]
    assert broken in again.get("/api/v1/table").json
    assert again.alive()
    assert '"level":"error"' in again.log_path.read_text()


def test_a_damaged_manifest_fails_its_table_alone(make_server):
    server = make_server()
    for name in ("one", "two"):
        server.create(name, SCHEMA)
        server.write(name, ROWS)
    server.stop()
    manifests = list(server.folder.rglob("*.flman"))
    assert len(manifests) >= 2
    victim = sorted(manifests, key=lambda p: str(p))[-1]
    victim.write_bytes(victim.read_bytes()[:-1] + b"\xff")
    again = make_server()
    keys = {"keys": {"k": ["k1"]}, "columns": ["v"]}
    answers = [again.post(f"/api/v1/table/{name}/fetch", keys) for name in ("one", "two")]
    assert sorted(answer.status == 200 for answer in answers) == [False, True], answers
    # Its name stood in the manifest, so it is known by its folder.
    broken = again.post(f"/api/v1/table/{victim.parent.name}/fetch", keys)
    assert broken.status == 500
    assert victim.name in broken.error
    assert victim.name in again.log_path.read_text()
    assert again.get("/readyz").status == 200
