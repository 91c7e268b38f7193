#!/usr/bin/env python3
"""Runs every yardstick and prints one table: the floors that docs/performance.md speaks of.

    bench/run_yardsticks.py                      everything, three rounds, about four minutes
    bench/run_yardsticks.py --only bare          or http, fsync; several with commas
    bench/run_yardsticks.py --smoke              seconds; shows that it works, measures nothing

Each line is measured once per round and the quietest round (least p50) is shown with the p50 of
all rounds beside it: on a shared machine a noisy second can double whatever runs in it.
Needs nothing but Python and the yardstick programs, which it compiles into build/yardsticks when
no --programs folder has them. Knows nothing of Fletching; measure the engine with its own
benchmarks and the server with the same http_client.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bench" / "yardstick"
PROGRAMS = ("bare_loop", "http_client", "bare_beast_server", "fsync_floor", "group_floor")
sys.path.insert(0, str(SOURCES))
import nginx_floor  # noqa: E402

# Where client and server run. A core that sleeps must be woken for every request and for every
# response, which costs more than all the rest; so the three cases are measured apart.
MODES = {
    "asleep": "two cores, both sleep between requests",
    "awake": "two cores, the client polls",
    "one core": "client and server share a core",
}


def find_programs(folder: Path | None) -> Path:
    """A folder that has all five programs: the one given, or build/yardsticks, compiled now."""
    if folder is not None:
        missing = [name for name in PROGRAMS if not (folder / name).exists()]
        if missing:
            sys.exit(f"error: {folder} lacks {', '.join(missing)}")
        return folder
    folder = ROOT / "build" / "yardsticks"
    folder.mkdir(parents=True, exist_ok=True)
    newest_header = max(header.stat().st_mtime for header in SOURCES.glob("*.h"))
    for name in PROGRAMS:
        source, program = SOURCES / f"{name}.cc", folder / name
        changed = max(newest_header, source.stat().st_mtime)
        if not program.exists() or program.stat().st_mtime < changed:
            print(f"compiling {name}", file=sys.stderr)
            flags = ["-std=c++20", "-O2", "-pthread"]
            subprocess.run(["g++", *flags, "-o", program, source], check=True)
    return folder


def run(program: Path, *flags: str) -> dict:
    """Runs a yardstick and returns its JSON line; what it says on a failure is shown."""
    done = subprocess.run([program, *flags], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {program.name} {' '.join(flags)}: {done.stderr.strip()}")
    result = json.loads(done.stdout.splitlines()[-1])
    result["command"] = " ".join([program.name, *flags])
    return result


class Table:
    """Collects the results of all rounds, by label, in the order of their first appearance."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[dict]] = {}

    def add(self, label: str, result: dict) -> None:
        result["item"] = label
        result["load_average"] = os.getloadavg()[0]
        self.rounds.setdefault(label, []).append(result)
        print(f"  {label}: p50 {result['p50_us']:.1f} us", file=sys.stderr)

    def quietest(self) -> list[dict]:
        return [min(rounds, key=lambda result: result["p50_us"]) for rounds in self.rounds.values()]

    def print(self) -> None:
        width = max(len(label) for label in self.rounds)
        print(f"{'':{width}}  p50 us  p90 us  p99 us   p50 of each round   output hash")
        for label, rounds in self.rounds.items():
            best = min(rounds, key=lambda result: result["p50_us"])
            all_p50 = " ".join(f"{result['p50_us']:.1f}" for result in rounds)
            digest = best.get("output_hash", best.get("last_body_hash", ""))
            print(
                f"{label:{width}}  {best['p50_us']:6.1f}  {best['p90_us']:6.1f}  "
                f"{best['p99_us']:6.1f}   {all_p50:18}  {digest}"
            )


def measure_bare_loop(programs: Path, table: Table, smoke: bool) -> None:
    cases = {
        "bare loop: 10 M rows": [],
        "bare loop: 10 M rows, 4 KiB pages": ["--pages=4k"],
        "bare loop: 10 M rows, no key found": ["--hit-ratio=0"],
        "bare loop: 10 M rows, half found": ["--hit-ratio=0.5"],
        "bare loop: 1 M rows": ["--rows=1000000"],
        "bare loop: 20 M rows": ["--rows=20000000"],
        "bare loop: 1 M rows, 10 of 500 columns": ["--rows=1000000", "--columns-in-row=500"],
    }
    for label, flags in cases.items():
        if smoke:
            flags = ["--smoke", *(flag for flag in flags if not flag.startswith("--rows"))]
        table.add(label, run(programs / "bare_loop", *flags))


