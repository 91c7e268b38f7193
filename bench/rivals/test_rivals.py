"""The harness of the rivals: its formulas, bytes and figures, and a run of what is installed."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rivals import bars, cases, cost, pg_wire, report, resp
from rivals.all import RIVALS, is_wanted
from rivals.budget import SLICE_SECONDS_MAX, Budget
from rivals.data import SHAPES, Case, Table, float_values, key_bytes, text_array
from rivals.findings import Comparison, Findings, Footprint
from rivals.measure import (
    Checks,
    Participant,
    Ratio,
    Result,
    WrongAnswerError,
    summarise,
    take_turns,
)
from rivals.rival import rows_of, scatter
from rivals.rival_redis import Blobs, Hashes

ROOT = Path(__file__).parents[2]
BUILD = Path(os.environ.get("FLETCHINGD", ROOT / "build/dev/bin/fletchingd")).parents[1]
MIXED = Table(50, SHAPES["mixed"])


def result(*rounds: float) -> Result:
    return Result(min(rounds), 2 * min(rounds), 3 * min(rounds), list(rounds), 100)


# -- data ---------------------------------------------------------------------------------------


def test_values_are_those_of_the_cpp_benchmarks():
    for row, column in [(0, 0), (1, 0), (9_999_999, 9), (123_456, 499)]:
        wanted = float((row * 2654435761 ^ column * 40503) & 0xFFFFFF)
        assert float_values(np.array([row]), np.array([column]))[0, 0] == wanted


def test_keys_are_fourteen_bytes():
    numbers = np.array([0, 7, 123_456_789], np.uint64)
    assert [row.tobytes() for row in key_bytes(numbers)] == [
        b"user:000000000",
        b"user:000000007",
        b"user:123456789",
    ]
    assert Table(10, SHAPES["floats10"]).key_array(numbers).to_pylist()[1] == "user:000000007"


def test_texts_follow_from_row_and_column():
    def splitmix64(x: int) -> int:
        mask = (1 << 64) - 1
        z = (x + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    for column in range(3):
        got = text_array(np.arange(200, dtype=np.uint64), column).to_pylist()
        for row, text in enumerate(got):
            digits = f"{splitmix64(row * 8 + column):016x}" * 3
            assert text == digits[: 5 + splitmix64(row * 8 + column + 4) % 36]


def test_batches_have_every_row_once():
    table = Table(300_000, SHAPES["floats10"], "int64")
    ids = np.concatenate([batch.column("id").to_numpy() for batch in table.batches()])
    assert np.array_equal(ids, np.arange(300_000))


@pytest.mark.parametrize("distribution", ["uniform", "zipf"])
def test_keys_drawn_are_the_same_for_a_seed_and_miss_as_often_as_asked(distribution):
    case = Case("any", Table(10_000, SHAPES["floats10"]), 500, distribution, 0.1)
    sets, again = case.draw(seed=3), case.draw(seed=3)
    assert sets.keys == again.keys
    numbers = np.concatenate(sets.numbers)
    missing = numbers >= 10_000
    assert abs(missing.mean() - 0.1) < 0.01
    _, counts = np.unique(numbers[~missing], return_counts=True)
    assert (counts.max() > 20 * counts.mean()) == (distribution == "zipf")


def test_wide_tables_are_read_in_ten_columns():
    assert len(SHAPES["floats10of500"].read_names) == 10
    assert len(SHAPES["floats10of500"].names) == 500


# -- checks and figures -------------------------------------------------------------------------


def test_an_answer_with_one_wrong_value_does_not_count():
    sets = Case("any", Table(100, SHAPES["floats10"]), 10, miss_ratio=0.3).draw(1, smoke=True)
    right = sets.expected_floats(0)
    Checks(sets).matrix(right, 0)
    wrong = right.copy()
    wrong[4, 2] = 1
    with pytest.raises(WrongAnswerError, match="key 'user:"):
        Checks(sets).matrix(wrong, 0)
    turns = [Participant("liar", lambda index: wrong, Checks(sets).matrix)]
    with pytest.raises(WrongAnswerError):
        take_turns(turns, len(sets), 1, 0.001)


def test_participants_take_turns_and_are_closed():
    order: list[str] = []
    turns = [
        Participant(
            name,
            lambda index, name=name: order.append(name),
            lambda answer, index: None,
            close=lambda name=name: order.append(f"{name} closed"),
        )
        for name in "ab"
    ]
    results = take_turns(turns, sets=3, rounds=2, seconds=0)
    assert [results[name].count for name in "ab"] == [6, 6]
    assert "".join(order[:-2]) == "aabb" + "aaabbb" * 2  # what fits of a checked pass, two rounds
    assert order[-2:] == ["a closed", "b closed"]


def test_percentiles_are_those_of_the_yardsticks():
    slice_ = summarise([float(n) for n in range(101)])
    assert (slice_.p50, slice_.p90, slice_.p99) == (50, 90, 99)


def test_ratios_are_of_the_same_round():
    ratio = Ratio.of(result(10, 40, 30), result(5, 10, 10))
    assert (ratio.median, ratio.least, ratio.most) == (3, 2, 4)
    assert str(ratio) == "3 x (2 to 4)"


def test_answers_in_any_order_are_put_in_place():
    rows, found = rows_of(["b", "a"], ["a", "x", "b", "a"])
    values = np.array([[2.0], [1.0]], np.float32)
    got = scatter(values, rows, found)[:, 0]
    assert np.array_equal(got, [1, np.nan, 2, 1], equal_nan=True)


def test_a_budget_shortens_slices_then_tables():
    stage = cases.base_stage(10_000_000)
    long, short = Budget(1800, 100, 5), Budget(60, 10, 5)
    left = [(stage, rival) for rival in RIVALS]
    assert long.slice_seconds(left, set()) > short.slice_seconds(left, set())
    assert long.slice_seconds(left[:1], {stage.table}) == SLICE_SECONDS_MAX
    redis = RIVALS[0]
    short.learn_load(redis, Table(1_000_000, SHAPES["floats10"]), seconds=10)
    assert short.rows(redis, stage.table, 1000) == 10_000_000
    assert short.rows(redis, stage.table, 25) == 2_000_000


# -- bytes --------------------------------------------------------------------------------------


def test_resp_commands_and_replies():
    assert resp.command(b"GET", b"k") == b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    assert resp.array([b"ab", None]) == b"*2\r\n$2\r\nab\r\n$-1\r\n"


@pytest.mark.parametrize("layout", [Blobs, Hashes])
@pytest.mark.parametrize("table", [MIXED, Table(50, SHAPES["floats10"], "int64")])
def test_rows_assembled_at_once_are_those_of_single_commands(layout, table):
    """What is sent to load rows, parsed again, holds what a read expects of them."""
    made = layout(table)
    numbers = np.arange(40, 48, dtype=np.uint64)
    commands = list(parse_resp(made.load(numbers)))
    assert len(commands) == len(numbers)
    request, reply = made.exchange(numbers)
    if layout is Blobs:
        assert next(parse_resp(request))[1:] == [command[1] for command in commands]
        assert next(parse_resp(reply)) == [command[2] for command in commands]
    else:
        for asked, answer, command in zip(
            parse_resp(request), parse_resp(reply), commands, strict=True
        ):
            stored = dict(zip(command[2::2], command[3::2], strict=True))
            assert asked[:2] == [b"HMGET", command[1]]
            assert answer == [stored[field] for field in asked[2:]]


def parse_resp(data: bytes):
    """Arrays of bulk strings, one after another."""
    at = 0

    def line() -> bytes:
        nonlocal at
        end = data.index(b"\r\n", at)
        text, at = data[at:end], end + 2
        return text

    while at < len(data):
        words = []
        for _ in range(int(line()[1:])):
            size = int(line()[1:])
            words.append(data[at : at + size])
            at += size + 2
        yield words


def test_keys_that_are_not_there_are_nils():
    _, reply = Blobs(MIXED).exchange(np.array([1, 50], np.uint64))
    assert reply.startswith(b"*2\r\n$") and reply.endswith(b"$-1\r\n")


def test_postgres_messages_say_their_length():
    message = pg_wire.execute(pg_wire.array_of(["a", "bc"]))
    at, kinds = 0, b""
    while at < len(message):
        kinds += message[at : at + 1]
        at += 1 + struct.unpack_from(">i", message, at + 1)[0]
    assert (kinds, at) == (b"BES", len(message))


def test_postgres_rows_are_taken_apart():
    row = struct.pack(">hi", 2, 2) + b"ab" + struct.pack(">i", -1)
    reply = pg_wire.message(b"D", row) + pg_wire.message(b"C", b"SELECT 1\0")
    assert pg_wire.rows(reply) == [[b"ab", None]]


# -- report -------------------------------------------------------------------------------------


def some_findings() -> Findings:
    findings = Findings(10_000_000)
    findings.best_settings["redis_blobs"] = "unix"
    for clock, ours in (
        ("raw", {"fletching_http": result(100, 110), "flight_exchange": result(300, 310)}),
        ("numpy", {"fletching": result(50, 60), "fletching_http": result(250, 260)}),
        ("pandas", {"fletching": result(90, 95), "fletching_http": result(300, 310)}),
    ):
        theirs = result(700, 700)
        one = ("base", "redis_blobs", "unix", "base", 10_000_000, 1000, clock, theirs, ours)
        findings.comparisons.append(Comparison(*one))
    findings.footprints = [
        Footprint("fletching", 1_000_000, 13_000_000, 70_000_000, 1, 54_000_000),
        Footprint("redis_blobs", 1_000_000, 130_000_000, 0, 1, 54_000_000),
    ]
    return findings


PRICES = SimpleNamespace(price_memory=5.0, price_disk=0.1, price_s3=0.02)


def test_bars_compare_ratios():
    verdicts = {bar.what: bar.verdict for bar in bars.all_bars(some_findings())}
    assert verdicts["HTTP, raw, beside Redis MGET"] == "ok"  # 6.7 x
    assert verdicts["Python to pandas over HTTP beside redis-py MGET"] == "MISSED"  # 2.3 x
    assert verdicts["disk beside the raw bytes of keys and values"] == "MISSED"  # 1.3 x
    assert verdicts["private memory of the server, bytes a row"] == "ok"


def test_prices_follow_from_bytes():
    by_name = {place.name: place for place in cost.places(some_findings())}
    assert by_name["redis_blobs"].price(PRICES) == pytest.approx(0.130 * 5)
    far = by_name["fletching, a quarter in memory, half on disk, truth on S3"]
    wanted = (0.013 + 0.070 / 4) * 5 + 0.035 * 0.1 + 0.070 * 0.02
    assert far.price(PRICES) == pytest.approx(wanted)


def test_page_is_written_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    text = report.markdown(some_findings(), PRICES, "make bench-rivals")
    report.write_page(text, page)
    report.write_page(text, page)
    written = page.read_text()
    assert written.startswith("before\n") and written.endswith("after\n")
    assert "old" not in written and written.count("#### Bars") == 1
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="needs the lines"):
        report.write_page(text, page)


def test_the_real_page_has_its_marks():
    text = report.PAGE.read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1


def test_every_rival_has_three_settings_with_reasons():
    for rival in RIVALS:
        assert len({setting.name for setting in rival.settings}) >= 3, rival.name
        assert all(setting.why for setting in rival.settings)


def test_names_are_chosen_by_parts():
    assert is_wanted("redis_blobs", "") and is_wanted("redis_blobs", "lance, redis")
    assert not is_wanted("redis_blobs", "lance")


def test_sizes_read_well():
    assert [cases.size_text(n) for n in (500, 20_000, 10_000_000)] == ["500", "20 k", "10 M"]


def test_a_small_run_of_whatever_is_installed(tmp_path):
    if not (BUILD / "bench/wire_client").exists():
        pytest.skip(f"{BUILD}/bench/wire_client is not built")
    command = [sys.executable, ROOT / "bench/run_rivals.py", "--smoke", "--dir", tmp_path]
    command += ["--only", "redis_blobs,numpy,polars", "--cases", "base,texts"]
    environment = {
        **os.environ,
        "FLETCHINGD": str(BUILD / "bin/fletchingd"),
        "FLETCHING_BENCH_DIR": str(BUILD / "bench"),
    }
    done = subprocess.run(
        [*command, "--json", tmp_path / "rivals.json"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "rivals.json").read_text())
    assert found["failures"] == []
    assert {one["rival"] for one in found["comparisons"]} >= {"numpy_dict"}
    assert not list(tmp_path.glob("fletching-rivals-*"))
