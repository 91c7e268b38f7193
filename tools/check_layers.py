#!/usr/bin/env python3
"""Holds every #include of the C++ sources against the floors of the house.

What is checked, and where each rule is written down:
  1. A room's DEPENDS line (its CMakeLists.txt) names only rooms from ROOMS below.
  2. A file includes only its own room, the rooms of its DEPENDS line, and the public face:
     the vocabulary from anywhere, the doors only where DEPENDS says `face`.
  3. Heavy headers have addresses (ADDRESSES): few .cc files, no header.
  4. Headers include std, light Arrow headers and our own; public headers not even our internals.
  5. Every file of a room is named in the room's CMakeLists.txt.

Does not check link order or third-party targets; CMake does.
"""

import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()

# What a room's DEPENDS line may name, lowest floor first. `face` is the doors of the public face.
ROOMS = {
    "base": set(),
    "io": {"base"},
    "store": {"io", "base"},
    "format": {"base"},
    "segment": {"format", "io", "base"},
    "ingest": {"io", "base"},
    "duck": {"base"},
    "table": {"segment", "format", "io", "base"},
    "engine": {"table", "segment", "ingest", "format", "io", "base"},
    # ---- the public face ----
    "pull": {"face", "ingest", "base"},
    "remote": {"face", "store", "format", "io", "base"},
    "sql": {"face", "duck", "base"},
    "access": {"store", "base"},
    "tls": {"base"},
    "api": {"face", "ingest", "base"},
    "api/http": {"face", "sql", "duck", "access", "tls", "api", "base"},
    "api/flight": {"face", "access", "api", "ingest", "base"},
    "client": {"api", "ingest", "tls", "base"},
    "server": {"*"},
    "python/src": {"face", "sql", "duck", "client", "api", "tls", "base"},
}
VOCABULARY = {"fwd.h", "status.h", "schema.h", "options.h", "request.h"}
DOORS = {"engine.h": "engine", "shelf.h": "shelf"}  # door -> the room that stands behind it

# Arrow headers light enough for any header: with <memory> included they add two thousand lines.
LIGHT_ARROW = {
    "arrow/type_fwd.h",
    "arrow/status.h",
    "arrow/result.h",
    "arrow/c/abi.h",
    "arrow/util/macros.h",
    "arrow/util/visibility.h",
}
# Folders of others: written with quotes or brackets, they are judged alike.
FOREIGN = {"arrow", "parquet", "boost", "gtest", "fmt", "spdlog", "nanobind", "prometheus"}
FOREIGN |= {"yaml-cpp", "CLI", "openssl"}
# Standard headers too heavy for a header of ours.
HEAVY_STD = {"regex", "iostream", "filesystem"}


@dataclass(frozen=True)
class Address:
    """Where a heavy header may be included: .cc files matching a glob, so many at most."""

    pattern: str
    globs: tuple[str, ...]
    files_max: int


ADDRESSES = [
    Address(r"boost/(beast|asio)", ("src/api/http/*.cc", "src/client/http_call.cc"), 5),
    Address(r"openssl/", ("src/tls/*.cc", "src/store/digest.cc"), 3),
    Address(r"curl/", ("src/store/curl_library.h",), 1),
    Address(r"pugixml", ("src/store/s3_answer.cc",), 1),
    Address(
        r"boost/json",
        ("src/api/*.cc", "src/ingest/json_source.cc", "src/sql/statement_check.cc"),
        3,
    ),
    Address(r"boost/url", ("src/api/*.cc", "src/api/http/*.cc"), 2),
    Address(r"arrow/flight/", ("src/api/flight/*.cc",), 4),
    Address(r"parquet/", ("src/ingest/*.cc",), 4),
    Address(
        r"arrow/ipc/", ("src/ingest/*.cc", "src/api/*.cc", "src/client/*.cc", "src/table/*.cc"), 5
    ),
    Address(r"arrow/filesystem/s3", ("src/store/*.cc", "src/pull/source.cc"), 2),
    Address(r"arrow/c/(bridge|helpers)", ("python/src/*.cc", "src/duck/*.cc"), 4),
    Address(
        r"arrow/compute/", ("src/ingest/*.cc", "src/client/*.cc", "src/table/table_replace.cc"), 4
    ),
    Address(r"arrow/(acero|dataset)/", (), 0),
    Address(r"liburing", ("src/io/*.cc",), 1),
    Address(r"nanobind/", ("python/src/*.cc", "python/src/*.h"), 14),
    Address(r"(yaml-cpp|CLI)/", ("src/server/*.cc",), 3),
    Address(r"spdlog/", ("src/base/*.cc", "src/server/*.cc"), 2),
    Address(r"prometheus/", ("src/base/*.cc", "src/api/http/*.cc", "src/server/*.cc"), 3),
    Address(r"xxhash", ("src/base/*.cc", "src/segment/*.cc"), 3),
    Address(r"simdjson", (), 0),  # Debian's would bind to the copy inside libparquet
]

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
CALL = re.compile(
    r"fletching_(module|program|python_module|test|fuzz|bench)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)"
)
KEYWORDS = {
    "DEPENDS", "PRIVATE", "SOURCES", "HEADERS", "TESTS", "FUZZ", "BENCH", "LINK", "TIMEOUT",
}  # fmt: skip

problems: list[str] = []


def complain(where: Path | str, line: int, text: str) -> None:
    place = where.relative_to(ROOT) if isinstance(where, Path) else where
    problems.append(f"{place}:{line}: {text}" if line else f"{place}: {text}")


