"""Keys and TLS of a client: sent with every call, shown nowhere."""

import asyncio
import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from contextlib import contextmanager

import fletching
import pyarrow as pa
import pytest
from fletching._keygen import new_key

ROWS = pa.table({"id": [f"k{n}" for n in range(50_000)], "n": range(50_000)})

pytestmark = pytest.mark.skipif(
    "FLETCHINGD" not in os.environ, reason="FLETCHINGD does not name the server"
)


@contextmanager
def serving(folder, *flags):
    """-> "host:port" of a fletchingd over `folder`."""
    command = [os.environ["FLETCHINGD"], "--data-dir", folder, "--http", "127.0.0.1:0"]
    command += ["--flight", "off", "--shutdown-notice", "0ms", *flags]
    server = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = server.stdout.readline()
        assert line, server.stderr.read()
        yield json.loads(line)["http"]
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


@pytest.fixture
def keys(tmp_path):
    """name -> secret; the file is tmp_path / "keys"."""
    made = {name: new_key(name, name, []) for name in ("read", "write", "admin")}
    path = tmp_path / "keys"
    path.write_text("".join(line + "\n" for _, line in made.values()))
    path.chmod(0o600)
    return {name: secret for name, (secret, _) in made.items()}


@pytest.fixture
def address(tmp_path, keys):
    with serving(tmp_path / "guarded", "--keys-file", tmp_path / "keys") as at:
        yield at


def test_a_key_goes_with_every_call(address, keys):
    with fletching.connect(address, api_key=keys["admin"]) as client:
        client.write("t", ROWS, key="id")
        client.compact("t")
        assert client.delete("t", ["k1"]).row_count == 1
    with fletching.connect(address, api_key=keys["read"]) as client:
        assert client.read("t", ["k7"], ["n"]).to_arrow()["n"].to_pylist() == [7]
        assert sum(batch.num_rows for batch in client.scan("t")) == 49_999
        assert [table.name for table in client.tables()] == ["t"]
        with pytest.raises(fletching.ForbiddenError, match="role read on table 't'") as refused:
            client.write("t", {"id": ["z"], "n": [1]})
        assert isinstance(refused.value, PermissionError)
        assert refused.value.code == "forbidden"
        with pytest.raises(fletching.ForbiddenError):
            client.drop("t")


@pytest.mark.parametrize("wrong", [None, "", "flk_wrong"])
def test_without_a_good_one_it_is_told_so(address, wrong):
    with fletching.connect(address, api_key=wrong, retries=0) as client:
        with pytest.raises(fletching.UnauthenticatedError, match="key") as refused:
            client.tables()
        assert refused.value.code == "unauthenticated"
        assert "flk_wrong" not in str(refused.value)


def test_the_environment_may_have_it(address, keys, monkeypatch):
    monkeypatch.setenv("FLETCHING_API_KEY", keys["read"])
    assert fletching.connect(address).tables() == []
    with pytest.raises(fletching.UnauthenticatedError):
        fletching.connect(address, api_key="flk_other").tables()


def test_asyncio_sends_it_too(address, keys):
    async def go():
        async with fletching.connect_async(address, api_key=keys["admin"]) as client:
            await client.write("t", ROWS.slice(0, 10), key="id")
            assert (await client.read("t", ["k3"])).to_arrow()["n"].to_pylist() == [3]
            assert keys["admin"] not in repr(client)
        async with fletching.connect_async(address, api_key="flk_other") as client:
            with pytest.raises(fletching.UnauthenticatedError):
                await client.read("t", ["k3"])

    asyncio.run(go())


def test_pickles_carry_it_and_nothing_shows_it(address, keys):
    secret = keys["admin"]
    client = fletching.connect(address, api_key=secret)
    again = pickle.loads(pickle.dumps(client))
    assert again.tables() == []
    assert copy.copy(client).tables() == []
    assert secret not in repr(client) + repr(again) + str(client) + repr(client._tables)
    assert repr(client) == f"fletching.connect({address!r})"
    try:
        again.read("absent", ["a"])
    except fletching.NotFoundError:
        assert secret not in traceback.format_exc()
    else:
        pytest.fail("there is no such table")


@pytest.mark.parametrize("key", ["two words", "line\r\nX-Evil: 1", "ä", 7])
def test_what_cannot_be_sent_is_refused_and_not_shown(key):
    with pytest.raises(fletching.InvalidArgumentError, match="API key") as refused:
        fletching.connect("127.0.0.1:1", api_key=key)
    assert str(key) not in str(refused.value)


