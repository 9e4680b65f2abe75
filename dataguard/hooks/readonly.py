"""Refusing everything but reading: an allow-list over whatever a file system class can do."""

from __future__ import annotations

import errno
import inspect
import os
from typing import TYPE_CHECKING, Any, NoReturn

from dataguard.actions.outputplaces import right_place

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ELSEWHERE", "refusal", "refuse_all_but"]

ELSEWHERE = frozenset(
    {
        # async file systems
        *("_bulk_delete", "_copy", "_cp_file", "_makedirs", "_mkdir", "_mv_file", "_pipe"),
        *("_pipe_file", "_put", "_put_file", "_rm_file", "_rmdir", "_touch", "open_async"),
        # s3fs
        *("_abort_mpu", "_call_s3", "_chmod", "_clear_multipart_uploads", "_copy_basic"),
        *("_copy_etag_preserved", "_copy_managed", "_invalidate_region_cache", "_lifecycle"),
        *("_make_bucket_versioned", "_merge", "_put_tags", "_rm_versioned_bucket_contents"),
        *("_setxattr", "_url", "abort_mpu", "call_s3", "chmod", "clear_multipart_uploads"),
        *("get_delegated_s3pars", "make_bucket_versioned", "merge", "put_tags", "s3"),
        *("set_session", "setxattr", "url"),
        # local and reference file systems
        *("chown", "link", "mv_file", "save_json", "symlink", "truncate", "utime"),
        # files
        *("commit", "discard", "fs", "_upload_chunk", "_initiate_upload", "set_xattr"),
    }
)
"""What other file systems and their files have for writing, or to get at what is below them."""


def refusal(what: str, path: object = None) -> OSError:
    """Return the error for an attempt to change gold; it names the place for outputs."""
    on = f" for `{os.fspath(path)}`" if isinstance(path, str | os.PathLike) and path else ""
    try:
        directory = os.getcwd()
    except OSError:  # it is gone
        directory = "/"
    where = right_place(os.environ, directory)
    return OSError(errno.EROFS, f"gold is read-only: {what}{on}; {where}")


def refuse_all_but(allowed: frozenset[str]) -> Callable[[type], type]:
    """Return what makes a class refuse every method that it inherits and that is not allowed.

    Methods of its own stay. So do those that begin with two underscores: they are the language's.
    """

    def close(cls: type) -> type:
        own = vars(cls)
        for name in dir(cls):
            if name in own or name in allowed or name.startswith("__"):
                continue
            inherited = inspect.getattr_static(cls, name)
            if isinstance(inherited, property):
                setattr(cls, name, property(_refused(name)))
            elif callable(getattr(cls, name)):
                setattr(cls, name, _refused(name))
        return cls

    return close


def _refused(name: str) -> Callable[..., Any]:
    def refused(_self: object, *words: object, **_options: object) -> NoReturn:
        raise refusal(f"`{name}` is refused", words[0] if words else None)

    refused.__name__ = refused.__qualname__ = name
    refused.__doc__ = "Refuse: gold is read-only."
    return refused
