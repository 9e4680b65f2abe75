"""Reads checksum files in the formats that exist: checksums, BagIt, DVC."""

from __future__ import annotations

import os
import re

from dataguard.core.expectation import (
    Expectation,
    parse_bagit,
    parse_checksums,
    parse_dvc_directory,
)
from dataguard.errors import NotFoundError, UsageError

__all__ = ["load_expectation"]

_DVC_DIRECTORY = re.compile(r"[0-9a-f]{32}\.dir")


def load_expectation(path: str) -> Expectation:
    """Return what a file promises; its name tells the format.

    `manifest-<algorithm>.txt` is BagIt, `*.dvc` and `*.dir` are DVC's, all else are checksums as
    sha256sum and md5sum print them.

    Raises:
        NotFoundError: the file, or the DVC cache object it points to, does not exist.
        UsageError: it has another form.
    """
    name = os.path.basename(path)
    if name.endswith(".dvc"):
        return parse_dvc_directory(_read(_dvc_object(path)))
    data = _read(path)
    if name.endswith(".dir"):
        return parse_dvc_directory(data)
    if name.startswith("manifest-") and name.endswith(".txt"):
        return parse_bagit(data)
    return parse_checksums(data)


def _dvc_object(path: str) -> str:
    """Return the cache object of the directory that a .dvc file tracks."""
    try:
        import yaml  # noqa: PLC0415  an extra
    except ImportError as err:
        raise UsageError("PyYAML is not installed", hint="pip install 'dataguard[dvc]'") from err
    try:
        outputs = yaml.safe_load(_read(path))["outs"]
        digest = next(out["md5"] for out in outputs if _DVC_DIRECTORY.fullmatch(out["md5"]))
    except (yaml.YAMLError, KeyError, TypeError, StopIteration) as err:
        raise UsageError(f"{path} tracks no directory") from err
    directory = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(os.path.join(directory, ".dvc")):
        if directory == os.path.dirname(directory):
            raise NotFoundError(f"no .dvc directory above {path}")
        directory = os.path.dirname(directory)
    key = os.path.join(digest[:2], digest[2:])
    old = os.path.join(directory, ".dvc/cache", key)  # before DVC 3.0
    return old if os.path.exists(old) else os.path.join(directory, ".dvc/cache/files/md5", key)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as err:
        raise NotFoundError(f"no file {path}") from err
    except OSError as err:
        raise UsageError(f"cannot read {path}: {err.strerror}") from err
