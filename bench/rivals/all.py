"""Every rival there is, and those of them that can run on this machine."""

from rivals.rival import Rival
from rivals.rival_frames import NumpyDict, PolarsJoin
from rivals.rival_redis import RedisBlobs, RedisHash, ValkeyBlobs
from rivals.run import Findings, say

RIVALS: tuple[Rival, ...] = (
    RedisBlobs(),
    NumpyDict(),
    ValkeyBlobs(),
    RedisHash(),
    PolarsJoin(),
)


def list_rivals() -> None:
    for rival in RIVALS:
        why_not = rival.missing()
        print(f"{rival.name}: {rival.title}{'' if why_not is None else ' -- ' + why_not}")
        for setting in rival.settings:
            print(f"    {setting.name}: {setting.why}")


def chosen(only: str, findings: Findings) -> list[Rival]:
    """Those whose names are wanted and that can run; the others are noted as skipped.

    Errors: SystemExit when nothing has such a name.
    """
    parts = [part.strip() for part in only.split(",") if part.strip()]
    wanted = [r for r in RIVALS if not parts or any(part in r.name for part in parts)]
    if not wanted and not any("embedded".startswith(part) for part in parts):
        names = ", ".join(rival.name for rival in RIVALS)
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
