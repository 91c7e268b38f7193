#!/usr/bin/env python3
"""A node without a state of its own: `make demo-s3`.

Starts a real S3 server, puts two dates of the flights of 2013 there, starts a node from a YAML file
and reads both generations through Flight and HTTP while the second arrives. Then the node is killed
and its disk removed, and a new one with the same YAML serves the same rows. Every answer is of one
generation, and every value of every row is compared with pandas; ends with an error if one differs.
"""

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq
from compare import differences, value_count
from doors import Client, Server, fetch_body, parse_rows
from flights_data import FlightTable, load
from s3_gateway import BUCKET, REGION, Gateway

FIRST, SECOND = "2013-12-30", "2013-12-31"
COLUMNS = ["dep_delay", "arr_delay", "tailnum", "distance", "scheduled", "loaded_with"]
PREFIX = "exports/flights"


class Node(Server):
    """fletchingd with a YAML file and nothing else."""

    def __init__(self, folder: Path, config: Path, env: dict[str, str]) -> None:
        self.started = time.monotonic()
        super().__init__(folder, "--config", str(config), flight="127.0.0.1:0", env=env)

    def wait_for(self, date: str) -> float:
        """Seconds since the start until this date is shown."""
        while time.monotonic() - self.started < 120:
            if self.generation().startswith(date):
                return time.monotonic() - self.started
            time.sleep(0.02)
        raise SystemExit(f"{date} is not loaded:\n{self.log_text()}")

    def generation(self) -> str:
        try:
            answer = Client(self.address).request("GET", "/api/v1/table/flights", b"", {})
        except RuntimeError:
            return ""
        return json.loads(answer).get("generation", {}).get("name", "")


class Lookups:
    """One open stream of look-ups: keys in, columns out."""

    def __init__(self, address: str, keys: pa.Schema) -> None:
        self.client = flight.connect(f"grpc://{address}")
        descriptor = flight.FlightDescriptor.for_path("flights")
        self.writer, self.reader = self.client.do_exchange(descriptor)
        self.writer.begin(keys.with_metadata({"columns": json.dumps(COLUMNS)}))

    def fetch(self, keys: pa.RecordBatch) -> pa.RecordBatch:
        self.writer.write_batch(keys)
        return self.reader.read_chunk().data

    def close(self) -> None:
        self.writer.close()
        self.client.close()


