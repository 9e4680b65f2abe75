"""Open files of `gold://`: they read, seek and close, and lead to nothing else."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, NoReturn

from dataguard.hooks.readonly import ELSEWHERE, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.stores.pinnedsource import PinnedSource

__all__ = ["GoldFile"]

_BUFFER = 1 << 16


class GoldFile(io.BufferedReader):
    """A buffered binary file; `path` is its path in `gold://`, `size` its exact size.

    No descriptor, and no way to the file system or client below it.
    """

    mode = "rb"

    def __init__(self, path: str, source: PinnedSource) -> None:
        super().__init__(_Raw(source), min(max(source.size, 1), _BUFFER))
        self.path = self.full_name = path
        self.size = source.size

    def __getattr__(self, name: str) -> Any:
        if name in ELSEWHERE:
            raise refusal(f"`{name}` is refused", self.path)
        raise AttributeError(f"a file of gold:// has no `{name}`")

    def detach(self) -> NoReturn:
        """Refuse: what is below stays wrapped."""
        raise io.UnsupportedOperation("a file of gold:// has nothing to detach")

    def write(self, _data: object, /) -> NoReturn:
        """Refuse."""
        raise refusal("`write` is refused", self.path)

    def writelines(self, _lines: Iterable[object], /) -> NoReturn:
        """Refuse."""
        raise refusal("`writelines` is refused", self.path)

    def truncate(self, _size: int | None = None, /) -> NoReturn:
        """Refuse."""
        raise refusal("`truncate` is refused", self.path)


class _Raw(io.RawIOBase):
    """Reads a source from a position on."""

    def __init__(self, source: PinnedSource) -> None:
        self._source, self._position = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._position >= self._source.size:
            return 0
        count = self._source.read_into(self._position, memoryview(buffer).cast("B"))
        self._position += count
        return count

    def readall(self) -> bytes:
        left = self._source.size - self._position
        if left <= 0:
            return b""
        data = self._source.read(self._position, left)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}.get(whence, 0)
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()
