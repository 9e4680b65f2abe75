"""Hashes of numbers and times that do not depend on the type of their column, 64 bits for each."""

from __future__ import annotations

import pyarrow as pa

from dataguard.core.numeric import np

__all__ = [
    "SPAN",
    "days",
    "decimals",
    "floats",
    "instants",
    "integers",
    "mixed",
    "spans",
    "truths",
]

_NUMBER, _FLOAT, _HUGE, _INSTANT, SPAN = (
    np.uint64(one)
    for one in (
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x27D4EB2F165667C5,
        0x85EBCA77C2B2AE63,
    )
)
_ONE = np.uint64(1)

_EXACT = 2.0**63
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_S = 86_400
_WIDTH_32 = 32


def mixed(values: np.ndarray) -> np.ndarray:
    """Return 64-bit words in which every bit depends on every bit (the end of MurmurHash3)."""
    found: np.ndarray = values ^ (values >> np.uint64(33))
    found *= np.uint64(0xFF51AFD7ED558CCD)
    found ^= found >> np.uint64(33)
    found *= np.uint64(0xC4CEB9FE1A85EC53)
    found ^= found >> np.uint64(33)
    return found


def integers(column: pa.Array) -> np.ndarray:
    """Hash integers."""
    if column.type == pa.uint64():
        values = _filled(column, pa.uint64())
        found = _of_integers(values.view(np.int64))
        large = values >= np.uint64(1 << 63)
        if large.any():
            found[large] = _of_floats(values[large].astype(np.float64))
        return found
    return _of_integers(_filled(column, pa.int64()))


def truths(column: pa.Array) -> np.ndarray:
    """Hash booleans as 1 and 0."""
    return _of_integers(_filled(column.cast(pa.int8()), pa.int64()))


def floats(column: pa.Array) -> np.ndarray:
    """Hash floats."""
    return _of_floats(_filled(column, pa.float64()))


def decimals(column: pa.Array) -> np.ndarray:
    """Hash decimals as the floats next to them."""
    return _of_floats(_filled(column.cast(pa.float64()), pa.float64()))


def instants(column: pa.Array) -> np.ndarray:
    """Hash timestamps."""
    per_second = _PER_SECOND[column.type.unit]
    return _of_time(_filled(column.view(pa.int64()), pa.int64()), per_second, _INSTANT)


def days(column: pa.Array) -> np.ndarray:
    """Hash dates as their midnight."""
    if pa.types.is_date64(column.type):
        return _of_time(_filled(column.view(pa.int64()), pa.int64()), 1_000, _INSTANT)
    numbered = _filled(column.view(pa.int32()), pa.int32()).astype(np.int64)
    return _of_time(numbered * _DAY_S, 1, _INSTANT)


def spans(column: pa.Array) -> np.ndarray:
    """Hash durations and times of a day."""
    width = pa.int32() if column.type.bit_width == _WIDTH_32 else pa.int64()
    values = _filled(column.view(width), width).astype(np.int64)
    return _of_time(values, _PER_SECOND[column.type.unit], SPAN)


def _filled(column: pa.Array, kind: pa.DataType) -> np.ndarray:
    """Return the values of a column as numpy has them, anything for null."""
    column = column if column.type == kind else column.cast(kind, safe=False)
    data = column.buffers()[1]
    width = str(kind)  # numpy has the same names for these
    if data is None:
        return np.zeros(len(column), width)
    return np.frombuffer(data, width)[column.offset : column.offset + len(column)]


def _of_integers(values: np.ndarray) -> np.ndarray:
    return mixed(values.view(np.uint64) ^ _NUMBER) | _ONE


def _of_floats(values: np.ndarray) -> np.ndarray:
    """Hash floats: integral ones as integers, others rounded to 32 bits."""
    with np.errstate(all="ignore"):
        short = values.astype(np.float32)
        lost = ~np.isfinite(short) | ((np.abs(short) < np.finfo(np.float32).tiny) & (values != 0))
        exact = np.abs(values) < _EXACT
        rounded = np.where(exact & (values == np.trunc(values)), values, short.astype(np.float64))
        rounded = np.where(lost, values, rounded)
        integral = exact & (rounded == np.trunc(rounded)) & (np.abs(rounded) < _EXACT)
        whole = np.where(integral, rounded, 0).astype(np.int64)
    found = _of_integers(whole)
    rest = np.flatnonzero(~integral)
    if len(rest):
        salt = np.where(exact[rest], _FLOAT, _HUGE)
        found[rest] = mixed(rounded[rest].view(np.uint64) ^ salt) | _ONE
        found[np.isnan(values)] = 0
    return found


def _of_time(values: np.ndarray, per_second: int, salt: np.uint64) -> np.ndarray:
    seconds = values // per_second
    beyond = (values - seconds * per_second) * (10**9 // per_second)
    first = mixed(seconds.view(np.uint64) ^ salt)
    return mixed(first + beyond.view(np.uint64)) | _ONE
