"""Drives object_tool, the object store on a command line."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from s3_gateway import ACCESS_KEY, ROOT, SECRET_KEY

# Short enough for tests, long enough for a busy machine.
QUICK = {"backoff_first_ms": 10, "backoff_max_ms": 100, "stall_timeout_ms": 5_000}


def tool_path() -> Path:
    # Beside fletchingd, which the verbs name.
    named = os.environ.get("FLETCHINGD")
    beside = Path(named).parent / "object_tool" if named else None
    for path in (beside, ROOT / "build/dev/bin/object_tool"):
        if path is not None and path.exists():
            return path
    return pytest.fail("object_tool is not built: run `make`")


class Refused(Exception):
    """An error of the store: its code and text."""

    def __init__(self, answer: dict):
        super().__init__(f"{answer['error']}: {answer['message']}")
        self.code: str = answer["error"]
        self.text: str = answer["message"]


class ObjectClient:
    """One process with one store. Options are those of ObjectStoreOptions."""

    def __init__(
        self, url: str, folder: Path, env: dict[str, str] | None = None, wrap=(), **options
    ):
        self.folder = folder
        self.count = 0
        self.said = ""  # everything it ever wrote
        base = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        base["AWS_EC2_METADATA_DISABLED"] = "true"
        base["HOME"] = str(folder)
        flags = [f"--{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen(
            [*wrap, str(tool_path()), url, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**base, **(env or {})},
        )
        try:
            self.url = self._answer()["url"]
        except Refused:
            self.close()
            raise

    def start(self, *words) -> None:
        """Sends a command without waiting for its answer."""
        self.process.stdin.write("\t".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        assert line, f"object_tool ended with {self.process.wait()}"
        self.said += line
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer)
        return answer

    def finish(self) -> dict:
        """The answer of the command that was started."""
        return self._answer()

    def do(self, *words) -> dict:
        self.start(*words)
        return self._answer()

    def _file(self, content: bytes | None = None) -> Path:
        self.count += 1
        path = self.folder / f"object_client-{self.process.pid}-{self.count}"
        if content is not None:
            path.write_bytes(content)
        return path

    def put(self, key: str, content: bytes) -> dict:
        return self.do("put", key, self._file(content))

    def create(self, key: str, content: bytes) -> dict:
        return self.do("create", key, self._file(content))

    def replace(self, key: str, content: bytes, etag: str) -> dict:
        return self.do("replace", key, self._file(content), etag)

    def get(self, key: str, offset="", size="", if_match="", bytes_max="") -> bytes:
        path = self._file()
        self.do("get", key, path, offset, size, if_match, bytes_max)
        return path.read_bytes()

    def ranges(self, key: str, etag: str, *ranges: tuple[int, int]) -> bytes:
        path = self._file()
        self.do("ranges", key, etag, path, *(f"{offset}:{size}" for offset, size in ranges))
        return path.read_bytes()

    def head(self, key: str) -> dict:
        return self.do("head", key)

    def pages(self, prefix="", start_after="", entries_max=1000, shallow=False) -> list[dict]:
        how = "shallow" if shallow else ""
        return self.do("list", prefix, start_after, entries_max, how)["pages"]

    def keys(self, *args, **kwargs) -> list[str]:
        return [info["key"] for page in self.pages(*args, **kwargs) for info in page["objects"]]

    def close(self) -> int:
        self.process.stdin.close()
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def s3_options(endpoint: str, **options) -> dict:
    keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "region": "us-east-1"}
    return {"endpoint": endpoint, **keys, **QUICK, **options}
