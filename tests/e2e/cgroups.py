"""Memory limits for processes of tests and benchmarks."""

import contextlib
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def memory_cgroup(limit_bytes: int) -> Iterator[Path]:
    """Of the first or the second version, whichever has the memory controller here."""
    for root, name in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        folder = root / f"fletching-{uuid.uuid4().hex}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            if (folder / name).exists():
                (folder / name).write_text(str(limit_bytes))
                break
            folder.rmdir()
    else:
        raise OSError("no memory cgroup can be made here; it takes root")
    try:
        yield folder
    finally:
        for _ in range(100):  # until its processes have ended
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.05)


def kills(cgroup: Path) -> int:
    for name in ("memory.oom_control", "memory.events"):
        if (cgroup / name).exists():
            return int(re.search(r"oom_kill (\d+)", (cgroup / name).read_text()).group(1))
    return 0
