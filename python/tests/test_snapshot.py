"""Snapshots and what is restored from them."""

import itertools
import os
import signal
import threading

import fletching
import pytest


def table(n, rows=1000):
    return {"id": list(range(rows)), "n": [n] * rows}


def segments(folder):
    return sorted(folder.rglob("*.flseg"))


@pytest.fixture
def snapshot(tmp_path, db):
    db.write("t", table(1), key="id")
    db.compact("t")
    db.write("t", {"id": [5], "n": [50]})
    db.snapshot(tmp_path / "snap")
    return tmp_path / "snap"


def damage(segment):
    content = bytearray(segment.read_bytes())
    content[5000] ^= 1
    segment.unlink()  # it may be a link to the original
    segment.write_bytes(content)


def test_a_snapshot_is_opened_like_any_other_folder(snapshot, db):
    db.drop("t")
    with fletching.open(snapshot) as copy:
        assert copy.read("t", [4, 5]).to_numpy()["n"].tolist() == [1, 50]
        copy.write("t", {"id": [4], "n": [40]})
        assert copy.read("t", [4]).to_numpy()["n"].tolist() == [40]


def test_files_that_never_change_are_shared(tmp_path, db):
    db.write("t", table(1), key="id")
    db.compact("t")
    report = db.snapshot(tmp_path / "snap")
    assert (report.table_count, report.left_out) == (1, [])
    assert report.linked_bytes == sum(s.stat().st_size for s in segments(tmp_path / "snap"))
    assert report.copied_bytes > 0
    assert all(segment.stat().st_nlink == 2 for segment in segments(tmp_path / "snap"))


def test_a_reader_can_take_one(tmp_path, db):
    db.write("t", table(1), key="id")
    with fletching.open(db.path, "r") as reader:
        db.write("t", table(2))
        db.compact("t")
        reader.snapshot(tmp_path / "snap")
    with fletching.open(tmp_path / "snap", "r") as copy:
        # The reader follows, so it may have either version; whole, in any case.
        assert set(copy.read("t", range(1000)).to_numpy()["n"]) in ({1}, {2})


def test_snapshots_under_writes_show_one_version(tmp_path, db):
    db.write("t", table(0), key="id")
    done = threading.Event()
    acknowledged = [0]

    def write():
        n = 0
        while not done.is_set():
            n += 1
            db.write("t", table(n))
            acknowledged[0] = n

    writer = threading.Thread(target=write)
    writer.start()
    for i in range(10):
        before = acknowledged[0]
        db.snapshot(tmp_path / str(i))
        with fletching.open(tmp_path / str(i), "r") as copy:
            (n,) = set(copy.read("t", range(1000)).to_numpy()["n"])
        assert n >= before
    done.set()
    writer.join()


def test_a_folder_with_something_in_it_is_refused(tmp_path, db):
    db.write("t", table(1), key="id")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("words")
    with pytest.raises(ValueError, match=r"is not empty, it holds 'thesis.txt'; name a new or"):
        db.snapshot(tmp_path / "full")
    with pytest.raises(ValueError, match=r"is inside the data folder .* name one outside"):
        db.snapshot(os.path.join(db.path, "backup"))
    (tmp_path / "link").symlink_to(db.path)
    with pytest.raises(ValueError, match="is inside the data folder"):
        db.snapshot(tmp_path / "link" / "backup")
    assert os.listdir(tmp_path / "full") == ["thesis.txt"]


def test_a_restored_snapshot_is_what_it_was(tmp_path, snapshot, db):
    db.drop("t")
    fletching.restore(snapshot, tmp_path / "back")
    with fletching.open(tmp_path / "back") as copy:
        assert copy.read("t", [4, 5]).to_numpy()["n"].tolist() == [1, 50]
        copy.drop("t")
    fletching.restore(snapshot, tmp_path / "again")
    assert fletching.verify(tmp_path / "again").damage == []
    with pytest.raises(ValueError, match="is not empty"):
        fletching.restore(snapshot, tmp_path / "again")
    with pytest.raises(KeyError, match="does not exist"):
        fletching.restore(tmp_path / "nothing", tmp_path / "other")


def test_damage_is_found_before_anything_is_restored(tmp_path, snapshot):
    damage(segments(snapshot)[0])
    with pytest.raises(fletching.CorruptionError, match=r"flseg: offset \d+"):
        fletching.restore(snapshot, tmp_path / "back")
    assert not (tmp_path / "back" / "tables").exists()
    report = fletching.restore(snapshot, tmp_path / "back", verify=False)
    assert report.table_count == 1


def test_tables_that_do_not_open_are_left_out_only_if_unchecked(tmp_path, snapshot):
    for manifest in snapshot.rglob("*.flman"):
        manifest.unlink()
    with pytest.raises(fletching.CorruptionError, match="has no manifest"):
        fletching.restore(snapshot, tmp_path / "back")
    report = fletching.restore(snapshot, tmp_path / "back", verify=False)
    assert (report.table_count, report.left_out) == (0, ["00000001"])


def test_ctrl_c_leaves_a_whole_snapshot_or_none(tmp_path, db):
    db.write("t", table(1), key="id")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ctrl_c = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    ctrl_c.start()
    taken = 0
    try:
        with pytest.raises(KeyboardInterrupt):
            for taken in itertools.count():
                db.snapshot(tmp_path / f"snap{taken}")
    finally:
        signal.signal(signal.SIGINT, before)
        ctrl_c.join()
    last = tmp_path / f"snap{taken}"
    if (last / "tables").exists():
        with fletching.open(last, "r") as copy:
            assert copy.table("t").row_count == 1000
    elif last.exists():
        assert set(os.listdir(last)) <= {"LOCK"}
