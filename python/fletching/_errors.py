"""What can go wrong, as exceptions. Every one is a FletchingError; most are a builtin one as well.

`str(error)` is exactly what the engine says, the same words that HTTP answers. `error.code` is the
word that HTTP logs and documents use ("not_found").
"""

import errno
from typing import ClassVar


class FletchingError(Exception):
    """Whatever this package raises on purpose."""

    code: ClassVar[str] = ""
    """The kind of error in one word, the same at every door."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        """What `str(error)` says."""

    def __str__(self) -> str:  # KeyError would put quotes around it, OSError a number before it
        return self.message


class InvalidArgumentError(FletchingError, ValueError):
    """The request makes no sense for this table: a wrong name, value or number of keys."""

    code = "invalid_argument"


class SchemaMismatchError(FletchingError, TypeError):
    """Data does not have the table's columns or types."""

    code = "schema_mismatch"


class TooLargeError(FletchingError, ValueError):
    """More than fits: a key, a value, a patch."""

    code = "too_large"


class NotFoundError(FletchingError, KeyError):
    """There is no such table (or data folder)."""

    code = "not_found"


class AlreadyExistsError(FletchingError):
    """A table of that name is there."""

    code = "already_exists"


class UnsupportedError(FletchingError, NotImplementedError):
    """Not possible, or not yet."""

    code = "unsupported"


class CancelledError(FletchingError):
    """Stopped on request; nothing was written."""

    code = "cancelled"


class DeadlineError(FletchingError, TimeoutError):
    """It took longer than it may."""

    code = "deadline"


class BusyError(FletchingError):
    """Too much at once; try again."""

    code = "busy"


class UnavailableError(FletchingError, OSError):
    """The system refused: a file, a disk, a connection."""

    code = "unavailable"


class CorruptionError(FletchingError):
    """Bytes on disk are not what was written; the message names file and offset."""

    code = "corruption"


class StorageFullError(FletchingError, OSError):
    """No space left; nothing was written, and reads go on."""

    code = "storage_full"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOSPC


class LockedError(FletchingError):
    """Another process writes to this folder; the message names it. mode="r" reads beside it."""

    code = "locked"


class UnauthenticatedError(FletchingError):
    """The server asks for a key, and got none or one that it does not know."""

    code = "unauthenticated"


class ForbiddenError(FletchingError, PermissionError):
    """The key may not do this; the message names its role and the table."""

    code = "forbidden"


class InternalError(FletchingError, RuntimeError):
    """A mistake of ours."""

    code = "internal"


BY_CODE: dict[str, type[FletchingError]] = {
    cls.code: cls for cls in FletchingError.__subclasses__()
}


def make_error(code: str, message: str) -> FletchingError:
    """The exception for an error of the engine; the native module calls this."""
    if code == LockedError.code:  # what helps is a word of this package, not of the engine
        message += '; mode="r" reads beside it'
    return BY_CODE.get(code, InternalError)(message)
