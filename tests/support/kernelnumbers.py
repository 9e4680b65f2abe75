"""Limits of the kernel, set for one test and put back."""

from __future__ import annotations

import contextlib
import os

import pytest

__all__ = ["kernel_number"]


@contextlib.contextmanager
def kernel_number(name: str, value: int):
    """Set a number below /proc/sys; tests that do so belong to the xdist group `sysctl`."""
    path = "/proc/sys/" + name.replace(".", "/")
    if not os.access(path, os.W_OK):
        pytest.skip(f"{name} cannot be set here")
    with open(path, encoding="ascii") as file:
        before = file.read()
    try:
        _write(path, str(value))
        yield
    finally:
        _write(path, before)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
