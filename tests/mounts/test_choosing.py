"""Which backend is chosen: the strongest that works, and never silently a weaker one."""

from __future__ import annotations

import errno
import itertools

import pytest

from dataguard.errors import ConflictError, UsageError
from dataguard.model.mount import Backend
from dataguard.mounts.bind import BindBackend
from dataguard.mounts.choose import choose
from support.cachedtrees import needs_images
from support.mountcleanup import as_user, in_child, mounts_below, needs_mounts
from support.seccomp import NEW_MOUNTS, refuse

MOUNT_CALLS = dict(zip(("open_tree", "move_mount", "mount_setattr"), NEW_MOUNTS, strict=True))
MISSING = [names for count in (1, 2, 3) for names in itertools.combinations(MOUNT_CALLS, count)]


def without(names, act, code=errno.ENOSYS):
    """Run `act` in a child in which some mount calls fail; return what it printed."""

    def limited():
        refuse(tuple(MOUNT_CALLS[name] for name in names), code)
        return act()

    return in_child(limited)


def chosen(**options):
    choice = choose(**options)
    return f"{choice.backend.name} {choice.backend.guarantee} {choice.weaker_because}"


@needs_mounts
def test_root_gets_bind():
    assert (Backend.BIND, None) == (choose().backend.name, choose().weaker_because)


@needs_mounts
def test_ordinary_user_gets_declared_and_the_reason():
    def chosen():
        choice = choose()
        return f"{choice.backend.name} {choice.backend.guarantee} {choice.weaker_because}"

    answer = as_user(chosen)
    assert answer.startswith("declared declared bind: ")
    assert answer.endswith("has no CAP_SYS_ADMIN")


@needs_mounts
def test_ordinary_user_gets_a_link_with_best_effort():
    def chosen():
        backend = choose(best_effort=True).backend
        return f"{backend.name} {backend.guarantee}"

    assert as_user(chosen) == "symlink none"


@needs_mounts
def test_named_backend_that_cannot_work_is_a_conflict():
    answer = as_user(lambda: choose("bind"))
    assert answer.startswith("ConflictError: backend `bind` does not work here")


@needs_mounts
def test_overlay_is_taken_where_it_is_asked_for_alone():
    assert (Backend.OVERLAY, True) == (choose("overlay").backend.name, choose("overlay").insisted)
    answer = as_user(lambda: choose("overlay"))
    assert answer.startswith("ConflictError: backend `overlay` does not work here")


def test_unknown_backend_is_a_usage_error():
    with pytest.raises(UsageError, match="no mount backend"):
        choose("nfs")


@needs_mounts
@pytest.mark.parametrize("names", MISSING, ids="-".join)
def test_kernel_without_the_calls_gets_declared_and_the_reason(names):
    reason = "bind: the kernel has no mount_setattr (Linux 5.12 or newer is needed)"
    assert f"declared declared {reason}" == without(names, chosen)


@needs_mounts
@pytest.mark.parametrize("names", MISSING, ids="-".join)
def test_kernel_without_the_calls_gets_a_link_with_best_effort(names):
    assert without(names, lambda: chosen(best_effort=True)).startswith("symlink none bind: ")


@needs_mounts
@pytest.mark.parametrize("name", MOUNT_CALLS)
def test_filter_that_forbids_the_calls_is_told_from_an_old_kernel(name):
    answer = without([name], chosen, code=errno.EPERM)
    assert answer == (
        "declared declared bind: the kernel or a container's filter refuses to clone and change "
        "mounts"
    )


@needs_mounts
@pytest.mark.parametrize("names", MISSING, ids="-".join)
def test_nothing_weaker_is_mounted_where_bind_is_asked_for(area, names):
    target = str(area / "data" / "faces")
    asked = without(names, lambda: choose("bind"))
    made = without(names, lambda: BindBackend().make(str(area / "gold"), target))
    assert asked.startswith("ConflictError: backend `bind` does not work here: the kernel has no")
    assert made.startswith("ConflictError: cannot mount")
    assert [] == mounts_below(area)


@needs_images
def test_what_is_remote_or_cached_is_shown_from_the_cache():
    assert Backend.CAS is choose(remote=True, cached=True).backend.name
    assert Backend.CAS is choose("cas", remote=True, cached=True).backend.name
    assert Backend.BIND is choose("bind", cached=True).backend.name


@needs_mounts
def test_what_is_remote_is_shown_by_no_backend_of_directories():
    for name in ("bind", "overlay", "symlink", "declared"):
        with pytest.raises(ConflictError, match="object store"):
            choose(name, remote=True, cached=True)


@needs_mounts
def test_ordinary_user_is_told_how_to_read_what_is_remote():
    answer = as_user(lambda: choose(remote=True, cached=True))
    assert answer.startswith("ConflictError: what lies in an object store cannot be mounted here")
