"""Where a server is, and the key that it is sent: both as users give them."""

import os
from urllib.parse import urlsplit

from fletching._errors import InvalidArgumentError

HTTP_PORT = 8080
HTTPS_PORT = 443
KEY_VARIABLE = "FLETCHING_API_KEY"


def checked_key(api_key: str | None) -> str:
    """ "" for none. Errors do not show it."""
    key = os.environ.get(KEY_VARIABLE, "") if api_key is None else api_key
    if not isinstance(key, str) or not all("!" <= letter <= "~" for letter in key):
        raise InvalidArgumentError(
            "an API key is a text of ASCII letters, digits and signs, without spaces or line ends"
        )
    return key


def parse_url(url: str) -> tuple[str, str, int, str]:
    """-> scheme, host, port, path before the API's own."""
    text = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(text)
        port = parts.port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)
    except ValueError as error:
        raise InvalidArgumentError(f"'{url}' is no URL of a server: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidArgumentError(
            f"'{url}' is no URL of a server; give one like http://127.0.0.1:8080"
        )
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")
