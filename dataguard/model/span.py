"""Ranges of paths: which part of a tree somebody looks at."""

from __future__ import annotations

from dataguard.model.dataclass import dataclass

__all__ = ["WHOLE", "Span", "inside"]

_LONGER_THAN_A_NAME = b"\xff" * 256
"""Follows every path below a directory: no file system takes a name of more than 255 bytes."""


@dataclass(frozen=True, slots=True)
class Span:
    """The paths after `after` up to and with `through`, in bytewise order; None: to the end.

    Law: spans of which each begins where the one before ends hold every path exactly once.
    """

    after: bytes = b""
    through: bytes | None = None

    def contains(self, path: bytes) -> bool:
        """Whether a path lies in the span."""
        return self.after < path and (self.through is None or path <= self.through)

    def may_hold(self, directory: bytes) -> bool:
        """Whether anything below a directory can lie in the span; the root is `b""`."""
        if not directory:
            return self.through is None or self.after < self.through
        # Everything below lies after `directory/` and before `directory0`, for `0` follows `/`.
        after_start = self.through is None or directory + b"/" < self.through
        return after_start and self.after < directory + b"0"

    def below(self, directory: bytes) -> Span:
        """Return the span of the same paths relative to a directory that it may hold.

        Law: `span.below(d).contains(p) == span.contains(d + b"/" + p)`.
        """
        prefix = directory + b"/"
        after, through = b"", None
        if self.after.startswith(prefix):
            after = self.after[len(prefix) :]
        if self.through is not None and self.through.startswith(prefix):
            through = self.through[len(prefix) :]
        return Span(after, through)


def inside(directory: bytes) -> Span:
    """Return the span of everything below a directory, and of nothing beside it."""
    return Span(directory + b"/", directory + b"/" + _LONGER_THAN_A_NAME)


WHOLE = Span()
"""Every path."""
