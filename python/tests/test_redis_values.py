"""What bytes of Redis and of Feast mean, without a server."""

import random
import struct

import fletching
import pyarrow as pa
import pytest
from fletching import _feast
from fletching._redis_check import glob_pattern, literal_ends
from fletching._redis_source import parse_schema, server_name
from fletching._redis_values import (
    BadValueError,
    convert_object,
    convert_text,
    guess_object,
    guess_text,
)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([b"1", b"-2", None, b""], "int64"),
        ([b"1", b"2.5", b"nan", b"-inf", b"1e-5"], "float64"),
        ([b"true", b"False"], "bool"),
        ([b"007"], "utf8"),
        ([b"-0"], "float64"),
        ([b"9223372036854775808"], "utf8"),
        ([b"9007199254740993", b"0.5"], "utf8"),
        ([b"1_000"], "utf8"),
        ([b"\xff\xfe"], "binary"),
        ([b"", None], "utf8"),
    ],
)
def test_types_of_text_are_guessed(values, dtype):
    assert guess_text(values) == dtype


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, None], "int64"),
        ([1, 2.5], "float64"),
        ([True], "bool"),
        (["a"], "utf8"),
        ([b"a"], "binary"),
        ([[1], [2.5]], "list<float64>"),
        ([["a"], []], "list<utf8>"),
        ([{"a": 1}], "utf8"),
        ([1, "a"], "utf8"),
        ([[True]], "utf8"),
        ([2**64], "utf8"),
        ([None], "utf8"),
    ],
)
def test_types_of_objects_are_guessed(values, dtype):
    assert guess_object(values) == dtype


@pytest.mark.parametrize(
    ("convert", "values", "dtype", "row"),
    [
        (convert_text, [b"1", b"x"], pa.int32(), 1),
        (convert_text, [b"1", b"300"], pa.int8(), 1),
        (convert_text, [b"[1, 2, 3]"], pa.list_(pa.float32(), 2), 0),
        (convert_text, [b"12345678x"], pa.list_(pa.float32()), 0),
        (convert_text, [b"a", b"\xff"], pa.string(), 1),
        (convert_object, [1, 2.5], pa.int64(), 1),
        (convert_object, [[1, 2.5]], pa.list_(pa.int64()), 0),
        (convert_object, [1.0, True], pa.float64(), 1),
        (convert_object, [1, 2**53 + 1], pa.float64(), 1),
        (convert_object, ["1"], pa.int64(), 0),
    ],
)
def test_a_value_that_does_not_fit_is_named(convert, values, dtype, row):
    with pytest.raises(BadValueError) as caught:
        convert(values, dtype)
    assert caught.value.row == row


def test_times_and_lists_are_read():
    times = pa.timestamp("s", "UTC")
    assert convert_text([b"1970-01-01T00:01:00Z"], times).cast(pa.int64())[0].as_py() == 60
    assert convert_text([b"60", b""], times).cast(pa.int64()).to_pylist() == [60, None]
    assert convert_object([60], times).cast(pa.int64()).to_pylist() == [60]
    vectors = convert_text([b"[1,2]", struct.pack("<2f", 0.5, 2)], pa.list_(pa.float32(), 2))
    assert vectors.to_pylist() == [[1.0, 2.0], [0.5, 2.0]]


@pytest.mark.parametrize(
    ("match", "fits", "misses"),
    [
        ("user:*", [b"user:", b"user:\xff\n"], [b"use", b"xuser:1"]),
        ("h?llo", [b"hello"], [b"hllo"]),
        ("h[^a-c]llo", [b"hello"], [b"hallo"]),
        (r"a\*b", [b"a*b"], [b"axb"]),
        ("a.b", [b"a.b"], [b"axb"]),
    ],
)
def test_patterns_are_those_of_redis(match, fits, misses):
    pattern = glob_pattern(match)
    assert all(pattern.fullmatch(key) for key in fits)
    assert not any(pattern.fullmatch(key) for key in misses)


def test_the_key_is_what_wildcards_stand_for():
    assert literal_ends("user:*:v1") == (b"user:", b":v1")
    assert literal_ends("a[bc]*") == (b"a", b"")
    assert literal_ends(r"a\*:*") == (b"a*:", b"")
    assert literal_ends(None) == (b"", b"")


def test_schemas_and_urls_are_read():
    text = "a,b:timestamp[us, UTC],c:fixed_size_list<float32>[3],*"
    assert parse_schema(text) == {
        "a": None,
        "b": "timestamp[us, UTC]",
        "c": "fixed_size_list<float32>[3]",
        "*": None,
    }
    assert server_name("redis://me:secret@db.example:7000/3") == "db.example:7000/3"
    assert server_name("rediss://localhost") == "localhost:6379/0"
    assert server_name("redis://:secret@h?db=2") == "h:6379/2"
    assert server_name("unix:///run/redis.sock") == "unix:/run/redis.sock"
    for url in ("redis://:se/cret@h", "http://:secret@h", "redis://:secret@h/x", "redis://[secret"):
        with pytest.raises(fletching.InvalidArgumentError) as caught:
            server_name(url)
        assert "cret" not in str(caught.value)


# Serialised by feast 0.67.0's own classes.
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", ("null", None)),
        ("980100", ("null", None)),
        ("18fbffffffffffffffff01", ("int32", -5)),
        ("2080808080808080808001", ("int64", -(2**63))),
        ("2000", ("int64", 0)),
        ("299a9999999999b93f", ("float64", 0.1)),
        ("350000c03f", ("float32", 1.5)),
        ("3800", ("bool", False)),
        ("1202c3a9", ("utf8", "é")),
        ("0a01ff", ("binary", b"\xff")),
        ("4005", ("timestamp[s, UTC]", 5)),
        ("82010a0a080000803f00000040", ("list<float32>", [1.0, 2.0])),
        ("820100", ("list<float32>", [])),
        ("720e0a0cffffffffffffffffff01ac02", ("list<int64>", [-1, 300])),
        ("62050a01610a00", ("list<utf8>", ["a", ""])),
        ("8a01040a020100", ("list<uint8>", [1, 0])),
        ("8202027b7d", ("utf8", "{}")),
        ("c202030a0101", ("binary", bytes.fromhex("c202030a0101"))),
    ],
)
def test_values_of_feast_are_read(data, expected):
    assert _feast.parse_value(bytes.fromhex(data)) == expected


def test_keys_of_feast_are_read():
    key = bytes.fromhex(
        "020000000200000001000000610200000001000000750200000001000000780400000008000000"
        "f9ffffffffffffff"
    )
    assert _feast.parse_key(key + b"shop") == (["a", "u"], ["utf8", "int64"], ["x", -7], b"shop")
    assert _feast.field_of("pair", "f") == bytes.fromhex("b3eec3cc")
    assert all(_feast.parse_key(key[:cut]) is None for cut in range(len(key)))
    assert _feast.parse_key(b"user:1") is None


def test_any_bytes_are_a_value_of_feast_or_a_clear_error():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(5000):
        data = rng.randbytes(rng.randrange(30))
        try:
            dtype, _ = _feast.parse_value(data)
            assert dtype
            _feast.parse_timestamp(data)
        except ValueError:
            pass
        _feast.parse_key(data)