def room_of(path: Path) -> str | None:
    """The room a file lives in: the longest known folder above it."""
    folder = path.parent.relative_to(ROOT).as_posix().removeprefix("src/")
    while folder and folder != ".":
        if folder in ROOMS:
            return folder
        folder = folder.rpartition("/")[0]
    return None


def room_folder(room: str) -> Path:
    return ROOT / room if room.startswith("python/") else ROOT / "src" / room


def read_depends(room: str) -> set[str]:
    """All rooms named after DEPENDS in the room's CMakeLists.txt."""
    cmake = room_folder(room) / "CMakeLists.txt"
    if not cmake.exists():
        return ROOMS[room]
    named: set[str] = set()
    for _, body in CALL.findall(re.sub(r"#.*", "", cmake.read_text())):
        collecting = False
        for word in body.split():
            if word in KEYWORDS:
                collecting = word == "DEPENDS"
            elif collecting:
                named.add(word)
    for other in sorted(named - ROOMS[room]):
        if "*" not in ROOMS[room] and other != room:
            allowed = " ".join(sorted(ROOMS[room])) or "nothing of ours"
            complain(cmake, 0, f"DEPENDS names '{other}'; room '{room}' may know only: {allowed}")
    return named


def is_test(path: Path) -> bool:
    return (
        re.search(r"_(test|fuzz|bench)\.cc$|test_\w+\.(h|cc)$|_testing\.(h|cc)$", path.name)
        is not None
    )


def check_own_include(
    path: Path, line: int, name: str, room: str | None, depends: set[str]
) -> None:
    public = path.is_relative_to(ROOT / "include")
    first, _, rest = name.partition("/")
    if not rest:
        complain(path, line, f'"{name}": write the room in front, as in "segment/{name}"')
        return
    if first == "fletching":
        if not (ROOT / "include" / name).exists():
            complain(path, line, f'"{name}" is not in include/')
        behind = DOORS.get(rest)
        may_open = public or room == behind or room == "server" or "face" in depends
        if behind and not may_open:
            complain(path, line, f'"{name}" is a door: DEPENDS has to say face')
        elif not behind and rest not in VOCABULARY and not public:
            complain(path, line, f'"{name}" is neither vocabulary nor door; see VOCABULARY')
        return
    if public:
        complain(path, line, f'a public header may not show "{name}"')
        return
    target = name.rpartition("/")[0]
    while target and target not in ROOMS:
        target = target.rpartition("/")[0]
    if not target:
        complain(path, line, f'"{name}": there is no room "{first}"')
    elif target != room and target not in depends and room is not None:
        complain(path, line, f'"{name}": room {target} is not in DEPENDS of room {room}')


def check_foreign_include(path: Path, line: int, name: str, users: dict[Address, set[str]]) -> None:
    header = path.suffix == ".h"
    if path.is_relative_to(ROOT / "include") and "/" in name and name not in LIGHT_ARROW:
        complain(path, line, f"a public header may not show <{name}>")
        return
    for address in ADDRESSES:
        if not re.match(address.pattern, name):
            continue
        relative = path.relative_to(ROOT).as_posix()
        if any(fnmatch(relative, glob) for glob in address.globs):
            if not is_test(path):
                users[address].add(relative)
        elif not (is_test(path) and not header):
            where = ", ".join(address.globs) or "nowhere"
            complain(path, line, f"<{name}> belongs in: {where}")
        return
    if not header or is_test(path):
        return
    if name.startswith("arrow/") and name not in LIGHT_ARROW:
        complain(
            path, line, f"<{name}> is heavy: forward-declare (arrow/type_fwd.h), include in .cc"
        )
    elif name in HEAVY_STD:
        complain(path, line, f"<{name}> is heavy: .cc files only")


def check_listed(room: str) -> None:
    folder = room_folder(room)
    cmake = folder / "CMakeLists.txt"
    if not cmake.exists():
        return
    words = set(re.split(r"[\s()]+", cmake.read_text()))
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".cc", ".h") and room_of(path) == room:
            name = path.relative_to(folder).as_posix()
            if name not in words:
                complain(path, 0, f"is not named in {cmake.relative_to(ROOT)}")


def main() -> int:
    depends = {room: read_depends(room) for room in ROOMS}
    users: dict[Address, set[str]] = {address: set() for address in ADDRESSES}
    count = 0
    for top in ("include", "src", "python/src"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            count += 1
            room = room_of(path)
            if room is None and top != "include":
                complain(path, 0, "stands in no room; rooms are listed in tools/check_layers.py")
            text = path.read_text(errors="replace")
            known = depends.get(room or "", set())
            if "*" in ROOMS.get(room or "", set()):
                known = set(ROOMS) | {"face"}
            for match in INCLUDE.finditer(text):
                line = text.count("\n", 0, match.start(2)) + 1
                foreign = match[2].partition("/")[0] in FOREIGN or match[2].endswith("xxhash.h")
                if match[1] == '"' and not foreign:
                    check_own_include(path, line, match[2], room, known)
                else:
                    check_foreign_include(path, line, match[2], users)
    for address, files in users.items():
        if len(files) > address.files_max:
            complain("tools/check_layers.py", 0,
                     f"<{address.pattern}> is included by {len(files)} files, "
                     f"{address.files_max} at most: {', '.join(sorted(files))}")  # fmt: skip
    for room in ROOMS:
        check_listed(room)
    for problem in problems:
        print(problem)
    print(f"layers: {count} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
