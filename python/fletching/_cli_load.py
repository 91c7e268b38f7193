"""`fletching load`: files or a Redis into a table."""

import argparse
import json
import sys

import fletching
from fletching._load import FORMATS
from fletching._redis_layouts import FORMATS as BLOB_FORMATS
from fletching._redis_source import LAYOUTS, SCHEMES, RedisSource

EXAMPLES = """\
  fletching load features docs 'exports/*.parquet' --key doc_id
  fletching load features users redis://localhost:6379/0 --layout hash --match 'user:*'
  fletching load features users redis://localhost --layout hash --match 'user:*' \\
      --key user_id --schema 'user_id:int64,age:int32,*'
  fletching load features items redis://localhost --layout blob --format json --match 'item:*'
  fletching load features drivers redis://localhost --layout feast \\
      --project shop --view driver_stats --schema trips,rating

All rows of files are stored, or none. From Redis, rows are stored batch by batch: after Ctrl-C, a
lost connection or a crash the same command goes on where it was (until then a file
DATA_DIR.TABLE.redis-load lies beside the data folder), and at the end some keys are read again from
both sides and compared. Rows deleted in Redis stay in the table. A password may stand in the
environment variable REDISCLI_AUTH instead of the URL."""

# Options that mean something for Redis only, as RedisSource calls them.
_REDIS_ONLY = ("layout", "match", "prefix", "schema", "format", "project", "view", "restart")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", help="the table; made if there is none")
    parser.add_argument(
        "source", help=f"a file, folder or glob of {', '.join(FORMATS)}, or a URL redis://..."
    )
    parser.add_argument(
        "--key",
        help="key column, several with commas; for files it makes the table if needed; for Redis "
        "what the column is called (default: key)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    redis = parser.add_argument_group("from Redis")
    redis.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="hash: one hash per row; blob: one string per row; feast: Feast's online store",
    )
    redis.add_argument(
        "--match", metavar="PATTERN", help="keys to take, as 'user:*'; all if not said"
    )
    redis.add_argument(
        "--prefix",
        metavar="TEXT",
        help="what the key column leaves out (default: the pattern up to its first wildcard; what "
        "follows its last one is left out too)",
    )
    redis.add_argument(
        "--schema",
        metavar="NAME[:TYPE],...",
        help="fields to take, and types where they are not to be guessed from the first rows; * is "
        "all others (default: *)",
    )
    redis.add_argument("--format", choices=BLOB_FORMATS, help="what a blob is")
    redis.add_argument("--project", help="the project of Feast")
    redis.add_argument("--view", help="the feature view of Feast")
    redis.add_argument(
        "--check",
        type=int,
        default=1000,
        metavar="N",
        help="keys to read again and compare at the end (default: 1000; 0: none)",
    )
    redis.add_argument(
        "--restart", action="store_true", help="begin anew instead of going on with an earlier run"
    )


def run(options: argparse.Namespace) -> int:
    if options.source.startswith(SCHEMES):
        return _load_redis(options)
    for name in _REDIS_ONLY:
        if getattr(options, name):
            raise fletching.InvalidArgumentError(f"--{name} is for a source redis://..., not files")
    key = options.key.split(",") if options.key else None
    with fletching.open(options.path) as db:
        result = db.load(options.table, options.source, key, progress=not options.quiet)
    if options.json:
        print(json.dumps({"rows": result.row_count, "version": result.version}))
    else:
        print(f"{result.row_count:,} rows in table '{options.table}', version {result.version}")
    return 0


def _load_redis(options: argparse.Namespace) -> int:
    if options.layout is None:
        raise fletching.InvalidArgumentError(
            f"say how the rows lie in Redis: --layout {', '.join(LAYOUTS)}; --help has examples"
        )
    if options.check < 0:
        raise fletching.InvalidArgumentError(f"--check {options.check} is no number of keys")
    source = RedisSource(
        url=options.source,
        layout=options.layout,
        match=options.match,
        prefix=options.prefix,
        key=options.key,
        schema=options.schema,
        format=options.format,
        project=options.project,
        view=options.view,
    )
    with fletching.open(options.path) as db:
        result = db.load_redis(
            options.table,
            source,
            check_count=options.check,
            restart=options.restart,
            progress=not options.quiet,
        )
    if options.json:
        names = {"row_count": "rows", "checked_count": "checked", "gone_count": "gone"}
        print(json.dumps({names.get(k, k): value for k, value in result._asdict().items()}))
    else:
        _print(options.table, result)
    return 1 if result.differences else 0


def _print(table: str, result: fletching.RedisLoad) -> None:
    print(f"{result.row_count:,} rows in table '{table}', version {result.version}")
    gone = f"; {result.gone_count:,} more are gone from Redis" if result.gone_count else ""
    if not result.differences:
        if result.checked_count:
            print(f"{result.checked_count:,} keys read again from both sides: all equal{gone}")
        return
    for line in result.differences:
        print(line)
    print(
        f"fletching: {result.checked_count:,} keys were read again and not all are equal{gone}; if "
        "Redis was written to meanwhile, load again",
        file=sys.stderr,
    )
