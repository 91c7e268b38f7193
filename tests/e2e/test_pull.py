"""Tables that load themselves from date folders: what is loaded, what is kept, and what is said."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import fletching
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pull_node import node, publish, rows, until

__all__ = ["node"]


def test_the_newest_complete_folder_is_shown_and_the_next_takes_its_place(node, tmp_path):
    source = tmp_path / "source"
    publish(source, "2026-11-19", {"a.parquet": rows({"old": 1})})
    publish(
        source,
        "2026-11-20",
        {
            "b.parquet": rows({"k": 3, "only_b": 4}),
            "a.parquet": rows({"k": 1, "only_a": 2}, more=[1, 2]),  # and a column nobody declared
        },
    )
    publish(source, "2026-11-21", {"a.parquet": rows({"k": 9, "l": 9})}, complete=False)
    here = node()
    first = here.wait_for("2026-11-20")
    # The last file by name wins.
    assert here.scores("k", "only_a", "only_b", "old") == [3, 2, 4, None]
    assert here.problems() == []
    (loaded,) = here.events("table_loaded")
    assert loaded["rows"] == 4

    (source / "2026-11-21/_SUCCESS").touch()
    here.wait_for("2026-11-21")
    assert here.scores("k", "only_a") == [9, None]
    assert here.info()["generation"]["previous"] == first


def test_it_is_not_ready_before_the_first_load_and_says_why(node, tmp_path):
    here = node()
    until(lambda: here.problems(), "a problem")
    assert "no folder YYYY-MM-DD with _SUCCESS" in here.problems()[0]
    answer = here.server.get("/readyz")
    assert answer.status == 503
    assert "table 'docs' is not loaded yet" in answer.error
    assert here.server.get("/livez").status == 200
    publish(tmp_path / "source", "2026-11-20", {"a.parquet": rows({"k": 1})})
    until(lambda: here.server.get("/readyz").status == 200, "readiness")
    until(lambda: here.problems() == [], "health")


def test_a_node_that_starts_again_shows_what_it_had(node, tmp_path):
    publish(tmp_path / "source", "2026-11-20", {"a.parquet": rows({"k": 1})})
    here = node()
    name = here.wait_for("2026-11-20")
    here.server.stop()
    shutil.rmtree(tmp_path / "source")  # the source is away
    here.start()
    assert here.generation() == name
    assert here.server.get("/readyz").status == 200
    assert here.scores("k") == [1]
    until(lambda: here.problems(), "the source is gone")


BROKEN = {
    "no parquet file": lambda folder: (folder / "a.parquet").unlink(),
    "cut short": lambda folder: _cut(folder / "a.parquet"),
    "not parquet": lambda folder: (folder / "a.parquet").write_bytes(b"hello" * 100),
    "column missing": lambda folder: pq.write_table(pa.table({"id": ["k"]}), folder / "a.parquet"),
    "another type": lambda folder: pq.write_table(
        pa.table({"id": ["k"], "score": ["much"]}), folder / "a.parquet"
    ),
    "null key": lambda folder: pq.write_table(
        pa.table({"id": [None, "k"], "score": pa.array([1, 2], pa.float32())}),
        folder / "a.parquet",
    ),
    "half the rows": lambda folder: pq.write_table(rows({"k": 2}), folder / "a.parquet"),
}
WORDS = {
    "no parquet file": ("holds no file that ends in .parquet", "data"),
    "cut short": ("a.parquet: ", "data"),
    "not parquet": ("a.parquet: ", "data"),
    "column missing": ("a.parquet: column 'score' is missing", "schema"),
    "another type": ("column 'score'", "schema"),
    "null key": ("column 'id' has a null", "schema"),
    "half the rows": ("less than min_rows_ratio allows", "shrunk"),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_folder_leaves_the_old_one_serving(node, tmp_path, fault):
    source = tmp_path / "source"
    publish(source, "2026-11-20", {"a.parquet": rows({"k": 1, "l": 1, "m": 1})})
    here = node()
    shown = here.wait_for("2026-11-20")
    folder = publish(source, "2026-11-21", {"a.parquet": rows({"k": 2})}, complete=False)
    BROKEN[fault](folder)
    (folder / "_SUCCESS").touch()
    words, reason = WORDS[fault]
    (problem,) = until(lambda: here.problems(), "a problem")
    assert words in problem
    assert here.events("table_load_failed")[0]["reason"] == reason
    assert here.generation() == shown
    assert here.scores("k") == [1]
    # Mended in place, it is loaded.
    publish(source, "2026-11-21", {"a.parquet": rows({"k": 2, "l": 2})})
    here.wait_for("2026-11-21")
    until(lambda: here.problems() == [], "health")
    assert here.scores("k", "m") == [2, None]


def test_late_files_and_files_written_anew_are_loaded_again(node, tmp_path):
    source = tmp_path / "source"
    folder = publish(source, "2026-11-20", {"a.parquet": rows({"k": 1})})
    here = node()
    first = here.wait_for("2026-11-20")
    pq.write_table(rows({"late": 5}), folder / "b.parquet")
    second = here.wait_for("2026-11-20", other_than=first)
    assert here.scores("k", "late") == [1, 5]
    pq.write_table(rows({"k": 7, "l": 8}), folder / "a.parquet")
    until(lambda: here.generation() not in (first, second), "the file written anew")
    assert here.scores("k", "late") == [7, 5]


def test_a_marker_that_is_taken_away_does_not_bring_older_rows(node, tmp_path):
    source = tmp_path / "source"
    publish(source, "2026-11-19", {"a.parquet": rows({"k": 1})})
    folder = publish(source, "2026-11-20", {"a.parquet": rows({"k": 2})})
    here = node()
    shown = here.wait_for("2026-11-20")
    (folder / "_SUCCESS").unlink()
    (kept,) = until(lambda: here.events("table_kept"), "a word about it")
    assert "older than what is shown" in kept["text"]
    assert here.generation() == shown
    assert here.scores("k") == [2]


def test_a_rollback_stays_until_there_are_other_files(node, tmp_path):
    source = tmp_path / "source"
    publish(source, "2026-11-20", {"a.parquet": rows({"k": 1})})
    here = node()
    first = here.wait_for("2026-11-20")
    folder = publish(source, "2026-11-21", {"a.parquet": rows({"k": 2})})
    second = here.wait_for("2026-11-21")
    answer = here.server.post("/api/v1/table/docs/rollback")
    assert answer.status == 200
    assert answer.json["generation"]["name"] == first
    assert answer.json["generation"]["rejected"] == second
    assert here.scores("k") == [1]
    until(lambda: here.events("table_kept"), "the rejected one is seen")
    assert here.generation() == first
    pq.write_table(rows({"k": 3}), folder / "a.parquet")
    here.wait_for("2026-11-21", other_than=second)
    assert here.scores("k") == [3]


def test_a_rollback_by_the_command_line(node, tmp_path):
    source = tmp_path / "source"
    publish(source, "2026-11-20", {"a.parquet": rows({"k": 1})})
    here = node()
    first = here.wait_for("2026-11-20")
    publish(source, "2026-11-21", {"a.parquet": rows({"k": 2})})
    second = here.wait_for("2026-11-21")

    def rollback(target):
        command = [sys.executable, "-m", "fletching", "rollback", str(target), "docs"]
        return subprocess.run(command, capture_output=True, text=True)

    done = rollback(here.server.url)
    assert (done.returncode, done.stdout) == (0, f"docs shows {first}\n"), done.stderr
    assert here.scores("k") == [1]
    with fletching.connect(here.server.url) as client:
        generation = client.table("docs").generation
        assert generation.name == first
        assert generation.previous == generation.rejected == second
    here.server.stop()
    assert rollback(here.server.folder).stdout == f"docs shows {second}\n"
    with fletching.open(here.server.folder, "r") as db:
        assert db.table("docs").generation.name == second
    missing = rollback(tmp_path / "nowhere")
    assert missing.returncode == 2


def test_a_loaded_table_takes_no_other_writes(node, tmp_path):
    publish(tmp_path / "source", "2026-11-20", {"a.parquet": rows({"k": 1})})
    here = node()
    here.wait_for("2026-11-20")
    for answer in (
        here.server.put("/api/v1/table/docs/write", rows({"k": 2})),
        here.server.post("/api/v1/table/docs/delete", {"keys": ["k"]}),
    ):
        assert answer.status == 400
        assert "loaded as a whole" in answer.error


def test_parts_are_segments_and_a_changed_schema_loads_again(node, tmp_path):
    many = rows({f"k{n}": n for n in range(5000)})
    publish(tmp_path / "source", "2026-11-20", {"a.parquet": many})
    here = node(parts=4)
    here.wait_for("2026-11-20")
    assert here.info()["segment_count"] == 4
    assert here.info()["row_count"] == 5000
    here.server.stop()
    table = json.loads(here.config.read_text())
    table["tables"]["docs"]["columns"]["score"] = {"dtype": "float64"}
    here.config.write_text(json.dumps(table))
    here.start()
    until(lambda: here.info()["schema"]["columns"]["score"]["dtype"] == "float64", "a new schema")
    assert here.scores("k7", "k4999") == [7, 4999]


def test_a_plain_dump_is_everything_below(node, tmp_path):
    source = tmp_path / "source"
    publish(source, "country=at", {"x.parquet": rows({"a": 1})}, complete=False)
    publish(source, "country=de", {"x.parquet": rows({"b": 2})}, complete=False)
    here = node(layout="plain")
    here.wait_for("all")
    assert here.scores("a", "b") == [1, 2]


def test_reads_show_one_generation_while_others_take_its_place(node, tmp_path):
    """Every row of a generation has its number: an answer that mixes two would show both."""
    keys = [f"k{n}" for n in range(2000)]
    source = tmp_path / "source"
    publish(source, "2026-01-01", {"a.parquet": rows(dict.fromkeys(keys, 1.0))})
    here = node(parts=2)
    here.wait_for("2026-01-01")
    seen, done = set(), threading.Event()
    faults = []

    def read():
        while not done.is_set():
            shown = set(here.scores(*keys[::7]))
            if len(shown) != 1:
                faults.append(shown)
            seen.update(shown)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for day in range(2, 8):
        publish(source, f"2026-01-0{day}", {"a.parquet": rows(dict.fromkeys(keys, float(day)))})
        here.wait_for(f"2026-01-0{day}")
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(seen) > 1
    # Of all these, two are kept.
    files = list((tmp_path / "data").rglob("*.flseg"))
    assert len(files) == 4
