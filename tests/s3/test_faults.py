"""The object store when the network, the server or another writer misbehaves.

Nothing here asserts how long something takes, but for one bound: a call that cannot be done ends
within its deadline and some slack, where without a deadline it would hang for ever.
"""

import re
import threading
import time

import pytest
from fault_proxy import FaultProxy
from object_client import Refused, s3_options
from s3_gateway import ACCESS_KEY, BUCKET, SECRET_KEY

MIB = 1 << 20
SLACK_S = 20  # of a busy machine
PART = {"part_bytes": MIB, "connections_max": 4}


def refused(code: str, function, *args, **kwargs) -> str:
    with pytest.raises(Refused) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code, caught.value
    return caught.value.text


# ---- what somebody has to mend: told at once, with the place and the fix ----


def test_wrong_credentials_are_told(s3_server, make_client):
    url = f"s3://{BUCKET}/x"
    wrong_secret = make_client(url, **s3_options(s3_server.endpoint, secret_key="wr0ng-secret"))
    wrong_key = make_client(url, **s3_options(s3_server.endpoint, access_key="nobody"))
    for client in (wrong_secret, wrong_key):
        for what in (
            lambda c=client: c.head("k"),
            lambda c=client: c.get("k"),
            lambda c=client: c.put("k", b"x"),
            lambda c=client: c.create("k", b"x"),
            lambda c=client: c.keys(),
            lambda c=client: c.do("delete", "k"),
        ):
            text = refused("unavailable", what)
            assert "credentials" in text and "fix:" in text
            assert f"s3://{BUCKET}/x/" in text and s3_server.endpoint in text


def test_a_missing_bucket_is_told(s3_server, make_client):
    client = make_client("s3://no-such-bucket/x", **s3_options(s3_server.endpoint))
    for what in (
        lambda: client.head("k"),
        lambda: client.get("k"),
        lambda: client.put("k", b"x"),
        lambda: client.create("k", b"x"),
        lambda: client.keys(),
    ):
        assert "there is no bucket 'no-such-bucket'" in refused("not_found", what)


def test_a_wrong_region_is_told(s3_server, make_client):
    client = make_client(f"s3://{BUCKET}/x", **s3_options(s3_server.endpoint, region="eu-north-1"))
    text = refused("unavailable", client.keys)
    assert "region 'eu-north-1'" in text and "fix: set the region" in text


def test_a_wrong_clock_is_told(s3_server, make_client):
    for shift_s, word in ((7200, "ahead"), (-7200, "behind")):
        options = s3_options(s3_server.endpoint, clock_shift_s=shift_s)
        client = make_client(f"s3://{BUCKET}/x", **options)
        text = refused("unavailable", client.keys)
        assert re.search(rf"clock.* (719\d|720\d) s {word}; fix: set the clock", text), text


def test_an_endpoint_that_is_not_there_is_told(make_client, own_s3_server):
    own_s3_server.stop()
    options = s3_options(own_s3_server.endpoint, deadline_ms=500)
    text = refused("deadline", make_client(f"s3://{BUCKET}/x", **options).keys)
    assert own_s3_server.endpoint in text and "attempts" in text and "onnect" in text


def test_no_secret_is_ever_said(s3_server, proxy, make_client):
    """Neither in errors nor on stderr, whatever fails; secrets are searched for by their text."""
    token = "t0ken-of-a-session"
    secrets = (SECRET_KEY, token, "wr0ng-secret", "Signature=", "AWS4-HMAC")
    options = {"session_token": token, "deadline_ms": 300}
    clients = [
        make_client(f"s3://{BUCKET}/x", **s3_options(s3_server.endpoint, **options)),
        make_client(
            f"s3://{BUCKET}/x", **s3_options(proxy.endpoint, **{**options, "region": "eu-north-1"})
        ),
        make_client(
            f"s3://{BUCKET}/x",
            **s3_options("http://127.0.0.1:1", secret_key="wr0ng-secret", deadline_ms=300),
        ),
    ]
    proxy.plan("PUT", answer=503, times=100)
    proxy.plan("GET", answer=400, answer_code="InvalidToken", times=100)
    for client in clients:
        for what in (client.keys, lambda c=client: c.put("k", b"x"), lambda c=client: c.head("k")):
            with pytest.raises(Refused):
                what()
        assert not [secret for secret in secrets if secret in client.said], client.said
    with pytest.raises(Refused) as caught:
        make_client("s3://key:pr1vate@features/x")
    assert "pr1vate" not in str(caught.value)


