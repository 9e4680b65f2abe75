from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.reclaim import ReclaimWish, considered, may_read, planned
from dataguard.model.copies import Copy, CopyKind, FileState
from dataguard.model.reclaim import Left, LinkTarget, Method, Reason, ReclaimStep, SeenCopy

STATE = FileState(1, 2, 9000, 3, 4, 1000, 1, 12288)
COPY = Copy(b"/w/x", CopyKind.EXACT, "faces", 3, b"a/x", b"/gold/a/x", 9000, 12288, STATE)
SEEN = SeenCopy(STATE, 1000, (), False, False, 12288, 12288, True)
MOUNTED = LinkTarget(b"/w/data/faces/a/x", readable=True)
WISH = ReclaimWish(Method.AUTO, 1000)


def judged(copy=COPY, seen=SEEN, wish=WISH, target=MOUNTED):
    found = planned(copy, seen, wish, target)
    return found.reason if isinstance(found, Left) else (found.method, found.reclaimable)


def test_sharing_blocks_goes_before_a_link():
    assert (Method.DEDUPE, 12288) == judged()
    assert (Method.LINK, 12288) == judged(seen=replace(SEEN, shareable=False))
    assert (Method.LINK, 12288) == judged(wish=replace(WISH, method=Method.LINK))


def test_a_long_link_costs_a_block():
    target = LinkTarget(b"/" + b"d" * 59, readable=True)
    wish = replace(WISH, method=Method.LINK)
    assert (Method.LINK, 8192) == judged(wish=wish, target=target)
    small = replace(SEEN, own=4096, freed=4096)
    assert Reason.NO_GAIN is judged(seen=small, wish=wish, target=target)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        (Reason.GOLD, {"is_original": True}),
        (Reason.CHANGED, {"state": replace(STATE, mtime_ns=9)}),
        (Reason.CHANGED, {"state": replace(STATE, inode=9)}),
        (Reason.FOREIGN, {"state": replace(STATE, uid=1001)}),
        (Reason.IMMUTABLE, {"immutable": True}),
        (Reason.NO_GAIN, {"own": 0, "freed": 0}),
    ],
)
def test_what_speaks_against_every_way(reason, change):
    copy = replace(COPY, state=None) if reason is Reason.FOREIGN else COPY
    for method in Method:
        wish = replace(WISH, method=method)
        assert reason is judged(copy, seen=replace(SEEN, **change), wish=wish)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        (Reason.ATTRIBUTES, {"attributes": ("system.posix_acl_access",)}),
        (Reason.HARD_LINKS, {"state": replace(STATE, links=2)}),
    ],
)
def test_what_a_link_cannot_carry_is_no_matter_where_blocks_are_shared(reason, change):
    copy, seen = replace(COPY, state=None), replace(SEEN, **change)
    assert (Method.DEDUPE, 12288) == judged(copy, seen)
    assert reason is judged(copy, replace(seen, shareable=False))


def test_a_link_that_its_owner_could_not_follow_is_not_made():
    target = replace(MOUNTED, readable=False)
    assert Reason.UNREADABLE is judged(seen=replace(SEEN, shareable=False), target=target)


def test_blocks_laid_out_since_are_no_change():
    assert (Method.DEDUPE, 12288) == judged(seen=replace(SEEN, state=replace(STATE, allocated=1)))


def test_root_may_act_for_others():
    assert (Method.DEDUPE, 12288) == judged(wish=replace(WISH, uid=0))


def test_where_nothing_fits_the_copy_stays():
    seen = replace(SEEN, shareable=False)
    assert Reason.NO_WAY is judged(seen=seen, target=None)
    assert Reason.NO_WAY is judged(seen=seen, wish=replace(WISH, method=Method.DEDUPE))


def test_only_exact_copies_with_an_original_are_considered():
    assert considered(COPY) is None
    assert Reason.NOT_EXACT is considered(replace(COPY, kind=CopyKind.TABLE))
    assert Reason.NOT_EXACT is considered(replace(COPY, original=None))


@given(st.integers(0, 1 << 20), st.integers(0, 1 << 20), st.sampled_from(list(Method)))
def test_no_step_promises_more_than_the_file_takes_or_nothing(own, freed, method):
    found = planned(
        COPY, replace(SEEN, own=own, freed=freed), replace(WISH, method=method), MOUNTED
    )
    if isinstance(found, ReclaimStep):
        assert 0 < found.reclaimable <= max(own, freed)


@given(st.lists(st.tuples(st.integers(0, 0o777), st.booleans(), st.booleans()), min_size=1))
def test_who_may_read_is_what_the_bits_say(facts):
    way = [(mode, 7 if own else 8, 9 if group else 10) for mode, own, group in facts]
    expected = True
    for number, (mode, own, group) in enumerate(facts):
        wanted = 4 if number == len(facts) - 1 else 1
        shift = 6 if own else 3 if group else 0
        expected = expected and bool(mode >> shift & wanted)
    assert expected == may_read(7, 9, way)
