"""Overlays over gold: what the job writes there lands in layers of its run, never in gold.

The three directories are named by their descriptors: no character of a path has a meaning then, and
nothing that is put in their place is taken for them. fsopen(2) is older than mount_setattr(2),
without which no mounts are made at all, so mount(2) need not be tried.
"""

from __future__ import annotations

import errno
import os

from dataguard.sandbox.shim import kernel, namespaces

__all__ = ["lay"]

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOSED_ON_EXEC = 1
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_NOSUID, _NODEV = 0x2, 0x4
_ROOTS = ((b"redirect_dir", b"nofollow"), (b"metacopy", b"off"), (b"index", b"off"))
_MESSAGE = 4096


def lay(
    routes: list[list[bytes]], over: list[list[bytes]], hidden: list[bytes], *, alone: bool
) -> int:
    """Mount an overlay on each routed path and wherever else it is to be seen; return how many.

    A route is a path, its upper and work directory, and the name of its mount. `over` are pairs of
    such a path and another one. The layers are `hidden` behind a read-only mount afterwards: the
    overlay keeps its own, and what changes them under it is undefined. In a user namespace
    (`alone`) the marks of the overlay are user attributes.
    """
    made = [
        (path, _overlay([path, upper, work], name, alone)) for path, upper, work, name in routes
    ]
    for path in hidden:
        namespaces.cover(path)
    for path, tree in made:
        namespaces.attach(tree, path)
    for path, target in over:
        namespaces.repeat(path, target)
    for path in (*(path for path, _ in made), *(target for _, target in over)):
        _check(path)
    return len(made) + len(over)


def _overlay(places: list[bytes], name: bytes, alone: bool) -> int:
    held = [namespaces.need(place) for place in places]
    context = kernel.call(_FSOPEN, b"overlay", _CLOSED_ON_EXEC)
    try:
        _configure(context, held, name, alone)
        return kernel.call(_FSMOUNT, context, _CLOSED_ON_EXEC, _NOSUID | _NODEV)
    except OSError as err:
        raise OSError(err.errno, _explained(context, err), places[1]) from err
    finally:
        for descriptor in (*held, context):
            os.close(descriptor)


def _configure(context: int, held: list[int], name: bytes, alone: bool) -> None:
    kernel.call(_FSCONFIG, context, _SET_STRING, b"source", name, 0)
    for key, descriptor in zip((b"lowerdir", b"upperdir", b"workdir"), held, strict=True):
        path = b"/proc/self/fd/%d" % descriptor
        kernel.call(_FSCONFIG, context, _SET_STRING, key, path, 0)
    if alone:
        kernel.call(_FSCONFIG, context, _SET_FLAG, b"userxattr", None, 0)
    else:
        for key, value in _ROOTS:  # what is in the upper layer is all there is of a file
            kernel.call(_FSCONFIG, context, _SET_STRING, key, value, 0)
    kernel.call(_FSCONFIG, context, _CREATE, None, None, 0)


def _explained(context: int, err: OSError) -> str:
    """Return what the kernel wrote down about a failure, or the words for its number."""
    if err.errno == errno.ENODEV:
        return "this kernel has no overlay file system"
    try:
        said = os.read(context, _MESSAGE)
    except OSError:
        return f"the overlay is refused: {err.strerror}"
    return f"the overlay is refused: {os.fsdecode(said[2:].strip())}"


def _check(path: bytes) -> None:
    """Make sure that the job will see an overlay there, and can write to it."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, "the overlay is not what is seen there", path)
