"""The container image without Docker: Debian's base from mmdebstrap, then what the last stage of
the Dockerfile says, carried out in it; run as its user until its own health check is content.

Stands in for: the build stage (fletchingd of the build under test instead of a release build) and
debian:bookworm-slim (the same packages, but for apt). Needs root, mmdebstrap and a Debian mirror.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import daemon_path
from fletching._keygen import new_key

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
BASE = "debian:bookworm-slim"
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def last_stage() -> list[tuple[str, str]]:
    """(instruction, rest) of each line after the last FROM, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    steps = [tuple(line.strip().split(None, 1)) for line in lines if line.strip()]
    starts = [i for i, step in enumerate(steps) if step[0] == "FROM"]
    assert steps[starts[-1]] == ("FROM", BASE)
    return steps[starts[-1] + 1 :]


class Image:
    """A root file system and how to start what is in it."""

    def __init__(self, root: Path, collected: Path):
        self.root = root
        self.env: dict[str, str] = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"}
        self.user = self.entrypoint = self.healthcheck = self.folder = None
        for instruction, rest in last_stage():
            if instruction == "COPY":
                assert rest == "--from=build /image/ /"
                subprocess.run(["cp", "-a", f"{collected}/.", root], check=True)
            elif instruction == "RUN":
                subprocess.run(["chroot", root, "/bin/sh", "-ec", rest], check=True)
            elif instruction == "ENV":
                name, _, value = rest.partition("=")
                self.env[name] = value
            elif instruction == "USER":
                self.user, self.group = rest.split(":")
            elif instruction == "WORKDIR":
                self.folder = rest
            elif instruction == "HEALTHCHECK":
                self.healthcheck = json.loads(rest.partition(" CMD ")[2])
            elif instruction == "ENTRYPOINT":
                self.entrypoint = json.loads(rest)
            else:
                assert instruction in ("VOLUME", "EXPOSE", "STOPSIGNAL"), instruction

    def command(self, words: list[str]) -> list[str]:
        """As a container would run it: its user, no capabilities, none to be had, /proc mounted."""
        inside = [
            "setpriv", f"--reuid={self.user}", f"--regid={self.group}", "--clear-groups",
            "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
            "env", f"--chdir={self.folder}", *words,
        ]  # fmt: skip
        script = (
            f"mount -t proc proc {shlex.quote(str(self.root / 'proc'))} && "
            f"exec chroot {shlex.quote(str(self.root))} {shlex.join(inside)}"
        )
        return ["unshare", "--mount", "/bin/sh", "-c", script]

    def healthy(self, **env: str) -> bool:
        ended = subprocess.run(
            self.command(self.healthcheck),
            env={**self.env, **env},
            capture_output=True,
            timeout=30,
            check=False,
        )
        return ended.returncode == 0


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root, for chroot and mounts")
    for program in ("mmdebstrap", "unshare", "chroot", "cmake"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing; tools/setup.sh dev installs Debian's mmdebstrap")
    build = daemon_path().resolve().parents[1]
    if not (build / "cmake_install.cmake").exists():
        pytest.skip(f"{build} is no build folder, so there is nothing to install from")
    folder = tmp_path_factory.mktemp("image")
    collected, root = folder / "collected", folder / "root"
    subprocess.run([ROOT / "deploy/docker/collect.sh", build, collected], check=True)
    command = ["mmdebstrap", "--quiet", "--variant=essential", "--include=passwd,libstdc++6"]
    command += ["--dpkgopt=force-unsafe-io", "--aptopt=Acquire::Languages none"]
    command += ["--format=directory", "bookworm", root]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if made.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"mmdebstrap made no base (is a mirror in reach?): {made.stderr[-500:]}")
    yield Image(root, collected)
    shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_image_runs_as_its_user_until_it_is_healthy(image):
    assert image.user not in (None, "0", "root")
    assert image.env["FLETCHING_HTTP"] == "0.0.0.0:8080"
    port = free_port()
    # Of what the image says only the ports are others: those may be taken here.
    ports = {"FLETCHING_HTTP": f"0.0.0.0:{port}", "FLETCHING_METRICS": "127.0.0.1:0"}
    assert not image.healthy(**ports)
    refused = subprocess.run(
        image.command(image.entrypoint),
        env={**image.env, **ports},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode == 1
    assert "--keys-file" in refused.stderr
    secret, line = new_key("root", "admin", [])
    keys = image.root / "etc/fletching/keys"
    keys.parent.mkdir()
    keys.write_text(line + "\n")
    ports["FLETCHING_SECURITY_KEYS_FILE"] = "/etc/fletching/keys"
    server = subprocess.Popen(
        image.command(image.entrypoint),
        env={**image.env, **ports},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        line = server.stdout.readline()
        assert line, server.stderr.read().decode()
        ready = json.loads(line)
        deadline = time.monotonic() + 60
        while not image.healthy(**ports):
            assert time.monotonic() < deadline
            assert server.poll() is None

        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{ready['pid']}/status").read_text().splitlines()
        )
        assert status["Uid"].split() == [image.user] * 4
        assert status["Gid"].split() == [image.group] * 4
        assert status["NoNewPrivs"] == "1"
        assert all(int(status[name], 16) == 0 for name in CAPABILITIES)
        mapped = Path(f"/proc/{ready['pid']}/maps").read_text()
        assert str(ROOT) not in mapped, "a library comes from the build tree"

        url = f"http://127.0.0.1:{port}"
        table = {"columns": {"k": {"dtype": "utf8", "key": True, "nullable": False}}}
        request = urllib.request.Request(
            f"{url}/api/v1/table/t",
            json.dumps(table).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {secret}"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201
        with urllib.request.urlopen(f"{url}/health", timeout=30) as answer:
            assert answer.read() == b"OK"
        with urllib.request.urlopen(f"http://{ready['metrics']}/metrics", timeout=30) as answer:
            assert b'fletching_table_healthy{table="t"} 1' in answer.read()
        # It wrote to its data folder, and could to no other.
        data = image.root / image.env["FLETCHING_DATA_DIR"].lstrip("/")
        assert list((data / "tables").iterdir())
        assert data.stat().st_uid == int(image.user)
    finally:
        server.terminate()
        server.communicate(timeout=30)
    assert server.returncode == 0
    assert not image.healthy(**ports)


def test_the_image_holds_no_more_than_it_needs(image):
    programs = {path.name for path in (image.root / "usr/bin").iterdir()}
    assert not {name for name in programs if name.startswith(("python", "gcc", "cmake", "curl"))}
    collected_bytes = sum(
        path.stat().st_size
        for folder in ("opt", "usr/lib/fletching")
        for path in (image.root / folder).rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    assert collected_bytes < 128 << 20
    setuid = [path for path in (image.root / "opt").rglob("*") if path.stat().st_mode & 0o6000]
    assert not setuid
