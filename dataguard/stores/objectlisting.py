"""Pages of listings of a bucket: from the XML of a server to columns.

Two ways to the same rows: expressions that take each column of a page at once, and a parser of XML
for pages that are not as simple as that. A hundred thousand keys are read in half a second.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import pyarrow as pa

from dataguard.core.columns import binary_column, flag_column
from dataguard.core.kernels import is_ascending
from dataguard.core.numeric import np
from dataguard.model.dataclass import dataclass
from dataguard.model.schema import LISTING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Listed", "Plus", "Tail", "decoded", "parse_page", "rows_of", "tail_of"]

_ROOTS = (b"<ListBucketResult", b"<ListVersionsResult")
_ENDS = (b"</ListBucketResult>", b"</ListVersionsResult>")
_LAST_CHARACTER = 0x10FFFF
_FIELDS = (
    "Key",
    "Size",
    "ETag",
    "VersionId",
    "LastModified",
    "IsLatest",
    "StorageClass",
    "ChecksumAlgorithm",
    "ChecksumType",
)
_COLUMNS = {name: re.compile(rf"<{name}>([^<]*)</{name}>".encode()) for name in _FIELDS}
_CHILDREN = {"Version": False, "DeleteMarker": True, "Contents": False}
_REFERENCE = re.compile(rb"&(#x[0-9a-fA-F]+|#[0-9]+|[a-z]+);")
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}
_MILLISECONDS = 23
"""Characters of `2026-11-23T19:11:59.000`."""

Plus = bool | None
"""Whether `+` stands for a space in keys that a server encoded; None: nothing shows it."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What a page says of the next one: the markers as the server gave them."""

    is_truncated: bool
    key_marker: bytes | None
    version_marker: bytes | None
    token: bytes | None
    is_encoded: bool


@dataclass(slots=True)
class Listed:
    """The columns of one page as they came: texts without references, keys still encoded."""

    columns: dict[str, list[bytes | None]]
    is_marker: list[bool]
    is_encoded: bool

    @property
    def has_plus(self) -> bool:
        """Whether a `+` stands in an encoded key."""
        return self.is_encoded and any(b"+" in (key or b"") for key in self.columns["Key"])

    @property
    def first_with_plus(self) -> bytes:
        """The first such key, encoded; empty where there is none."""
        return next((key for key in self.columns["Key"] if key and b"+" in key), b"")

    @property
    def plus(self) -> Plus:
        """Whether `+` stands for a space: who writes that so has another way to write a `+`."""
        keys = b"\n".join(key or b"" for key in self.columns["Key"])
        if b"%2B" in keys or b"%2b" in keys:
            return True
        return False if b"%20" in keys else None


def tail_of(page: bytes) -> Tail:
    """Return what a page says of the next one.

    Raises:
        ValueError: it is no page of a listing.
    """
    if not any(root in page[:400] for root in _ROOTS):
        raise ValueError("the reply is no listing")
    if not page.rstrip().endswith(_ENDS):
        raise ValueError("the listing is cut")
    return Tail(
        (_one(page, b"IsTruncated") or b"false").strip() == b"true",
        _one(page, b"NextKeyMarker"),
        _one(page, b"NextVersionIdMarker"),
        _one(page, b"NextContinuationToken"),
        _is_encoded(page),
    )


def parse_page(page: bytes) -> Listed:
    """Return the columns of a page.

    Raises:
        ValueError: it is no page of a listing.
    """
    return _by_columns(page) or _by_elements(page)


def rows_of(listed: Listed, *, plus: bool) -> pa.RecordBatch:
    """Return the rows of a page, in key order, those of one key as they came.

    Raises:
        ValueError: a value makes no sense.
    """
    columns = listed.columns
    keys = [decoded(key or b"", plus=plus) if listed.is_encoded else key for key in columns["Key"]]
    made = {
        "key": binary_column(keys),
        "size": _sizes(columns["Size"]),
        "etag": _texts([_unquoted(value) for value in columns["ETag"]]),
        "version_id": _texts(columns["VersionId"]),
        "last_modified": _times(columns["LastModified"]),
        "is_latest": flag_column(bytes(value in (None, b"true") for value in columns["IsLatest"])),
        "is_delete_marker": flag_column(bytes(listed.is_marker)),
        "storage_class": _texts(columns["StorageClass"]),
        "checksum_algorithm": _texts(columns["ChecksumAlgorithm"]),
        "checksum_type": _texts(columns["ChecksumType"]),
    }
    batch = pa.RecordBatch.from_arrays([made[name] for name in LISTING.names], schema=LISTING)
    if len(keys) > 1 and not is_ascending(made["key"]):
        order = sorted(range(len(keys)), key=lambda row: keys[row] or b"")
        if order != list(range(len(keys))):
            batch = batch.take(pa.Array.from_buffers(pa.int64(), len(order), _numbers(order)))
    return batch


