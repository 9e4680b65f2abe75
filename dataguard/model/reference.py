"""Names of datasets and references to their versions."""

from __future__ import annotations

import re

from dataguard.errors import UsageError
from dataguard.model.dataclass import dataclass

__all__ = ["Reference", "check_dataset_name", "check_tag_name"]

_PART = r"[a-z0-9][a-z0-9._-]*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ROOT_PREFIX = r"dg1:([0-9a-f]{8,64})"
_NAME_MAX = 128


def check_dataset_name(name: str) -> str:
    """Return the name unchanged.

    Raises:
        UsageError: not `[a-z0-9][a-z0-9._-]*` in groups separated by `/`, or over 128 characters.
    """
    if len(name) > _NAME_MAX or _NAME.fullmatch(name) is None:
        raise UsageError(
            f"`{name}` is no dataset name",
            hint="use a-z, 0-9, `.`, `_`, `-`, begin with a letter or digit, group with `/`, "
            f"at most {_NAME_MAX} characters: vision/faces",
        )
    return name


def check_tag_name(tag: str) -> str:
    """Return the tag unchanged.

    Raises:
        UsageError: the tag is all digits, begins with `dg1:` or has other characters.
    """
    if tag.isdigit() or re.fullmatch(_TAG, tag) is None or len(tag) > _NAME_MAX:
        raise UsageError(
            f"`{tag}` is no tag", hint="use letters, digits, `.`, `_`, `-`; not only digits"
        )
    return tag


@dataclass(frozen=True, slots=True)
class Reference:
    """What a user wrote to mean a version; `Reference.parse(str(r)) == r`.

    At most one of `number`, `root_prefix` (8 to 64 hex digits) and `tag` is set; none means the
    newest active version.
    """

    dataset: str
    number: int | None = None
    root_prefix: str | None = None
    tag: str | None = None

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.dataset}@{self.number}"
        if self.root_prefix is not None:
            return f"{self.dataset}@dg1:{self.root_prefix}"
        return self.dataset if self.tag is None else f"{self.dataset}@{self.tag}"

    @property
    def is_pinned(self) -> bool:
        """Whether the reference always means the same content."""
        return self.number is not None or self.root_prefix is not None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `faces`, `faces@3`, `faces@dg1:<8+ hex>` or `faces@prod`.

        Raises:
            UsageError: the text is none of these.
        """
        name, separator, selector = text.partition("@")
        check_dataset_name(name)
        if not separator:
            return cls(name)
        if selector.isascii() and selector.isdigit():
            return cls(name, number=_version_number(selector))
        if selector.startswith("dg1:"):
            found = re.fullmatch(_ROOT_PREFIX, selector)
            if found is None:
                raise UsageError(
                    f"`{selector}` is no root digest", hint="write dg1: and 8 to 64 hex digits"
                )
            return cls(name, root_prefix=found[1])
        return cls(name, tag=check_tag_name(selector))


def _version_number(digits: str) -> int:
    number = int(digits)
    if number < 1 or str(number) != digits:
        raise UsageError(f"`{digits}` is no version number", hint="versions count from 1")
    return number
