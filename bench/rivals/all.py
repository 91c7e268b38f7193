"""Every rival there is, and those of them that can run on this machine."""

from rivals.findings import Findings, say
from rivals.rival import Rival
from rivals.rival_duckdb import DuckDb
from rivals.rival_frames import NumpyDict, PolarsJoin
from rivals.rival_lance import Lance
from rivals.rival_postgres import Postgres
from rivals.rival_redis import RedisBlobs, RedisHash, ValkeyBlobs

RIVALS: tuple[Rival, ...] = (
    RedisBlobs(),
    NumpyDict(),
    ValkeyBlobs(),
    RedisHash(),
    Postgres(),
    DuckDb(),
    Lance(),
    PolarsJoin(),
)


def list_rivals() -> None:
    for rival in RIVALS:
        why_not = rival.missing()
        print(f"{rival.name}: {rival.title}{'' if why_not is None else ' -- ' + why_not}")
        for setting in rival.settings:
            print(f"    {setting.name}: {setting.why}")


def is_wanted(name: str, only: str) -> bool:
    """Whether one of the parts of names, with commas, is in this name; all are without any."""
    parts = [part.strip() for part in only.split(",") if part.strip()]
    return not parts or any(part in name for part in parts)


def is_embedded_wanted(only: str) -> bool:
    """Whether the C++ program is to run, which knows RocksDB, LMDB and the bare loop."""
    return is_wanted("embedded", only)


def chosen(only: str, findings: Findings) -> list[Rival]:
    """Those whose names are wanted and that can run; the others are noted as skipped.

    Errors: SystemExit when nothing has such a name.
    """
    wanted = [rival for rival in RIVALS if is_wanted(rival.name, only)]
    if not wanted and not is_embedded_wanted(only):
        names = ", ".join([*(rival.name for rival in RIVALS), "embedded"])
        raise SystemExit(f"error: no rival is called '{only}'; there are {names}")
    able = []
    for rival in wanted:
        why_not = rival.missing()
        if why_not is None:
            able.append(rival)
        else:
            findings.skipped[rival.name] = why_not
            say(f"skipped: {rival.name}: {why_not}")
    return able
