"""What our FUSE servers do not do: every operation that would write is noted and refused."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from dataguard.core.secretwords import words_without_secrets
from dataguard.model.attempt import Attempt
from dataguard.mounts.attempts import LIMIT, note

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Refusing", "library", "serve"]

_CACHED_S = 365 * 24 * 3600
"""How long the kernel may trust names and attributes: a version does not change."""


class Refusing:
    """Operations of mfusepy that write; `caller` tells who asks, `log` is open for the notes."""

    use_ns = True

    def __init__(self, caller: Callable[[], tuple[int, int, int]], log: int) -> None:
        self._caller, self._log = caller, log
        self._noted = 0

    def chmod(self, path: str, _mode: int) -> NoReturn:
        """Refuse."""
        self.refuse("chmod", path)

    def chown(self, path: str, _uid: int, _gid: int) -> NoReturn:
        """Refuse."""
        self.refuse("chown", path)

    def create(self, path: str, _mode: int, _flags: int) -> NoReturn:
        """Refuse."""
        self.refuse("create", path)

    def fallocate(self, path: str, _mode: int, _offset: int, _size: int, _fh: int) -> NoReturn:
        """Refuse."""
        self.refuse("fallocate", path)

    def link(self, target: str, _source: str) -> NoReturn:
        """Refuse."""
        self.refuse("link", target)

    def mkdir(self, path: str, _mode: int) -> NoReturn:
        """Refuse."""
        self.refuse("mkdir", path)

    def mknod(self, path: str, _mode: int, _device: int) -> NoReturn:
        """Refuse."""
        self.refuse("mknod", path)

    def removexattr(self, path: str, _name: str) -> NoReturn:
        """Refuse."""
        self.refuse("removexattr", path)

    def rename(self, old: str, _new: str) -> NoReturn:
        """Refuse."""
        self.refuse("rename", old)

    def rmdir(self, path: str) -> NoReturn:
        """Refuse."""
        self.refuse("rmdir", path)

    def setxattr(self, path: str, _name: str, _value: bytes, *_rest: int) -> NoReturn:
        """Refuse."""
        self.refuse("setxattr", path)

    def symlink(self, target: str, _source: str) -> NoReturn:
        """Refuse."""
        self.refuse("symlink", target)

    def truncate(self, path: str, _length: int, _fh: int | None = None) -> NoReturn:
        """Refuse."""
        self.refuse("truncate", path)

    def unlink(self, path: str) -> NoReturn:
        """Refuse."""
        self.refuse("unlink", path)

    def utimens(self, path: str, _times: tuple[int, int] | None = None) -> NoReturn:
        """Refuse."""
        self.refuse("utimens", path)

    def write(self, path: str, _data: bytes, _offset: int, _fh: int) -> NoReturn:
        """Refuse."""
        self.refuse("write", path)

    def refuse(self, operation: str, path: str) -> NoReturn:
        """Note who tried what, and refuse it.

        Raises:
            OSError: always.
        """
        uid, gid, pid = self._caller()
        if self._noted < LIMIT:
            self._noted += 1
            name = os.fsencode(path.lstrip("/"))
            made = Attempt(operation, name, pid, uid, gid, _command(pid), datetime.now(UTC))
            with suppress(OSError):  # a full disk must not turn a refusal into an error
                note(self._log, made)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def serve(operations: Refusing, connection: int, *, threads: bool) -> None:
    """Serve a mount until it goes; with `threads` several requests at once.

    Raises:
        ImportError: mfusepy is not installed.
        OSError: libfuse 3 is not.
    """
    mfusepy = library()
    os.chdir("/")
    mfusepy.FUSE(
        operations,
        f"/dev/fd/{connection}",
        foreground=True,
        nothreads=not threads,
        use_ino=True,
        kernel_cache=True,
        entry_timeout=_CACHED_S,
        attr_timeout=_CACHED_S,
    )


def library() -> Any:
    """Return mfusepy over libfuse 3, which it would not take where libfuse 2 is too.

    Raises:
        ImportError: mfusepy is not installed.
        OSError: libfuse 3 is not.
    """
    os.environ.pop("FUSE_LIBRARY_PATH", None)
    os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
    import mfusepy  # noqa: PLC0415  an extra, which wants the names above

    return mfusepy


def _command(pid: int) -> str:
    """Return a process's command line; its caller waits for us, so it is there to be read."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            words = stream.read().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    told = tuple(word.decode("utf-8", "backslashreplace") for word in words)
    return " ".join(words_without_secrets(told))
