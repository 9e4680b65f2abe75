"""Digests in the making, one for each algorithm."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

import xxhash

from dataguard.errors import UsageError
from dataguard.model.digest import Algorithm

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Hash", "digester", "new_hash"]


class Hash(Protocol):
    """A digest in the making."""

    def update(self, data: memoryview, /) -> object:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Return the digest of what was taken."""


def new_hash(algorithm: Algorithm) -> Callable[[], Hash]:
    """Return what begins a digest of this algorithm.

    Raises:
        UsageError: it needs a library that is not installed.
    """
    if algorithm is Algorithm.XXH3_128:
        return xxhash.xxh3_128
    return cast("Callable[[], Hash]", _constructor(algorithm))


def digester(algorithm: Algorithm) -> Callable[[bytes | memoryview], bytes]:
    """Return what digests bytes that are all there, quicker than in pieces.

    Raises:
        UsageError: it needs a library that is not installed.
    """
    if algorithm is Algorithm.XXH3_128:
        return xxhash.xxh3_128_digest
    new = _constructor(algorithm)

    def digest(data: bytes | memoryview) -> bytes:
        return new(data).digest()

    return digest


def _constructor(algorithm: Algorithm) -> Callable[..., Hash]:
    if algorithm is Algorithm.BLAKE3:
        return _blake3()
    import hashlib  # noqa: PLC0415  brings OpenSSL, which xxh3 alone does not need

    new = getattr(hashlib, algorithm.value)
    return cast("Callable[..., Hash]", partial(new, usedforsecurity=False))


def _blake3() -> Callable[..., Hash]:
    try:
        from blake3 import blake3  # noqa: PLC0415  an extra
    except ImportError as err:
        raise UsageError("blake3 is not installed", hint="pip install 'dataguard[blake3]'") from err
    return cast("Callable[..., Hash]", blake3)
