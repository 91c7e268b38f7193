"""A real S3 server for tests: versitygw over a folder, on a free loopback port, ended by its pid.

FLETCHING_VERSITYGW names the program; without it tools/versitygw.sh is asked, which builds it once.
Other folders of tests get the fixture by `from s3_gateway import s3_server`.
"""

import os
import socket
import subprocess
import time
from pathlib import Path

import pyarrow.fs
import pytest

ROOT = Path(__file__).parents[2]
ACCESS_KEY = "fletching-tests"
SECRET_KEY = "only-for-the-loopback"
REGION = "us-east-1"
BUCKET = "features"
START_SECONDS = 30


def gateway_path() -> str:
    asked = subprocess.run([ROOT / "tools/versitygw.sh"], capture_output=True, text=True)
    if asked.returncode != 0:
        pytest.fail(f"no versitygw: {asked.stderr}")
    return asked.stdout.strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """One running versitygw. `stop` and `start` are a restart on the same port and folder."""

    def __init__(self, folder: Path, tls: tuple[Path, Path] | None = None, region: str = REGION):
        self.folder = folder
        self.region = region
        self.log_path = folder.parent / f"{folder.name}.log"
        self.port = free_port()
        self.scheme = "https" if tls else "http"
        self.tls_flags = ["--cert", str(tls[0]), "--key", str(tls[1])] if tls else []
        self.process: subprocess.Popen | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """What a client's environment needs."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        command = [gateway_path(), "--port", f"127.0.0.1:{self.port}", "--keep-alive", "--quiet"]
        command += ["--region", self.region]
        command += [*self.tls_flags, "posix", *self.metadata_flags(), str(self.folder)]
        secrets = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **secrets}
            )
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"versitygw does not start: {self.log_path.read_text()}")

    def metadata_flags(self) -> list[str]:
        """Where the file system has no extended attributes, metadata goes beside."""
        try:
            os.setxattr(self.folder, "user.fletching", b"1")
        except OSError:
            beside = self.folder.parent / f"{self.folder.name}.meta"
            beside.mkdir(exist_ok=True)
            return ["--sidecar", str(beside)]
        return []

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.kill()  # as a crash would; it keeps no state in memory
        self.process.wait(timeout=30)
        self.process = None

    def arrow(self) -> pyarrow.fs.S3FileSystem:
        """Another client, to hold ours against."""
        return pyarrow.fs.S3FileSystem(
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            region=self.region,
            endpoint_override=self.endpoint,
            allow_bucket_creation=True,
        )


@pytest.fixture
def prefix(request) -> str:
    """A prefix that no other test uses."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """One gateway with the bucket `features`, for tests that only use it."""
    gateway = Gateway(tmp_path_factory.mktemp("s3") / "buckets")
    gateway.arrow().create_dir(BUCKET)
    yield gateway
    gateway.stop()


@pytest.fixture
def own_s3_server(tmp_path):
    """A gateway that the test may stop and start."""
    gateway = Gateway(tmp_path / "buckets")
    gateway.arrow().create_dir(BUCKET)
    yield gateway
    gateway.stop()
