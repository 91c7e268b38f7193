"""`fletching keygen`: a new secret, and the line that lets it into a server."""

import argparse
import hashlib
import json
import re
import secrets

from fletching._errors import InvalidArgumentError

SECRET_BYTES = 32
PREFIX = "flk_"  # so that scanners, and people, know one that got lost
ROLES = ("none", "read", "write", "admin")
EXAMPLES = """\
  fletching keygen dashboard                       # may read every table
  fletching keygen etl --role none --grant 'features_*=write' --grant docs=admin
  fletching keygen etl --json | jq -r .line >> /etc/fletching/keys
  FLETCHING_API_KEY=flk_... python serve.py        # how a client sends it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="what the key is called in the file")
    parser.add_argument(
        "--role", choices=ROLES, default="read", help="for every table (default: read)"
    )
    parser.add_argument(
        "--grant",
        action="append",
        default=[],
        metavar="TABLE=ROLE",
        help="another role for one table, or for a prefix with *; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON, for programs")


def run(options: argparse.Namespace) -> int:
    secret, line = new_key(options.name, options.role, options.grant)
    if options.json:
        print(json.dumps({"secret": secret, "line": line}))
        return 0
    print("The secret, shown this once. Clients send it as FLETCHING_API_KEY or api_key=:\n")
    print(f"  {secret}\n")
    print("The line for the server's --keys-file; then send it SIGHUP:\n")
    print(f"  {line}")
    return 0


def new_key(name: str, role: str, grants: list[str]) -> tuple[str, str]:
    """-> (secret, line of the keys file). Errors: InvalidArgumentError."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise InvalidArgumentError("a key's name is 1 to 64 letters, digits, '_', '.' or '-'")
    for grant in grants:
        if not re.fullmatch(rf"(\*|[A-Za-z0-9_.-]{{1,128}}\*?)=({'|'.join(ROLES)})", grant):
            raise InvalidArgumentError(
                f"'{grant}' is no grant; give TABLE=ROLE or PREFIX*=ROLE, a role being one of "
                + ", ".join(ROLES)
            )
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return secret, " ".join([name, digest, role, *grants])
