#!/usr/bin/env python3
"""Prints what has outgrown its budget, and fails at twice the budget.

Lines: header 150, source 350, test 500, function 70, room 1,800 (without tests). A file may go to
any size if its first comment has a line `Size:` with the reason; a function if the comment right
above it has one. Being over is a question ("are these two nouns?"), not a fault.
"""

import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
HEADER, SOURCE, TEST, FUNCTION, ROOM = 150, 350, 500, 70, 1800
FAIL_FACTOR = 2
FOLDERS = ("include", "src", "python", "tests", "bench", "tools", "demo", "cmake")
SUFFIXES = {".h", ".cc", ".py", ".sh", ".cmake"}

# Comments, strings and character literals, blanked before braces are counted.
NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
    re.S,
)


def is_test(path: Path) -> bool:
    name = path.name
    if re.search(r"_(test|fuzz|bench)\.(cc|h)$", name) or name.startswith("test_"):
        return True
    return path.relative_to(ROOT).parts[0] in ("tests", "bench")


def budget_of(path: Path) -> int:
    if is_test(path):
        return TEST
    return HEADER if path.suffix == ".h" else SOURCE


def has_reason(path: Path, text: str) -> bool:
    """Whether the comment (or docstring) that opens the file has a `Size:` line."""
    if path.suffix == ".py":
        opening = re.match(r'(?:#.*\n|\s)*(?:"""(.*?)""")?', text, re.S)
    else:
        opening = re.match(r"(?:(?://|#)[^\n]*\n|\s)*", text)
    return opening is not None and re.search(r"^\W*Size: ?\S", opening[0], re.M) is not None


def functions(text: str):
    """Yields (name, first line, last line) of each function body, by counting braces."""
    clean = NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    clean = re.sub(r"^[ \t]*#.*$", lambda m: " " * len(m[0]), clean, flags=re.M)
    start, function_at, depth, opened = 0, None, 0, []
    for at, char in enumerate(clean):
        if char == "{":
            before = clean[start:at]
            container = re.search(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$", before)
            if function_at is None and not container and ")" in before:
                head = re.search(r"([\w:~]+)\s*\(", before)
                name = head[1] if head else "?"
                if name in ("TEST", "TEST_F", "TEST_P"):
                    name = re.sub(r"\s+", " ", before[head.start() :]).strip()
                function_at = (name, start + len(before) - len(before.lstrip()), depth)
            opened.append(depth)
            depth += 1
            start = at + 1
        elif char == "}":
            depth = max(0, depth - 1)
            if function_at is not None and depth == function_at[2]:
                first = clean.count("\n", 0, function_at[1]) + 1
                yield function_at[0], first, clean.count("\n", 0, at) + 1
                function_at = None
            start = at + 1
        elif char == ";" and function_at is None:
            start = at + 1


def function_has_reason(lines: list[str], first: int) -> bool:
    at = first - 2
    while at >= 0 and lines[at].lstrip().startswith("//"):
        if "Size:" in lines[at]:
            return True
        at -= 1
    return False


def main() -> int:
    over: list[tuple[float, str, bool]] = []
    rooms: dict[str, int] = {}
    sizes: list[int] = []

    def report(what: str, size: int, budget: int, excused: bool) -> None:
        if size > budget:
            fails = size > budget * FAIL_FACTOR and not excused
            note = "  has a reason" if excused else "  TOO LARGE" if fails else ""
            over.append((size / budget, f"{what}: {size} lines, budget {budget}{note}", fails))

    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            text = path.read_text(errors="replace")
            lines = text.splitlines()
            name = path.relative_to(ROOT).as_posix()
            excused = has_reason(path, text)
            report(name, len(lines), budget_of(path), excused)
            if path.suffix in (".h", ".cc"):
                for function, first, last in functions(text):
                    sizes.append(last - first + 1)
                    reason = excused or function_has_reason(lines, first)
                    report(f"{name}:{first} {function}", last - first + 1, FUNCTION, reason)
            if folder == "src" and not is_test(path):
                room = path.parent.relative_to(ROOT).as_posix()
                rooms[room] = rooms.get(room, 0) + len(lines)
    for room, size in rooms.items():
        readme = ROOT / room / "CMakeLists.txt"
        reason = readme.exists() and "Size:" in readme.read_text()
        report(f"room {room}", size, ROOM, reason)

    for _, text, _ in sorted(over, reverse=True):
        print(text)
    failed = sum(1 for _, _, fails in over if fails)
    sizes.sort()
    ninth = sizes[len(sizes) * 9 // 10] if sizes else 0
    print(
        f"budget: {len(over)} over, {failed} too large; 9 of 10 functions: {ninth} lines or fewer"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
