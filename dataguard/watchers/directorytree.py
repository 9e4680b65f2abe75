"""Watched directories by what the kernel calls them, each with its parent and its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["DirectoryTree", "Place"]

K = TypeVar("K", bound="Hashable")

Place = tuple[bytes, bytes]
"""A root, and an absolute path below it."""

_DEEPEST = 1 << 16
_REMEMBERED = 1024


class DirectoryTree(Generic[K]):
    """Paths of directories from keys, without asking the kernel.

    A rename moves everything below by changing one parent, and a path is known when its
    directory is gone already. A directory whose chain of parents reaches no root has no place:
    what was moved out needs no clean-up at once. Chains go on above a root, so what lies in
    nested roots, or is reached by two names, has several places.
    """

    def __init__(self) -> None:
        self._parents: dict[K, tuple[K, bytes]] = {}
        self._roots: dict[K, tuple[bytes, ...]] = {}
        self._found: dict[K, tuple[Place, ...]] = {}  # of late; empty after every change

    def __contains__(self, key: K) -> bool:
        return key in self._parents or key in self._roots

    def __len__(self) -> int:
        return len(self._parents) + len(self._roots)

    def add_root(self, key: K, root: bytes) -> None:
        """Let a directory be what is seen at an absolute path."""
        self._found.clear()
        if root not in self._roots.get(key, ()):
            self._roots[key] = (*self._roots.get(key, ()), root)

    def drop_root(self, root: bytes) -> None:
        """Forget where a root was; what is below no other root has no place any more."""
        self._found.clear()
        for key, roots in list(self._roots.items()):
            kept = tuple(one for one in roots if one != root)
            if kept:
                self._roots[key] = kept
            else:
                del self._roots[key]

    def add(self, key: K, parent: K, name: bytes) -> None:
        """Learn that a directory is called `name` in `parent` now, wherever it was before."""
        if self._parents.get(key) != (parent, name):
            self._found.clear()
            self._parents[key] = (parent, name)

    def discard(self, key: K) -> None:
        """Forget a directory; a root stays until it is dropped."""
        if self._parents.pop(key, None) is not None:
            self._found.clear()

    def roots(self) -> tuple[bytes, ...]:
        """Return all roots."""
        return tuple(root for roots in self._roots.values() for root in roots)

    def is_root(self, key: K) -> bool:
        """Whether a directory is a root."""
        return key in self._roots

    def places(self, key: K) -> tuple[Place, ...]:
        """Return each root that holds a directory and its path there, the deepest root first."""
        known = self._found.get(key)
        if known is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            known = self._found[key] = self._climb(key)
        return known

    def homeless(self) -> tuple[K, ...]:
        """Return what is below no root; looks at all there are."""
        return tuple(key for key in self._parents if not self._climb(key))

    def _climb(self, key: K) -> tuple[Place, ...]:
        found: list[Place] = []
        below = b""
        for _ in range(_DEEPEST):  # contradicting renames could make a ring
            found += [(root, _joined(root, below)) for root in self._roots.get(key, ())]
            parent = self._parents.get(key)
            if parent is None:
                break
            key, name = parent
            below = b"/" + name + below
        return tuple(found)


def _joined(root: bytes, below: bytes) -> bytes:
    return root + below if root != b"/" else below or root