def decoded(key: bytes, *, plus: bool) -> bytes:
    """Return a key that a server encoded as for a URL; `plus`: where `+` stands for a space."""
    if plus:
        key = key.replace(b"+", b" ")
    return unquote_to_bytes(key) if b"%" in key else key


def _one(page: bytes, name: bytes) -> bytes | None:
    start = page.find(b"<" + name + b">")
    if start < 0:
        return None
    start += len(name) + 2
    return _plain(page[start : page.index(b"</", start)])


def _by_columns(page: bytes) -> Listed | None:
    """Return the columns of a page that is simple; None where it is not."""
    if b"<DeleteMarker" in page or b"<!" in page:
        return None
    page = page.replace(b"&#34;", b'"').replace(b"&quot;", b'"')  # around every etag
    count = page.count(b"<Version>") + page.count(b"<Contents>")
    columns: dict[str, list[bytes | None]] = {}
    for name in _FIELDS:
        found: list[bytes | None] = list(_COLUMNS[name].findall(page))
        if len(found) not in (0, count) or (name == "Key" and not found and count):
            return None
        columns[name] = [_plain(one) for one in found if one is not None] or [None] * count
    if count != page.count(b"<Version") - page.count(b"<VersionId") + page.count(b"<Contents"):
        return None
    return Listed(columns, [False] * count, _is_encoded(page))


def _by_elements(page: bytes) -> Listed:
    if b"<!DOCTYPE" in page or b"<!ENTITY" in page:
        raise ValueError("the listing defines what it says")  # no server has reason to
    try:
        root = ET.fromstring(page)  # noqa: S314  it defines no entities
    except ET.ParseError as err:
        raise ValueError(f"the listing is no XML: {err}") from err
    columns: dict[str, list[bytes | None]] = {name: [] for name in _FIELDS}
    markers = []
    for element in root:
        marker = _CHILDREN.get(_local(element.tag))
        if marker is None:
            continue
        found = {_local(child.tag): child.text or "" for child in element}
        if "Key" not in found:
            raise ValueError("an entry of the listing has no key")
        for name in _FIELDS:
            value = found.get(name)
            columns[name].append(None if value is None else value.encode())
        markers.append(marker)
    return Listed(columns, markers, _is_encoded(page))


def _is_encoded(page: bytes) -> bool:
    return (_one(page, b"EncodingType") or b"").strip() == b"url"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _plain(text: bytes) -> bytes:
    """Return a text of XML without references; such that XML does not allow are taken too."""
    return _REFERENCE.sub(_character, text) if b"&" in text else text


def _character(found: re.Match[bytes]) -> bytes:
    name = found[1]
    if not name.startswith(b"#"):
        return _NAMED.get(name, found[0])
    digits = name[1:]
    number = int(digits[1:], 16) if digits[:1] == b"x" else int(digits)
    if number > _LAST_CHARACTER:
        raise ValueError("the listing has a character that there is none of")
    return chr(number).encode("utf-8", "surrogatepass")


def _unquoted(etag: bytes | None) -> bytes | None:
    return None if etag is None else etag.strip(b'"')


def _texts(values: Sequence[bytes | None]) -> pa.Array:
    return binary_column([value or None for value in values]).view(pa.string())


def _sizes(values: Sequence[bytes | None]) -> pa.Array:
    known = np.fromiter((value is not None for value in values), np.bool_, len(values))
    try:
        numbers = np.fromiter((int(value or 0) for value in values), np.int64, len(values))
    except OverflowError as err:
        raise ValueError("the listing has a size beyond all bounds") from err
    if (numbers < 0).any():
        raise ValueError("the listing has a negative size")
    valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(pa.int64(), len(values), [valid, pa.py_buffer(numbers)])


def _times(values: Sequence[bytes | None]) -> pa.Array:
    moments = _utc(values)
    if moments is None:
        moments = np.fromiter(map(_moment, values), np.int64, len(values))
    known = np.fromiter((bool(value) for value in values), np.bool_, len(values))
    buffers = [pa.py_buffer(np.packbits(known, bitorder="little")), pa.py_buffer(moments)]
    return pa.Array.from_buffers(pa.timestamp("ms", tz="UTC"), len(values), buffers)


def _utc(values: Sequence[bytes | None]) -> np.ndarray | None:
    """Return times that are all written as AWS writes them; None where one is not."""
    if not all(value and value.endswith(b"Z") for value in values):
        return None
    texts = [(value or b"")[:_MILLISECONDS].rstrip(b"Z").decode() for value in values]
    try:
        return np.array(texts, dtype="M8[ms]").astype(np.int64)
    except ValueError:
        return None


def _moment(value: bytes | None) -> int:
    if not value:
        return 0
    found = datetime.fromisoformat(value.decode())
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _numbers(values: list[int]) -> list[pa.Buffer | None]:
    return [None, pa.py_buffer(np.array(values, np.int64))]
