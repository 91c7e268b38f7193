"""How far a load from Redis has come, in a file beside the data folder.

What makes going on safe: a row is written whole or not at all, writing one twice changes nothing,
and the cursor is saved only after all rows before it are durable. A cursor of SCAN outlives
connections, and whoever goes on from it still meets every key that was there all the time; but it
means nothing to another process of Redis. Hence the run id: when it differs, the load begins again
and replaces what it had written.
"""

import base64
import json
import os
import random
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fletching._errors import InvalidArgumentError, UnavailableError

_FORMAT = 1


@dataclass
class State:
    """options: what was asked for, to see that the next run asks for the same."""

    options: dict[str, Any]
    run_id: str  # of the Redis process; empty where it may not be asked
    cursor: int = 0
    is_scanned: bool = False  # only the check is left
    rows: int = 0  # written
    keys_seen: int = 0
    version: int = 0  # of the table, after the last write
    sample: list[str] = field(default_factory=list)  # keys for the check, in base64

    def add_to_sample(self, keys: list[bytes], size: int) -> None:
        """Keeps `size` of all keys seen so far, each with the same chance."""
        for key in keys:
            self.keys_seen += 1
            at = len(self.sample)
            if at >= size:
                at = random.randrange(self.keys_seen)
            if at < size:
                self.sample[at : at + 1] = [base64.b64encode(key).decode()]

    def sampled_keys(self) -> list[bytes]:
        return [base64.b64decode(text) for text in self.sample]


class StateFile:
    def __init__(self, folder: str, table: str) -> None:
        whole = Path(folder).absolute()
        self.path = whole.with_name(f"{whole.name}.{table}.redis-load")

    def read(self, options: dict[str, Any]) -> State | None:
        """None where no load was left unfinished.

        Errors: InvalidArgumentError if what was left is another load.
        """
        try:
            content = json.loads(self.path.read_bytes())
            if content.pop("format") != _FORMAT:
                raise ValueError("of another version")
            state = State(**content)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidArgumentError(
                f"{self.path} cannot be read ({error}); begin anew with --restart"
            ) from None
        for name, was in state.options.items():
            if options.get(name) != was:
                raise InvalidArgumentError(
                    f"{self.path} is of an unfinished load with {name} {was!r}, not "
                    f"{options.get(name)!r}; give the same options to go on, or --restart to "
                    "begin anew"
                )
        return state

    def write(self, state: State) -> None:
        """Durable on return; whoever reads finds the old one or the new one."""
        text = json.dumps({"format": _FORMAT, **asdict(state)})
        beside = self.path.with_name(self.path.name + ".new")
        try:
            with beside.open("w") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise UnavailableError(f"cannot write {self.path}: {error.strerror}") from error

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.path.with_name(self.path.name + ".new").unlink(missing_ok=True)
