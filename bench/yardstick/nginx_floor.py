#!/usr/bin/env python3
"""Starts nginx as the floor of HTTP: a POST with any body is answered with the same prepared bytes.

    nginx_floor.py --response-bytes 44000       prints {"listening": PORT}, serves until Ctrl-C

One worker, no logs, everything in a folder of its own that goes when the server does. nginx refuses
a POST for a file with 405; error_page turns that into the file with status 200. Only the process
started here is ever ended, by its pid.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  default_type application/octet-stream;
  sendfile {sendfile};
  tcp_nopush on;
  tcp_nodelay on;
  output_buffers 2 {buffer_kib}k;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 1g;
  client_header_buffer_size 64k;  # the whole request comes in with one read
  client_body_buffer_size 1m;
  open_file_cache max=16 inactive=1h;
  open_file_cache_valid 1h;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      root {dir}/www;
      error_page 405 =200 $uri;
    }}
  }}
}}
"""


def find_nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_listening(process: subprocess.Popen, port: int, log: Path) -> None:
    for _ in range(500):
        if process.poll() is not None:
            why = log.read_text() if log.exists() else "no log"
            raise RuntimeError(f"nginx ended with status {process.returncode}: {why}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise RuntimeError(f"nginx did not listen on port {port} within 5 s")


@contextlib.contextmanager
def serve(response: bytes, sendfile: bool = True, cpus: set[int] | None = None):
    """Yields the port of an nginx, kept on `cpus`: POST /response.bin returns `response`."""
    nginx = find_nginx()
    if nginx is None:
        raise FileNotFoundError("nginx is not installed (Debian: apt-get install nginx-light)")
    with tempfile.TemporaryDirectory(prefix="nginx_floor.") as name:
        folder = Path(name)
        (folder / "www").mkdir()
        (folder / "www" / "response.bin").write_bytes(response)
        port = free_port()
        settings = {
            "dir": folder,
            "port": port,
            "user": "user root;" if os.geteuid() == 0 else "",
            "sendfile": "on" if sendfile else "off",
            "buffer_kib": len(response) // 1024 + 4,
        }
        (folder / "nginx.conf").write_text(CONFIG.format(**settings))
        process = subprocess.Popen(
            [nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"],
            preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None,
        )
        try:
            wait_until_listening(process, port, folder / "error.log")
            yield port
        finally:
            process.terminate()
            process.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--response-bytes", type=int, default=44_000)
    parser.add_argument("--response-file", type=Path, help="these bytes instead of made-up ones")
    parser.add_argument("--sendfile", choices=("on", "off"), default="on")
    args = parser.parse_args()
    response = args.response_file.read_bytes() if args.response_file else b"y" * args.response_bytes
    with serve(response, args.sendfile == "on") as port:
        print(json.dumps({"listening": port}), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
