"""Digest algorithms, their strength, and the text form of a root digest."""

from __future__ import annotations

import re
from enum import StrEnum

from dataguard.errors import UsageError
from dataguard.model.dataclass import dataclass

__all__ = ["IDENTITY_ALGORITHMS", "Algorithm", "DigestPlan", "RootDigest", "Strength"]

_ROOT = r"dg1:([0-9a-f]{64})"


class Strength(StrEnum):
    """What a digest protects against."""

    ACCIDENTAL = "accidental"
    ADVERSARIAL = "adversarial"


class Algorithm(StrEnum):
    """A digest algorithm; the last three only check existing manifests (`--expect`)."""

    XXH3_128 = "xxh3-128"
    BLAKE3 = "blake3"
    SHA256 = "sha256"
    SHA512 = "sha512"
    SHA1 = "sha1"
    MD5 = "md5"

    @property
    def digest_bytes(self) -> int:
        """Length of a digest in bytes."""
        return _SIZES[self]

    @property
    def strength(self) -> Strength:
        """Whether somebody could make two contents with one digest on purpose."""
        strong = (Algorithm.BLAKE3, Algorithm.SHA256, Algorithm.SHA512)
        return Strength.ADVERSARIAL if self in strong else Strength.ACCIDENTAL


_SIZES = {
    Algorithm.XXH3_128: 16,
    Algorithm.BLAKE3: 32,
    Algorithm.SHA256: 32,
    Algorithm.SHA512: 64,
    Algorithm.SHA1: 20,
    Algorithm.MD5: 16,
}

IDENTITY_ALGORITHMS = (Algorithm.XXH3_128, Algorithm.BLAKE3, Algorithm.SHA256)


@dataclass(frozen=True, slots=True, order=True)
class RootDigest:
    """The identity of a version's content; `RootDigest.parse(str(d)) == d`."""

    hex: str

    def __str__(self) -> str:
        return f"dg1:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> RootDigest:
        """Read `dg1:` and 64 hex digits.

        Raises:
            UsageError: the text has another form.
        """
        found = re.fullmatch(_ROOT, text)
        if found is None:
            raise UsageError(f"`{text}` is no root digest", hint="write dg1: and 64 hex digits")
        return cls(found[1])


@dataclass(frozen=True, slots=True)
class DigestPlan:
    """The digests one read computes: the main one and the additional ones."""

    main: Algorithm
    also: tuple[Algorithm, ...] = ()

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """Main algorithm first."""
        return (self.main, *self.also)