def test_half_a_pair_of_credentials_is_told(make_client):
    with pytest.raises(Refused, match="not both"):
        make_client(f"s3://{BUCKET}/x", access_key="only")
    with pytest.raises(Refused, match="the environment has"):
        make_client(f"s3://{BUCKET}/x", env={"AWS_SECRET_ACCESS_KEY": "only"})


# ---- what passes: tried again ----


def test_a_storm_of_503_is_waited_out(faulty, proxy):
    client = faulty()
    proxy.plan(answer=503, times=8)
    client.put("k", b"x")
    assert client.get("k") == b"x"
    proxy.plan(answer=429, times=3)
    assert client.keys() == ["k"]
    proxy.plan(answer=500, answer_code="InternalError", times=3)
    assert client.head("k")["size"] == 1
    proxy.plan(answer=503, times=6)
    with pytest.raises(Refused, match="already_exists"):
        client.create("k", b"y")


def test_a_storm_without_end_is_an_error(faulty, proxy):
    client = faulty(deadline_ms=700)
    proxy.plan(answer=503, times=10_000)
    for what in (client.keys, lambda: client.put("k", b"x"), lambda: client.create("k", b"x")):
        text = refused("deadline", what)
        assert "503" in text and "700 ms" in text


def test_attempts_are_spread(faulty, proxy):
    """Back-off doubles: in two seconds there are few attempts, not thousands."""
    client = faulty(deadline_ms=2000, backoff_first_ms=100, backoff_max_ms=10_000)
    proxy.plan(answer=503, times=10_000)
    refused("deadline", client.keys)
    assert 3 <= len(proxy.seen) <= 8


def test_a_hanging_answer_ends_by_the_timeout(faulty, proxy):
    client = faulty(stall_timeout_ms=300, deadline_ms=60_000)
    client.put("k", b"x" * 100_000)
    proxy.plan("GET", hang=True)
    assert client.get("k") == b"x" * 100_000
    proxy.plan("GET", hang_after=5_000)
    assert client.get("k") == b"x" * 100_000
    proxy.plan("PUT", hang=True)
    client.put("k", b"y")
    assert client.get("k") == b"y"


def test_a_hanging_server_ends_by_the_deadline(faulty, proxy):
    client = faulty(stall_timeout_ms=200, deadline_ms=900)
    proxy.plan(hang=True, times=1000)
    started = time.monotonic()
    assert "nothing came or went for 200 ms" in refused("deadline", client.keys)
    assert time.monotonic() - started < SLACK_S


def test_a_call_can_be_stopped(faulty, proxy, tmp_path):
    client = faulty(**PART)
    client.put("k", bytes(3 * MIB))
    for what in (("list", ""), ("download", "k", tmp_path / "t"), ("create", "new", "/dev/null")):
        proxy.plan(hang=True, times=100)
        client.start("stop_after", 100)
        started = time.monotonic()
        refused("cancelled", client.do, *what)
        assert time.monotonic() - started < SLACK_S
        proxy.clear()


def test_slow_is_not_broken(faulty, proxy):
    client = faulty(stall_timeout_ms=5_000)
    proxy.plan("PUT", delay_s=0.5)
    client.put("k", b"x")
    proxy.plan("GET", delay_s=0.5)
    assert client.get("k") == b"x"
    assert [seen.method for seen in proxy.seen] == ["PUT", "GET"]


# ---- large objects ----


def make_large(client, seeded, size=9 * MIB + 123) -> bytes:
    content = seeded.randbytes(size)
    client.put("large", content)
    return content


def fetched_bytes(proxy: FaultProxy) -> int:
    total = 0
    for seen in proxy.seen:
        if seen.method == "GET" and "range" in seen.headers:
            first, last = seen.headers["range"].removeprefix("bytes=").split("-")
            total += int(last) - int(first) + 1
    return total


