"""Paths of `gold://`: a version, and an entry in it."""

from __future__ import annotations

import os

from dataguard.errors import UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.reference import Reference

__all__ = ["SCHEME", "GoldPath"]

SCHEME = "gold://"


@dataclass(frozen=True, slots=True)
class GoldPath:
    """`faces@3/train/0001.jpg`: a reference with its `@`, and raw bytes below the version's root.

    `path` is empty for the root. Law: `GoldPath.parse(str(g)) == g`.
    """

    reference: Reference
    path: bytes

    def __str__(self) -> str:
        path = os.fsdecode(self.path)
        return f"{self.reference}/{path}" if path else str(self.reference)

    @classmethod
    def parse(cls, text: str) -> GoldPath:
        """Read `faces@3/train/0001.jpg`, with or without `gold://`; the path is taken literally.

        Raises:
            UsageError: there is no `@`, or what is before and behind it is no reference.
        """
        name, at, rest = text.removeprefix(SCHEME).partition("@")
        if not at:
            raise UsageError(
                f"`{text}` names no version",
                hint=f"write {SCHEME}{name.partition('/')[0] or 'faces'}@1/PATH: a number, a tag "
                "or dg1:DIGITS after the `@`; `dataguard list` shows what there is",
            )
        selector, _, path = rest.partition("/")
        return cls(Reference.parse(f"{name}@{selector}"), os.fsencode(path))