class Demo:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table: FlightTable = next(table for table in load() if table.name == "flights")
        self.problems: list[str] = []
        self.checked = 0

    def run(self) -> None:
        say("1. An S3 server, and the flights of 2013 as they were on two days")
        gateway = Gateway(self.folder / "s3")
        gateway.arrow().create_dir(BUCKET)
        try:
            self.story(gateway)
        finally:
            gateway.stop()

    def story(self, gateway: Gateway) -> None:
        self.publish(gateway, FIRST)
        config = self.write_config(gateway)
        say("2. A node from a YAML file: an empty disk, and where the data is")
        detail(config.read_text().replace("\n", "\n   "))
        node = Node(self.folder / "node", config, gateway.env)
        try:
            detail(f"{FIRST} is served {node.wait_for(FIRST):.2f} s after the start")
            self.check(node, FIRST)
            say(f"3. {SECOND} arrives; meanwhile both doors are read without a pause")
            self.read_through_the_change(node, gateway)
            self.check(node, SECOND)
            say("4. The node is killed, and its disk removed")
        finally:
            node.process.kill()
            node.process.wait()
        shutil.rmtree(self.folder / "node")
        again = Node(self.folder / "other", config, gateway.env)
        try:
            seconds = again.wait_for(SECOND)
            detail(f"a new one with the same YAML serves {SECOND} {seconds:.2f} s after its start")
            self.check(again, SECOND)
        finally:
            if again.stop() != 0:
                self.problems.append("the node did not end well")

    def rows_of(self, date: str) -> pa.Table:
        """The flights up to that day; a column tells which export a row came with."""
        last = pa.scalar(f"{date}T23:59:59Z").cast(pa.timestamp("us", "UTC"))
        scheduled = self.table.arrow["scheduled"].cast(pa.timestamp("us", "UTC"))
        rows = self.table.arrow.filter(pa.compute.less_equal(scheduled, last))
        rows = rows.select([*self.table.key, *COLUMNS[:-1]])
        return rows.append_column("loaded_with", pa.array([date] * rows.num_rows))

    def publish(self, gateway: Gateway, date: str) -> None:
        store, folder = gateway.arrow(), f"{BUCKET}/{PREFIX}/{date}"
        rows = self.rows_of(date)
        half = rows.num_rows // 2
        for name, part in (("part-0", rows.slice(0, half)), ("part-1", rows.slice(half))):
            pq.write_table(part, f"{folder}/{name}.parquet", filesystem=store)
        store.open_output_stream(f"{folder}/_SUCCESS").close()
        detail(f"{date}: {rows.num_rows:,} rows in two files, and _SUCCESS")

    def write_config(self, gateway: Gateway) -> Path:
        schema = self.rows_of(FIRST).slice(0, 0).schema
        columns = "\n".join(
            f"      {field.name}: {{dtype: '{dtype(field.type)}'}}" for field in schema
        )
        path = self.folder / "node.yaml"
        path.write_text(
            "tables:\n"
            "  flights:\n"
            "    source:\n"
            f"      s3: {{bucket: {BUCKET}, prefix: {PREFIX}, region: {REGION}, "
            f"endpoint: '{gateway.endpoint}'}}\n"
            "    poll_interval: 200ms\n"
            "    parts: 2\n"
            f"    key: [{', '.join(self.table.key)}]\n"
            "    columns:\n"
            f"{columns}\n"
        )
        return path

    def check(self, node: Node, date: str) -> None:
        """Every value of every row, through both doors."""
        rows = self.rows_of(date)
        source = rows.select(COLUMNS).to_pandas()
        keys = rows.select(self.table.key).combine_chunks()
        stream, client = Lookups(node.flight_address, keys.schema), Client(node.address)
        doors = {"Flight": [], "HTTP": []}
        for batch in keys.to_batches(max_chunksize=50_000):
            doors["Flight"].append(pa.Table.from_batches([stream.fetch(batch)]))
            body = fetch_body(pa.Table.from_batches([batch]), COLUMNS)
            doors["HTTP"].append(parse_rows(client.fetch("flights", body)))
        stream.close()
        for door, pieces in doors.items():
            answer = pa.concat_tables(pieces)
            self.problems += [f"{date}, {door}: {text}" for text in differences(source, answer)]
            self.checked += value_count(answer)
        detail(f"{date}: {rows.num_rows:,} rows compared with pandas through {' and '.join(doors)}")

    def read_through_the_change(self, node: Node, gateway: Gateway) -> None:
        keys = self.rows_of(FIRST).select(self.table.key).slice(0, 1000).combine_chunks()
        (batch,) = keys.to_batches()
        body = fetch_body(keys, COLUMNS)
        done = threading.Event()
        seen: dict[str, dict[str, int]] = {"Flight": {}, "HTTP": {}}

        def note(door: str, answer: pa.Table | pa.RecordBatch) -> None:
            exports = set(answer.column("loaded_with").to_pylist())
            if len(exports) != 1 or None in exports:
                self.problems.append(f"{door}: an answer of {exports}")
            name = str(exports.pop())
            seen[door][name] = seen[door].get(name, 0) + 1

        def by_flight() -> None:
            stream = Lookups(node.flight_address, keys.schema)
            while not done.is_set():
                note("Flight", stream.fetch(batch))
            stream.close()

        def by_http() -> None:
            client = Client(node.address)
            while not done.is_set():
                note("HTTP", parse_rows(client.fetch("flights", body)))

        threads = [threading.Thread(target=read) for read in (by_flight, by_http)]
        for thread in threads:
            thread.start()
        self.publish(gateway, SECOND)
        node.wait_for(SECOND)
        time.sleep(0.3)
        done.set()
        for thread in threads:
            thread.join()
        for door, counts in seen.items():
            detail(
                f"{door:6}: "
                + ", ".join(f"{n:,} answers of {date}" for date, n in sorted(counts.items()))
            )
            if set(counts) != {FIRST, SECOND}:
                self.problems.append(f"{door} did not see both: {counts}")


def dtype(type_: pa.DataType) -> str:
    import fletching

    return fletching.Column("any", type_).dtype


def say(text: str) -> None:
    print(f"\n{text}")


def detail(text: str) -> None:
    print(f"   {text}")


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="fletching-stateless-"))
    demo = Demo(folder)
    try:
        demo.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if demo.problems:
        sys.exit("\n".join(["", "What went wrong:", *demo.problems]))
    print(f"\n{demo.checked:,} values compared; all are what pandas says.")


if __name__ == "__main__":
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    main()
