"""One request to an object store, before it is signed."""

from __future__ import annotations

from dataguard.model.dataclass import dataclass

__all__ = ["Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the bucket (`key` None) or of a key; names of headers are lower case."""

    method: str
    key: bytes | None = None
    query: tuple[tuple[str, str | bytes], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