def test_a_reset_in_mid_object_is_gone_on_from(faulty, proxy, seeded, tmp_path):
    client = faulty(**PART)
    content = make_large(client, seeded)
    for n in range(6):
        proxy.plan("GET", skip=n, reset_after=seeded.randrange(1, MIB))
    client.do("download", "large", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content
    # Each reset asked again for what was missing, not for the whole part.
    assert fetched_bytes(proxy) < len(content) + 6 * MIB
    proxy.plan("GET", reset_after=12_345)
    assert client.get("large") == content
    assert any(seen.headers.get("range", "").startswith("bytes=12345-") for seen in proxy.seen)


def test_truncated_answers_are_gone_on_from(faulty, proxy, seeded, tmp_path):
    client = faulty(**PART)
    content = make_large(client, seeded)
    proxy.plan("GET", cut_after=1000, times=5)
    proxy.plan("GET", cut_after=0, times=2)
    client.do("download", "large", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content


@pytest.mark.parametrize("delta", [-1000, -1, 1, 1000])
def test_wrong_lengths_are_never_accepted(faulty, proxy, seeded, tmp_path, delta):
    client = faulty(**PART, stall_timeout_ms=1_000, deadline_ms=4_000)
    content = make_large(client, seeded)
    # Once: asked again. Always: an error, and no file.
    proxy.plan("GET", corrupt_length=delta, times=3)
    client.do("download", "large", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content
    proxy.plan("GET", corrupt_length=delta, times=10_000)
    for what in (
        lambda: client.get("large"),
        lambda: client.do("download", "large", tmp_path / "second"),
    ):
        with pytest.raises(Refused) as caught:
            what()
        assert caught.value.code in ("unavailable", "deadline")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("words", [b"", b"Content-Length: 0\r\n", b"Content-Length: 5000\r\n"])
def test_a_wrong_length_in_the_head_is_never_accepted(faulty, proxy, seeded, tmp_path, words):
    client = faulty(**PART, deadline_ms=2_000)
    make_large(client, seeded)
    old = rb"(?i)Content-Length: [^\r]*\r\n"
    proxy.plan("HEAD", rewrite=lambda head: re.sub(old, words, head), times=10_000)
    with pytest.raises(Refused):
        client.do("download", "large", tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (rb"bytes 0-1048575/", b"bytes 1-1048576/"),
        (rb"bytes 0-1048575/", b"bytes 0-1048574/"),
        (rb"/9437307", b"/9437308"),
        (rb"206 Partial Content", b"200 OK"),
        (rb"(?i)Content-Range: [^\r]*\r\n", b""),
        (rb"(?i)etag: [^\r]*\r\n", b""),
    ],
)
def test_an_answer_for_another_range_is_not_accepted(faulty, proxy, seeded, tmp_path, old, new):
    client = faulty(**PART)
    make_large(client, seeded)
    proxy.plan("GET", rewrite=lambda head: re.sub(old, new, head), times=10_000)
    text = refused("unavailable", client.do, "download", "large", tmp_path / "target")
    assert "does not add up" in text
    assert not (tmp_path / "target").exists()


def test_an_object_replaced_between_ranges_is_an_error(faulty, proxy, client, seeded, tmp_path):
    through = faulty(**{**PART, "connections_max": 1})
    content = make_large(through, seeded)
    etag = through.head("large")["etag"]
    proxy.plan("GET", skip=3, before=lambda: client.put("large", content[::-1]))
    text = refused("already_exists", through.do, "download", "large", tmp_path / "target")
    assert "replaced" in text and "large" in text
    assert not (tmp_path / "target").exists()
    refused("already_exists", through.ranges, "large", etag, (0, 10))
    # The next call begins anew, with the new object.
    through.do("download", "large", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content[::-1]


def test_an_object_replaced_in_mid_get_is_an_error(faulty, proxy, client, seeded):
    through = faulty()
    content = make_large(through, seeded)
    proxy.plan("GET", reset_after=MIB)
    proxy.plan("GET", before=lambda: client.put("large", content[::-1]))
    assert "replaced" in refused("already_exists", through.get, "large")


def test_a_download_goes_on_where_an_earlier_one_was_killed(faulty, proxy, seeded, tmp_path):
    first = faulty(**{**PART, "connections_max": 2})
    content = make_large(first, seeded)
    proxy.clear()
    # The fifth part hangs, so the process has some parts and cannot have all.
    proxy.plan("GET", skip=4, hang_after=1000, times=100)
    first.start("download", "large", tmp_path / "target")
    give_up = time.monotonic() + 60
    while len(proxy.seen) < 7 and time.monotonic() < give_up:
        time.sleep(0.01)
    first.kill()
    assert (tmp_path / "target.part").exists() and not (tmp_path / "target").exists()
    # A part that was written wrongly, as a power loss may leave it, is noticed.
    with (tmp_path / "target.part").open("r+b") as part:
        part.write(bytes(1000))
    proxy.clear()
    second = faulty(**PART)
    second.do("download", "large", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content
    assert fetched_bytes(proxy) < len(content) - 2 * MIB
    assert sorted(path.name for path in tmp_path.glob("target*")) == ["target"]


def test_one_download_to_a_path_at_a_time(faulty, proxy, seeded, tmp_path):
    first, second = faulty(**PART), faulty(**PART)
    content = make_large(first, seeded)
    proxy.plan("GET", skip=2, delay_s=1.5)
    first.start("download", "large", tmp_path / "target")
    while not (tmp_path / "target.part").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    refused("locked", second.do, "download", "large", tmp_path / "target")
    first.finish()
    assert (tmp_path / "target").read_bytes() == content


def slow_proxy_to(gateway) -> FaultProxy:
    proxy = FaultProxy(gateway.port)
    proxy.plan("GET|PUT", r"large", delay_s=0.15, times=10_000)
    return proxy


def restart_in(gateway, stop_after_s: float, start_after_s: float) -> threading.Thread:
    def run() -> None:
        time.sleep(stop_after_s)
        gateway.stop()
        time.sleep(start_after_s)
        gateway.start()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_server_restarted_in_mid_download(own_s3_server, make_client, seeded, tmp_path):
    direct = make_client(f"s3://{BUCKET}/p", **s3_options(own_s3_server.endpoint))
    content = make_large(direct, seeded)
    proxy = slow_proxy_to(own_s3_server)
    client = make_client(f"s3://{BUCKET}/p", **s3_options(proxy.endpoint, **PART))
    restarted = restart_in(own_s3_server, 0.4, 0.5)
    client.do("download", "large", tmp_path / "target")
    restarted.join()
    assert (tmp_path / "target").read_bytes() == content
    proxy.stop()


def test_a_server_that_stays_away_in_mid_download(own_s3_server, make_client, seeded, tmp_path):
    direct = make_client(f"s3://{BUCKET}/p", **s3_options(own_s3_server.endpoint))
    content = make_large(direct, seeded)
    proxy = slow_proxy_to(own_s3_server)
    options = {**PART, "connections_max": 1, "deadline_ms": 1000}
    client = make_client(f"s3://{BUCKET}/p", **s3_options(proxy.endpoint, **options))
    client.start("download", "large", tmp_path / "target")
    while len([seen for seen in proxy.seen if seen.method == "GET"]) < 5:
        time.sleep(0.01)
    own_s3_server.stop()
    assert "large" in refused("deadline", client.finish)
    assert not (tmp_path / "target").exists()
    own_s3_server.start()
    proxy.clear()
    client.do("download", "large", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content
    assert fetched_bytes(proxy) < len(content) - 2 * MIB
    proxy.stop()


def test_a_server_restarted_in_mid_upload(own_s3_server, make_client, seeded, tmp_path):
    content = seeded.randbytes(31 * MIB)
    (tmp_path / "source").write_bytes(content)
    proxy = slow_proxy_to(own_s3_server)
    options = {"connections_max": 1, "part_bytes": 5 * MIB}
    client = make_client(f"s3://{BUCKET}/p", **s3_options(proxy.endpoint, **options))
    client.start("upload", "large", tmp_path / "source")
    while len([seen for seen in proxy.seen if seen.method == "PUT"]) < 4:
        time.sleep(0.01)
    own_s3_server.stop()
    own_s3_server.start()
    put = client.finish()
    parts = [seen.target for seen in proxy.seen if seen.method == "PUT"]
    # Parts that had arrived were not sent again.
    assert len(parts) <= 7 + 4 and len(set(parts)) == 7
    client.do("download", "large", tmp_path / "target", put["etag"])
    assert (tmp_path / "target").read_bytes() == content
    proxy.stop()


def test_a_failed_upload_leaves_nothing(own_s3_server, make_client, seeded, tmp_path):
    (tmp_path / "source").write_bytes(seeded.randbytes(16 * MIB))
    proxy = FaultProxy(own_s3_server.port)
    options = {"part_bytes": 5 * MIB, "deadline_ms": 1500}
    client = make_client(f"s3://{BUCKET}/p", **s3_options(proxy.endpoint, **options))
    proxy.plan("PUT", r"partNumber=3", lose_request_after=1000, times=10_000)
    text = refused("deadline", client.do, "upload", "large", tmp_path / "source")
    assert "cannot write" in text and "p/large" in text
    assert client.keys() == []
    aborted = [seen for seen in proxy.seen if seen.method == "DELETE"]
    assert aborted and "uploadId=" in aborted[0].target
    kept = [path for path in own_s3_server.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < MIB, kept
    proxy.stop()


def test_a_lost_answer_to_the_end_of_an_upload(faulty, proxy, seeded, tmp_path):
    content = seeded.randbytes(11 * MIB)
    (tmp_path / "source").write_bytes(content)
    client = faulty(part_bytes=5 * MIB)
    proxy.plan("POST", r"uploadId=", lose_answer=True)
    put = client.do("upload", "large", tmp_path / "source")
    assert client.head("large")["etag"] == put["etag"]
    assert client.get("large") == content


# ---- conditional puts whose answer is lost ----


@pytest.mark.parametrize("how", [{"lose_answer": True}, {"lose_request_after": 2}, {"answer": 503}])
def test_a_conditional_put_with_a_lost_answer(faulty, proxy, client, how):
    through = faulty()
    proxy.plan("PUT", **how, times=2)
    first = through.create("m", b"first")
    assert client.get("m") == b"first"
    assert client.head("m")["etag"] == first["etag"]
    methods = [seen.method for seen in proxy.clear()]
    proxy.plan("PUT", **how, times=2)
    second = through.replace("m", b"second", first["etag"])
    assert client.get("m") == b"second"
    assert client.head("m")["etag"] == second["etag"]
    # An unclear end is followed by a look, never by another put.
    for seen in (methods, [seen.method for seen in proxy.seen]):
        assert seen in (["PUT", "HEAD"], ["PUT", "HEAD", "PUT", "HEAD", "PUT"])


def test_a_lost_answer_is_no_win_for_another(faulty, proxy, client):
    """Ours is lost on its way, and another writes the very same bytes: theirs is not ours."""
    through = faulty()
    proxy.plan("PUT", lose_request_after=2)
    proxy.plan("HEAD", before=lambda: client.create("m", b"same"))
    refused("already_exists", through.create, "m", b"same")
    etag = client.head("m")["etag"]
    proxy.plan("PUT", lose_request_after=2)
    proxy.plan("HEAD", before=lambda: client.replace("m", b"theirs", etag))
    refused("already_exists", through.replace, "m", b"ours!!", etag)
    assert client.get("m") == b"theirs"


def test_an_outcome_that_stays_unknown_is_an_error(faulty, proxy, client):
    through = faulty(deadline_ms=800)
    proxy.plan("PUT", lose_answer=True)
    proxy.plan("HEAD", answer=503, times=10_000)
    refused("deadline", through.create, "m", b"first")
    assert client.get("m") == b"first"


def test_answers_that_are_no_s3(faulty, proxy):
    client = faulty(deadline_ms=1000)
    proxy.plan("GET", rewrite=lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>hi!")
    assert "not what S3 would say" in refused("unavailable", client.keys)
    proxy.plan("GET", answer=418, answer_code="Teapot")
    assert "418" in refused("unavailable", client.keys)
    # A 404 of somebody else does not mean that the object is not there.
    for verb in (lambda: client.get("k"), lambda: client.head("k"), client.keys):
        proxy.plan(answer=404, answer_code="PageNotFound", times=2)
        assert "PageNotFound" in refused("unavailable", verb)
        proxy.clear()
    proxy.plan(answer=507)
    refused("storage_full", client.put, "k", b"x")


def test_the_environment_is_enough(s3_server, proxy, make_client, prefix, tmp_path):
    client = make_client(f"s3://{BUCKET}/{prefix}", env=s3_server.env)
    client.put("k", b"x")
    assert client.get("k") == b"x"
    # A profile file, found by the chain of the SDK; the process ends in order.
    (tmp_path / "credentials").write_text(
        f"[night]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    env = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_PROFILE": "night",
        "AWS_ENDPOINT_URL": s3_server.endpoint,
    }
    client = make_client(f"s3://{BUCKET}/{prefix}", env=env)
    assert client.get("k") == b"x"
    assert client.close() == 0
    # Those of the chain are renewed when they expire; given ones cannot be.
    expired = {"answer": 400, "answer_code": "ExpiredToken"}
    env["AWS_ENDPOINT_URL"] = proxy.endpoint
    client = make_client(f"s3://{BUCKET}/{prefix}", env=env)
    proxy.plan("GET", times=2, **expired)
    assert client.get("k") == b"x"
    env = {**s3_server.env, "AWS_ENDPOINT_URL": proxy.endpoint}
    client = make_client(f"s3://{BUCKET}/{prefix}", env=env)
    proxy.plan("GET", **expired)
    assert "have expired" in refused("unavailable", client.get, "k")
    client = make_client(f"s3://{BUCKET}/{prefix}", env={"AWS_ENDPOINT_URL": s3_server.endpoint})
    text = refused("unavailable", client.get, "k")
    assert "no S3 credentials found" in text and "AWS_ACCESS_KEY_ID" in text
    assert client.close() == 0