def test_the_command_line_makes_keys(tmp_path):
    command = [sys.executable, "-m", "fletching", "keygen", "etl", "--role", "none"]
    command += ["--grant", "t*=admin", "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    made = json.loads(done.stdout)
    assert made["secret"] not in made["line"]
    (tmp_path / "keys").write_text(made["line"] + "\n")
    with (
        serving(tmp_path / "data", "--keys-file", tmp_path / "keys") as at,
        fletching.connect(at, api_key=made["secret"]) as client,
    ):
        client.write("t1", {"id": ["a"]}, key="id")
        with pytest.raises(fletching.ForbiddenError, match="role none on table 'u'"):
            client.write("u", {"id": ["a"]}, key="id")
    for wrong in (["two words"], ["a", "--grant", "t"], ["a", "--grant", "t*x=read"]):
        done = subprocess.run(
            [*command[:4], *wrong], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


# -- TLS ----------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    """-> (certificate, key) for 127.0.0.1 and localhost"""
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command = ["openssl", "req", "-x509", *curve, *names, "-days", "2"]
    subprocess.run([*command, "-out", files[0], "-keyout", files[1]], check=True)
    return files


@pytest.fixture
def https(tmp_path, certificate):
    flags = ("--tls-cert", certificate[0], "--tls-key", certificate[1])
    with serving(tmp_path / "data", *flags) as at:
        yield f"https://{at}"


def test_everything_goes_through_tls(https, certificate):
    for host in ("127.0.0.1", "localhost"):
        url = https.replace("127.0.0.1", host)
        with fletching.connect(url, tls_ca=certificate[0]) as client:
            client.write("t", ROWS, key="id")
            got = client.read("t", ROWS["id"].to_pylist(), ["n"]).to_arrow()
            assert got["n"] == ROWS["n"].combine_chunks()
            assert sum(batch.num_rows for batch in client.scan("t")) == 50_000
            assert pickle.loads(pickle.dumps(client)).table("t").row_count == 50_000

            def many(client=client):
                for n in range(50):
                    assert client.read("t", [f"k{n}"]).to_arrow()["n"].to_pylist() == [n]

            threads = [threading.Thread(target=many) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            client.drop("t")


def test_asyncio_goes_through_tls(https, certificate):
    async def go():
        async with fletching.connect_async(https, tls_ca=certificate[0]) as client:
            await client.write("t", ROWS, key="id")

            async def one(n):
                return (await client.read("t", [f"k{n}"])).to_arrow()["n"].to_pylist()

            assert await asyncio.gather(*map(one, range(200))) == [[n] for n in range(200)]
            keys = ROWS["id"].to_pylist()
            assert (await client.read("t", keys)).to_arrow()["n"].to_pylist() == ROWS[
                "n"
            ].to_pylist()

    asyncio.run(go())


def test_a_forked_child_makes_connections_of_its_own(https, certificate):
    with fletching.connect(https, tls_ca=certificate[0]) as client:
        client.write("t", ROWS.slice(0, 100), key="id")
        child = os.fork()
        if child == 0:
            good = client.read("t", ["k5"]).to_arrow()["n"].to_pylist() == [5]
            os._exit(0 if good else 1)
        for _ in range(20):
            assert client.read("t", ["k6"]).to_arrow()["n"].to_pylist() == [6]
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_who_is_not_trusted_is_told_of(https, certificate, tmp_path):
    with (
        fletching.connect(https, retries=0) as client,
        pytest.raises(fletching.UnavailableError, match=r"self-signed certificate.*tls_ca"),
    ):
        client.tables()
    url = https.replace("127.0.0.1", "127.0.0.2")
    with (
        fletching.connect(url, tls_ca=certificate[0], retries=0) as client,
        pytest.raises(fletching.UnavailableError, match=r"no TLS with|cannot connect"),
    ):
        client.tables()
    with pytest.raises(fletching.InvalidArgumentError, match=r"absent\.pem"):
        fletching.connect(https, tls_ca=tmp_path / "absent.pem")
    with pytest.raises(fletching.InvalidArgumentError, match="tls_ca is for https"):
        fletching.connect("http://127.0.0.1:1", tls_ca=certificate[0])


def test_plain_text_and_tls_do_not_understand_each_other(https, address, keys):
    with (
        fletching.connect(f"https://{address}", retries=0) as client,
        pytest.raises(fletching.UnavailableError, match="is it https there"),
    ):
        client.tables()
    with (
        fletching.connect(https.replace("https", "http"), retries=0) as client,
        pytest.raises(fletching.UnavailableError),
    ):
        client.tables()
