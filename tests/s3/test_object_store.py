"""The object store against a real S3 server and against a folder: what it promises of each call."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from object_client import ObjectClient, Refused, s3_options
from s3_gateway import BUCKET

MIB = 1 << 20


@pytest.fixture(params=["s3", "file"])
def store(request, s3_server, make_client, prefix, tmp_path) -> ObjectClient:
    if request.param == "s3":
        return make_client(f"s3://{BUCKET}/{prefix}", **s3_options(s3_server.endpoint))
    return make_client(f"file://{tmp_path}/objects")


def refused(code: str, function, *args, **kwargs) -> str:
    with pytest.raises(Refused) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code, caught.value
    return caught.value.text


def test_what_is_put_is_got(store, seeded):
    content = seeded.randbytes(100_000)
    put = store.put("a/b", content)
    assert put["size"] == len(content)
    assert store.get("a/b") == content
    head = store.head("a/b")
    assert (head["size"], head["etag"]) == (len(content), put["etag"])
    assert head["modified_us"] > 1_600_000_000_000_000
    assert store.put("a/b", b"shorter")["etag"] != put["etag"]
    assert store.get("a/b") == b"shorter"


def test_an_empty_object_is_an_object(store, tmp_path):
    store.put("_SUCCESS", b"")
    assert store.head("_SUCCESS")["size"] == 0
    assert store.get("_SUCCESS") == b""
    store.do("download", "_SUCCESS", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b""
    (tmp_path / "source").write_bytes(b"")
    store.do("upload", "_EMPTY", tmp_path / "source")
    assert store.keys() == ["_EMPTY", "_SUCCESS"]


def test_ranges_are_cut_at_the_end(store, seeded):
    content = seeded.randbytes(10_000)
    etag = store.put("k", content)["etag"]
    assert store.get("k", 10, 20) == content[10:30]
    assert store.get("k", 9_990, 100) == content[9_990:]
    assert store.get("k", 5) == content[5:]
    assert store.get("k", 0, 10, etag) == content[:10]
    assert store.ranges("k", etag, (0, 3), (9_999, 1), (500, 4_000)) == (
        content[:3] + content[9_999:] + content[500:4_500]
    )
    refused("invalid_argument", store.get, "k", 10_000)
    refused("invalid_argument", store.get, "k", 0, 0)
    refused("invalid_argument", store.ranges, "k", etag, (0, 10), (9_999, 2))
    refused("too_large", store.get, "k", 0, 200, "", 100)


def test_another_etag_is_an_error(store, tmp_path):
    old = store.put("k", b"old")["etag"]
    store.put("k", b"new!")
    for what in (
        lambda: store.get("k", if_match=old),
        lambda: store.ranges("k", old, (0, 1)),
        lambda: store.do("download", "k", tmp_path / "t", old),
        lambda: store.replace("k", b"x", old),
    ):
        refused("already_exists", what)
    assert store.get("k") == b"new!"
    assert not (tmp_path / "t").exists()


def test_what_is_absent_is_named(store, tmp_path):
    for what in (
        lambda: store.head("no/such"),
        lambda: store.get("no/such"),
        lambda: store.do("download", "no/such", tmp_path / "t"),
        lambda: store.replace("no/such", b"x", '"0123"'),
    ):
        assert "no/such" in refused("not_found", what)
    store.do("delete", "no/such")


def test_a_new_object_is_written_once(store):
    first = store.create("m/1", b"first")
    assert store.head("m/1")["etag"] == first["etag"]
    refused("already_exists", store.create, "m/1", b"second")
    assert store.get("m/1") == b"first"
    second = store.replace("m/1", b"second", first["etag"])
    refused("already_exists", store.replace, "m/1", b"third", first["etag"])
    assert store.get("m/1") == b"second"
    assert store.head("m/1")["etag"] == second["etag"]


@pytest.mark.timeout(300)
def test_of_two_writers_one_wins(store):
    # Both in one process: 100 keys that are new, 100 that are replaced.
    result = store.do("race", "contested", 100)
    assert result["bad_rounds"] == 0, result
    assert result["first"] + result["second"] == 200


def test_of_two_processes_one_wins(store, s3_server, make_client, prefix, tmp_path):
    s3 = store.url.startswith("s3:")
    url = f"s3://{BUCKET}/{prefix}" if s3 else f"file://{tmp_path}/objects"
    other = make_client(url, **(s3_options(s3_server.endpoint) if s3 else {}))

    def attempt(who: ObjectClient, key: str) -> bool:
        try:
            who.create(key, str(who.process.pid).encode())
            return True
        except Refused as error:
            assert error.code == "already_exists", error
            return False

    with ThreadPoolExecutor(2) as pool:
        for n in range(100):
            won = list(pool.map(attempt, (store, other), (f"k{n}", f"k{n}")))
            assert sorted(won) == [False, True]
            winner = store if won[0] else other
            assert store.get(f"k{n}") == str(winner.process.pid).encode()


def test_listing_is_by_key_and_paged(store):
    # Neither a folder nor the gateway can have both a and a/b.
    names = ["a-b", "a/b", "a/c-d", "a/c/d", "a0", "b/x", "z z", "ü%+&"]
    for name in names:
        store.put(name, name.encode())
    in_order = sorted(names, key=str.encode)
    assert store.keys() == in_order
    assert store.keys(entries_max=3) == in_order
    assert [len(page["objects"]) for page in store.pages(entries_max=3)] == [3, 3, 2]
    assert store.keys("a/") == ["a/b", "a/c-d", "a/c/d"]
    assert store.keys("a/c") == ["a/c-d", "a/c/d"]
    assert store.keys("", "a/b") == in_order[in_order.index("a/b") + 1 :]
    assert store.keys("nothing") == []
    sizes = {info["key"]: info["size"] for info in store.pages()[0]["objects"]}
    assert sizes == {name: len(name.encode()) for name in names}


def test_a_shallow_listing_tells_folders(store):
    for name in ("t/2024-01-01/x", "t/2024-01-01/y", "t/2024-01-02/x", "t/note", "u"):
        store.put(name, b"1")
    pages = store.pages("t/", shallow=True)
    assert pages[0]["folders"] == ["t/2024-01-01/", "t/2024-01-02/"]
    assert [info["key"] for info in pages[0]["objects"]] == ["t/note"]
    pages = store.pages("t/", entries_max=1, shallow=True)
    folders = [folder for page in pages for folder in page["folders"]]
    keys = [info["key"] for page in pages for info in page["objects"]]
    assert (folders, keys) == (["t/2024-01-01/", "t/2024-01-02/"], ["t/note"])


def test_deleted_objects_are_gone(store):
    names = [f"d/{n}" for n in range(40)]
    for name in names:
        store.put(name, b"x")
    store.do("delete", *names[1:], "never/there")
    assert store.keys() == names[:1]


@pytest.mark.parametrize("size", [1, 5 * MIB, 5 * MIB + 1, 23 * MIB + 17])
def test_files_go_there_and_back(store, seeded, tmp_path, size):
    content = seeded.randbytes(size)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    target.write_bytes(b"an older one")
    put = store.do("upload", "big", source)
    assert put["size"] == size
    got = store.do("download", "big", target)
    assert (got["size"], got["etag"]) == (size, put["etag"])
    assert target.read_bytes() == content
    left = sorted(path.name for path in tmp_path.iterdir() if "target" in path.name)
    assert left == ["target"]


def test_arrow_reads_what_we_write(client, s3_server, prefix, seeded, tmp_path):
    """Against another implementation of S3, both ways, with a key that needs encoding."""
    content = seeded.randbytes(12 * MIB)
    (tmp_path / "source").write_bytes(content)
    key = "date=2024-01-01/a b+c%20ü'()*!~.bin"
    client.do("upload", key, tmp_path / "source")
    arrow = s3_server.arrow()
    with arrow.open_input_file(f"{BUCKET}/{prefix}/{key}") as file:
        assert file.read() == content
    with arrow.open_output_stream(f"{BUCKET}/{prefix}/theirs") as file:
        file.write(content)
    client.do("download", "theirs", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content


def test_an_empty_key_is_refused(store):
    store.put("k", b"x")
    for what in (
        lambda: store.do("delete", ""),
        lambda: store.put("", b"x"),
        lambda: store.head(""),
        lambda: store.get(""),
    ):
        refused("invalid_argument", what)
    assert store.keys() == ["k"]


def test_keys_cannot_leave_the_folder(make_client, tmp_path):
    store = make_client(f"file://{tmp_path}/objects")
    for key in ("../x", "a/../../x", "/etc/x", "a//b", "a/", ".", "", ".fletching-lock"):
        refused("invalid_argument", store.put, key, b"x")
    assert not (tmp_path / "x").exists()


def test_a_file_that_is_being_written_is_not_listed(make_client, tmp_path):
    store = make_client(f"file://{tmp_path}/objects")
    store.put("k", b"x")
    (tmp_path / "objects/.fletching-123-456").write_bytes(b"half")
    assert store.keys() == ["k"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_told_at_once(client, seeded, tmp_path):
    client.put("k", seeded.randbytes(6 * MIB))
    small = tmp_path / "small"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=4m tmpfs {small} 2>/dev/null") != 0:
        pytest.skip("mounting is not allowed here")
    try:
        text = refused("storage_full", client.do, "download", "k", small / "target")
        assert "No space left" in text
        assert list(small.iterdir()) == []
    finally:
        os.system(f"umount {small}")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("features/x", "s3://bucket/prefix"),
        ("gs://features/x", "gs://"),
        ("s3://ab/x", "bucket name"),
        ("s3://features/x?secret_key=abc", "none of"),
        ("file://relative/x", "absolute"),
        ("file:///", "absolute"),
    ],
)
def test_a_wrong_url_is_explained(make_client, url, words):
    with pytest.raises(Refused, match=words):
        make_client(url)
