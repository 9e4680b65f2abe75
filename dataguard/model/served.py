"""What a server of a mount shows that reads objects on demand: a version in a bucket, in names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from dataguard.model.dataclass import dataclass
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.objects import ObjectPlace
from dataguard.model.tree import Looks

__all__ = ["ServedTree", "identity_of", "is_served"]

_SUFFIX = ".served"
_KEY_DIGITS = 15
"""So many hex digits fit into what databases call an integer."""


@dataclass(frozen=True, slots=True)
class ServedTree:
    """A version at one location in a bucket, and how its files look; no secret is in it.

    `home` has the manifests, `cache` is the node cache, `group` whose it is. `blocks` is how many
    bytes of memory are for what was read.
    """

    home: str
    root: RootDigest
    algorithm: Algorithm
    sheet: str | None
    place: str
    objects: ObjectPlace
    bytes: int
    files: int
    looks: Looks
    cache: str
    group: int | None
    blocks: int

    @property
    def name(self) -> str:
        """The name of its description: the same for what looks the same to the same user."""
        recorded = (self.objects.endpoint, self.objects.region, self.objects.profile)
        shown = (self.home, str(self.root), self.algorithm.value, self.sheet, self.place)
        looks = replace(self.looks, uid=0)  # whoever asks for a mount may not be who made it
        key = hashlib.sha256(repr((shown, recorded, looks)).encode()).hexdigest()
        return f"{key[:_KEY_DIGITS]}-{self.looks.uid}{_SUFFIX}"

    def text(self) -> str:
        """Return it as JSON. Law: `ServedTree.parse(tree.text()) == tree`."""
        fields = asdict(self)
        fields["objects"].pop("capabilities")  # which no reader needs
        return json.dumps({**fields, "root": self.root.hex, "algorithm": self.algorithm.value})

    @classmethod
    def parse(cls, text: str) -> ServedTree:
        """Read what `text` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        fields: dict[str, Any] = json.loads(text)
        fields["root"] = RootDigest(fields["root"])
        fields["algorithm"] = Algorithm(fields["algorithm"])
        fields["objects"] = ObjectPlace(**fields["objects"])
        fields["looks"] = Looks(**fields["looks"])
        return cls(**fields)


def is_served(path: str) -> bool:
    """Whether a path is that of a description."""
    return path.endswith(_SUFFIX)


def identity_of(path: str) -> tuple[int, int]:
    """Return device and inode by which a mount of a description is known again, by any user."""
    return 0, int(path.rpartition("/")[2].partition("-")[0], 16)
