from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.wholefolders import candidates, is_within
from dataguard.model.copies import Copy, CopyKind

NAMES = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=5).map(b"/".join)


def copy(path, entry):
    return Copy(b"/" + path, CopyKind.EXACT, "faces", 1, entry, b"/gold/" + entry, 5, 5)


def pairs(*copies):
    return [(one.directory, one.prefix) for one in candidates(copies)]


def test_directories_come_before_those_in_them():
    found = pairs(copy(b"w/train/x/1", b"train/x/1"), copy(b"w/train/2", b"train/2"))
    assert [(b"/w", b""), (b"/w/train", b"train"), (b"/w/train/x", b"train/x")] == found


def test_a_renamed_file_makes_no_directory_a_candidate():
    assert [] == pairs(copy(b"w/other", b"train/1"))


@given(st.lists(st.tuples(NAMES, NAMES), max_size=8))
def test_a_candidate_has_a_copy_at_the_place_of_its_original(found):
    copies = [copy(path, entry) for path, entry in found]
    for one in candidates(copies):
        prefix = one.prefix + b"/" if one.prefix else b""
        inside = [this for this in copies if this.path.startswith(one.directory + b"/")]
        rests = [this.path[len(one.directory) + 1 :] for this in inside]
        assert any(prefix + rest == this.entry for this, rest in zip(inside, rests, strict=True))


@given(NAMES, st.sets(NAMES, max_size=4))
def test_what_is_within_is_what_begins_with_a_whole_component(path, directories):
    absolute = {b"/" + one for one in directories}
    expected = any((b"/" + path + b"/").startswith(one + b"/") for one in absolute)
    assert expected == is_within(b"/" + path, absolute)
