"""TLS to the store, in a process that has libparquet: it exports names of libcrypto, and libcurl of
the system must not see them."""

import subprocess
from pathlib import Path

import pytest
from object_client import Refused, s3_options
from s3_gateway import BUCKET, Gateway


@pytest.fixture
def tls_server(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", *curve, *name, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    gateway = Gateway(tmp_path / "buckets", tls=(certificate, key))
    (gateway.folder / BUCKET).mkdir()
    gateway.certificate = certificate
    yield gateway
    gateway.stop()


def test_tls_works_beside_libparquet(tls_server, make_client, seeded, tmp_path):
    options = s3_options(tls_server.endpoint, ca_file=tls_server.certificate)
    client = make_client(f"s3://{BUCKET}/tls", **options)
    content = seeded.randbytes(20 << 20)
    (tmp_path / "source").write_bytes(content)
    client.do("upload", "large", tmp_path / "source")
    client.do("download", "large", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content
    loaded = Path(f"/proc/{client.process.pid}/maps").read_text()
    for library in ("libparquet", "libarrow_s3", "libcurl.so.4", "libcrypto.so.3"):
        assert library in loaded
    assert client.close() == 0


def test_a_certificate_that_is_not_trusted_is_told(tls_server, make_client):
    client = make_client(f"s3://{BUCKET}/tls", **s3_options(tls_server.endpoint))
    with pytest.raises(Refused, match=r"certificate is not trusted .*fix: .*ca_file") as caught:
        client.keys()
    assert caught.value.code == "unavailable"
