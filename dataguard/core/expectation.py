"""Existing checksum files: what they promise, and whether a scan keeps the promise."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.columns import binary_column, kind_mask, number_column, text_paths, truths
from dataguard.core.kernels import taken, unequal
from dataguard.core.numeric import np
from dataguard.core.verdicts import Difference
from dataguard.errors import UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import Algorithm
from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.core.align import Window

__all__ = [
    "Expectation",
    "judge_expectation",
    "parse_bagit",
    "parse_checksums",
    "parse_dvc_directory",
]

_BY_HEX_LENGTH = {
    32: Algorithm.MD5,
    40: Algorithm.SHA1,
    64: Algorithm.SHA256,
    128: Algorithm.SHA512,
}
_LINE = re.compile(rb"(\\?)([0-9a-fA-F]{32,128}) [ *](.+)")
_TAGGED = re.compile(rb"(\\?)(MD5|SHA1|SHA256|SHA512) \((.+)\) = ([0-9a-fA-F]{32,128})")
_BAGIT_LINE = re.compile(rb"([0-9a-fA-F]{32,128})[ \t]+\*?(.+)")
_HEX = re.compile(rb"[0-9a-fA-F]+")
_ESCAPES = {b"\\n": b"\n", b"\\r": b"\r", b"\\\\": b"\\"}


@dataclass(frozen=True, slots=True)
class Expectation:
    """Digests that somebody else recorded, one algorithm for the whole file.

    `rows` has the columns path, path_raw and expected, in path order. `exhaustive` means that
    a file it does not list is wrong (BagIt, DVC).
    """

    algorithm: Algorithm
    rows: pa.RecordBatch
    exhaustive: bool


def parse_checksums(data: bytes) -> Expectation:
    """Read the output of sha256sum, md5sum, sha1sum or sha512sum, plain or `--tag`.

    A leading backslash means escapes in the name, as coreutils writes for odd names.

    Raises:
        UsageError: a line has another form, or lines have different algorithms.
    """
    rows = [
        _checksum(line, number)
        for number, line in enumerate(_lines(data), 1)
        if line and not line.startswith(b"#")
    ]
    return _expectation(rows, exhaustive=False)


def parse_bagit(data: bytes) -> Expectation:
    """Read a BagIt payload manifest (RFC 8493); paths begin with `data/`.

    Raises:
        UsageError: a line has another form, or a path leaves the bag.
    """
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line:
            continue
        parts = _BAGIT_LINE.fullmatch(line)
        if parts is None:
            raise UsageError(f"line {number} of the BagIt manifest is none: {line[:60]!r}")
        # Only these three are encoded in a manifest (RFC 8493, 2.1.3).
        name = re.sub(rb"%0[AaDd]|%25", lambda m: bytes.fromhex(m[0][1:].decode()), parts[2])
        found.append((_relative(name, number), parts[1]))
    return _expectation(found, exhaustive=True)


def parse_dvc_directory(data: bytes) -> Expectation:
    """Read a DVC directory object (`.dir`): a JSON list of md5 and relpath.

    Raises:
        UsageError: the JSON has another form.
    """
    try:
        rows = [(row["relpath"].encode(), row["md5"].encode()) for row in json.loads(data)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise UsageError("this is no DVC directory object", hint="give the .dvc file") from err
    return _expectation([(_relative(p, n), d) for n, (p, d) in enumerate(rows, 1)], exhaustive=True)


def judge_expectation(
    window: Window, expectation: Expectation, *, below: bytes
) -> tuple[list[Difference], int]:
    """Return what breaks the promise in a window (left: expected, right: observed), in order.

    Also returns how many observed files are not listed. Where the expectation is exhaustive,
    unlisted files below `below` are differences.
    """
    found = [
        Difference(Code.DG102, window.left_paths[int(row)].as_py(), "listed, but not there")
        for row in window.only_left
    ]
    if not window.right.num_rows:  # then it may lack the columns of a scan
        return found, 0
    found += _mismatches(window, expectation.algorithm)
    files = kind_mask(window.right, "f")
    unlisted = window.only_right[files[window.only_right]]
    if expectation.exhaustive:
        paths = (window.right_paths[int(row)].as_py() for row in unlisted)
        message = "there, but not listed"
        found += [Difference(Code.DG103, p, message) for p in paths if p.startswith(below)]
    return sorted(found, key=lambda difference: difference.path), len(unlisted)


def _mismatches(window: Window, algorithm: Algorithm) -> Iterable[Difference]:
    expected = taken(window.left.column("expected"), number_column(window.left_rows))
    observed = taken(
        window.right.column(_column(window.right, algorithm)), number_column(window.right_rows)
    )
    observed = observed.cast(pa.binary())
    for i in np.flatnonzero(truths(unequal(expected, observed), null=True)):
        digests = [
            None if c[i].as_py() is None else c[i].as_py().hex() for c in (expected, observed)
        ]
        evidence = {"algorithm": str(algorithm), "expected": digests[0], "observed": digests[1]}
        path = window.left_paths[int(window.left_rows[i])].as_py()
        message = f"its {algorithm} is not the expected one"
        yield Difference(Code.DG101, path, message, evidence)


def _column(batch: pa.RecordBatch, algorithm: Algorithm) -> str:
    return str(algorithm) if str(algorithm) in batch.schema.names else "digest"


def _expectation(rows: list[tuple[bytes, bytes]], *, exhaustive: bool) -> Expectation:
    if not rows:
        raise UsageError("the checksum file lists no files")
    lengths = {len(digest) for _, digest in rows}
    if len(lengths) != 1:
        raise UsageError("the checksum file mixes digests of several lengths")
    if min(lengths) not in _BY_HEX_LENGTH or not all(_HEX.fullmatch(d) for _, d in rows):
        raise UsageError("the digests in the checksum file are no md5, sha1, sha256 or sha512")
    ordered = sorted(rows)
    paths = [path for path, _ in ordered]
    if len(set(paths)) != len(paths):
        raise UsageError("the checksum file lists a path twice")
    text, raw = text_paths(binary_column(paths))
    digests = binary_column([bytes.fromhex(d.decode()) for _, d in ordered])
    batch = pa.RecordBatch.from_arrays([text, raw, digests], ["path", "path_raw", "expected"])
    return Expectation(_BY_HEX_LENGTH[min(lengths)], batch, exhaustive)


def _lines(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    if all(line.endswith(b"\r") for line in lines if line):  # written on Windows, not a name's end
        return [line.removesuffix(b"\r") for line in lines]
    return lines


def _checksum(line: bytes, number: int) -> tuple[bytes, bytes]:
    """Return path and hex digest of a line."""
    if plain := _LINE.fullmatch(line):
        escaped, digest, name = plain.groups()
    elif tagged := _TAGGED.fullmatch(line):
        escaped, tag, name, digest = tagged.groups()
        if _BY_HEX_LENGTH.get(len(digest)) != tag.decode().lower():
            raise UsageError(f"line {number} of the checksum file holds no {tag.decode()}")
    else:
        raise UsageError(f"line {number} of the checksum file is none: {line[:60]!r}")
    return _relative(_unescape(name) if escaped else name, number), digest


def _unescape(name: bytes) -> bytes:
    return re.sub(rb"\\[nr\\]", lambda found: _ESCAPES[found[0]], name)


def _relative(name: bytes, number: int) -> bytes:
    """Return the path without a leading `./`; paths that leave the tree are refused."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if name.startswith(b"/") or b"\0" in name or b".." in parts or not parts:
        raise UsageError(f"line {number} names a path outside the dataset: {name[:60]!r}")
    return b"/".join(parts)