def measure_fsync(programs: Path, table: Table, args: argparse.Namespace) -> None:
    tries = "--tries=5" if args.smoke else "--tries=2000"
    for rows in (1, 1_000):
        size = f"--bytes={rows * args.write_bytes // 1_000}"
        for label, extra in (("growing file", []), ("file of full length", ["--prepared"])):
            result = run(programs / "fsync_floor", f"--dir={args.dir}", size, tries, *extra)
            table.add(f"append of {rows:,} rows + fdatasync, {label}", result)
    smoke = ["--smoke"] if args.smoke else []
    result = run(programs / "group_floor", f"--dir={args.dir}", *smoke)
    print(f"  64 appending threads: {result['ratio']:.1f} x the rate of one", file=sys.stderr)


@contextlib.contextmanager
def beast(programs: Path, response_bytes: int, cpus: set[int] | None):
    """Yields the port of a bare Beast server kept on `cpus`."""
    command = [programs / "bare_beast_server", f"--response-bytes={response_bytes}"]
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin)
    try:
        yield json.loads(server.stdout.readline())["listening"]
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


def client_flags(mode: str, cpus: list[int]) -> list[str]:
    if len(cpus) < 2:
        return []
    return {
        "asleep": [f"--cpu={cpus[1]}"],
        "awake": [f"--cpu={cpus[1]}", "--spin"],
        "one core": [f"--cpu={cpus[0]}"],
    }[mode]


def measure_http(programs: Path, table: Table, args: argparse.Namespace) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    server_cpus = {cpus[0]} if len(cpus) > 1 else None
    count = "--requests=50" if args.smoke else "--requests=4000"
    shapes = {
        "read": (args.request_bytes, args.response_bytes),
        "write": (args.write_bytes, 100),
    }
    for shape, (request_bytes, response_bytes) in shapes.items():
        with contextlib.ExitStack() as stack:
            ports = {"Beast": stack.enter_context(beast(programs, response_bytes, server_cpus))}
            if nginx_floor.find_nginx():
                serving = nginx_floor.serve(b"y" * response_bytes, True, server_cpus)
                ports["nginx"] = stack.enter_context(serving)
            else:
                print("note: nginx is not installed, so only Beast is measured", file=sys.stderr)
            for mode in MODES if server_cpus else ["asleep"]:
                for name, port in ports.items():
                    flags = ["--path=/response.bin", f"--body-bytes={request_bytes}", count]
                    flags += [f"--expect-bytes={response_bytes}", *client_flags(mode, cpus)]
                    result = run(programs / "http_client", f"--port={port}", *flags)
                    label = f"HTTP {shape}, {request_bytes:,} B in, {response_bytes:,} out"
                    table.add(f"{label}, {mode}, {name}", result)


def describe_machine() -> str:
    model = "unknown CPU"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    kernel = platform.release().partition("-")[0]
    return f"{os.cpu_count()} x {model}, Linux {kernel}, load {os.getloadavg()[0]:.2f}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programs", type=Path, help="folder of the compiled yardsticks")
    parser.add_argument("--only", default="bare,fsync,http", help="which groups, with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one round")
    parser.add_argument("--dir", type=Path, default=ROOT, help="folder on the disk to measure")
    parser.add_argument("--request-bytes", type=int, default=14_000, help="1,000 keys")
    parser.add_argument("--response-bytes", type=int, default=44_000, help="their ten columns")
    parser.add_argument("--write-bytes", type=int, default=58_000, help="1,000 rows")
    parser.add_argument("--json", type=Path, help="write all results here, one JSON line each")
    args = parser.parse_args()
    args.only = args.only.split(",")
    unknown = set(args.only) - {"bare", "fsync", "http"}
    if unknown:
        parser.error(f"--only knows bare, fsync and http, not {', '.join(sorted(unknown))}")
    if args.smoke:
        args.rounds = 1
    return args


def main() -> None:
    args = parse_arguments()
    programs = find_programs(args.programs)
    table = Table()
    print(describe_machine())
    started = time.monotonic()
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        if "bare" in args.only:
            measure_bare_loop(programs, table, args.smoke)
        if "fsync" in args.only:
            measure_fsync(programs, table, args)
        if "http" in args.only:
            measure_http(programs, table, args)
    table.print()
    print(f"took {time.monotonic() - started:.0f} s; load now {os.getloadavg()[0]:.2f}")
    if args.json:
        results = [result for rounds in table.rounds.values() for result in rounds]
        args.json.write_text("".join(json.dumps(result) + "\n" for result in results))


if __name__ == "__main__":
    main()
