"""What the tests of object storage share: a real S3 server, a faulty way to it, and a client."""

import random

import pytest
from fault_proxy import proxy
from object_client import ObjectClient, s3_options
from s3_gateway import BUCKET, own_s3_server, prefix, s3_server

__all__ = ["own_s3_server", "prefix", "proxy", "s3_server"]


@pytest.fixture
def seeded(request) -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture
def make_client(tmp_path):
    """Starts clients; those still alive are ended after the test."""
    started: list[ObjectClient] = []

    def make(url: str, **options) -> ObjectClient:
        client = ObjectClient(url, tmp_path, **options)
        started.append(client)
        return client

    yield make
    for client in started:
        if client.process.poll() is None:
            client.kill()


@pytest.fixture
def client(s3_server, make_client, prefix):
    """A client straight to the server, in a prefix of its own."""
    return make_client(f"s3://{BUCKET}/{prefix}", **s3_options(s3_server.endpoint))


@pytest.fixture
def faulty(proxy, make_client, prefix):
    """A client whose way leads through the proxy."""

    def make(**options) -> ObjectClient:
        return make_client(f"s3://{BUCKET}/{prefix}", **s3_options(proxy.endpoint, **options))

    return make
