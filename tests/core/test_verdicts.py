from __future__ import annotations

import stat
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.align import Window, align, match
from dataguard.core.columns import raw_paths
from dataguard.core.verdicts import Difference, hazards, judge, merge_kind_changes, suspects
from dataguard.model.finding import Code
from support.entrybatches import Seen, batch_of, batches_of, directory, file, link

NAMES = st.sampled_from([b"a", b"a-", b"a.b", b"b", b"\xff"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
FACTS = st.fixed_dictionaries(
    {
        "mtime_ns": st.integers(1, 2),
        "ctime_ns": st.integers(1, 2),
        "inode": st.integers(1, 2),
        "uid": st.integers(0, 1),
        "racy": st.booleans(),
        "mode": st.sampled_from([stat.S_IFREG | 0o644, stat.S_IFREG | 0o600]),
    }
)
THINGS = st.one_of(
    st.tuples(st.just("f"), st.sampled_from([b"1", b"2"]), FACTS),
    st.tuples(st.just("l"), st.sampled_from([b"1", b"t"]), FACTS),
    st.tuples(st.just("d"), st.just(b""), FACTS),
)
TREES = st.dictionaries(PATHS, THINGS, max_size=10)
CUTS = st.lists(st.integers(0, 4), max_size=4)


def entries(tree) -> dict[bytes, Seen]:
    """Make entries of a random tree; what would lie below a file does not exist."""
    found = {}
    for path, (kind, content, facts) in sorted(tree.items()):
        parts = path.split(b"/")
        if not any(b"/".join(parts[:n]) in tree for n in range(1, len(parts))):
            bits = {"f": stat.S_IFREG, "l": stat.S_IFLNK, "d": stat.S_IFDIR}[kind]
            mode = bits | stat.S_IMODE(facts["mode"])
            size = len(content)
            found[path] = Seen(path, kind, content, size=size, **{**facts, "mode": mode})
    return found


def windows_of(before, after, cuts=((), ()), *, sheet=True) -> list[Window]:
    left = batches_of(list(before), list(cuts[0]), sheet=sheet, scan=False)
    return list(align(left, batches_of(list(after), list(cuts[1]))))


def judged(before, after, cuts=((), ()), *, baseline=True) -> list[Difference]:
    found: list[Difference] = []
    for window in windows_of(before, after, cuts, sheet=baseline):
        found += judge(window, baseline=baseline, sheet=baseline)
    assert sorted(found, key=lambda difference: difference.path) == found
    return list(merge_kind_changes(found))


def codes(differences) -> list[tuple[bytes, str]]:
    return [(difference.path, difference.code.name) for difference in differences]


def naive(before: dict[bytes, Seen], after: dict[bytes, Seen], *, baseline: bool):
    """Say what differs, path by path, with everything in memory."""
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None or new is None:
            here, there = (before, after) if new is None else (after, before)
            became = any(other.startswith(path + b"/") for other in there)
            if not became:
                yield path, "DG102" if new is None else "DG103"
            elif here[path].kind != "d":
                yield path, "DG104"
        elif old.kind != new.kind:
            yield path, "DG104"
        elif old.content != new.content:
            times = ("size", "mtime_ns", "ctime_ns", "inode")
            moved = any(getattr(old, name) != getattr(new, name) for name in times)
            rot = baseline and not moved and not old.racy and old.kind == "f"
            yield path, "DG107" if rot else "DG101"
        elif baseline:
            facts = ["uid", *(["mtime_ns"] if old.kind == "f" else [])]
            facts += ["mode"] if old.kind != "l" else []
            if any(getattr(old, name) != getattr(new, name) for name in facts):
                yield path, "DG105"


@given(TREES, TREES, st.tuples(CUTS, CUTS), st.booleans())
@settings(deadline=None, max_examples=200)
def test_verdicts_agree_with_a_naive_comparison(one, other, cuts, baseline):
    before, after = entries(one), entries(other)
    expected = list(naive(before, after, baseline=baseline))
    assert expected == codes(judged(before.values(), after.values(), cuts, baseline=baseline))


@given(TREES, st.tuples(CUTS, CUTS), st.booleans())
@settings(deadline=None)
def test_a_tree_does_not_differ_from_itself(tree, cuts, baseline):
    same = entries(tree).values()
    assert [] == judged(same, same, cuts, baseline=baseline)


@given(TREES, TREES, st.booleans())
@settings(deadline=None)
def test_suspects_are_files_the_baseline_does_not_vouch_for(one, other, baseline):
    before, after = entries(one), entries(other)
    expected = set()
    for path in before.keys() & after:
        old, new = before[path], after[path]
        signature = ("size", "mtime_ns", "ctime_ns", "inode", "mode")
        clean = all(getattr(old, name) == getattr(new, name) for name in signature)
        if new.kind == "f" and not (baseline and clean and not old.racy):
            expected.add(path)
    found = [
        window.right_paths[int(row)].as_py()
        for window in windows_of(before.values(), after.values(), sheet=baseline)
        for row in suspects(window, baseline=baseline)
    ]
    assert sorted(expected) == found


def test_suspects_are_ascending_rows():
    left = [file(b"%02d" % n) for n in range(19)]
    right = [replace(entry, ctime_ns=2) for entry in left[::2]]
    (window,) = windows_of(left, right)
    rows = suspects(window, baseline=True)
    assert list(range(10)) == rows.tolist()
    assert np.issubdtype(rows.dtype, np.integer)


ORDINARY = file(b"a", b"1", mtime_ns=10, ctime_ns=20, inode=30, uid=5, gid=6)


@pytest.mark.parametrize(
    ("after", "code", "words"),
    [
        (replace(ORDINARY, content=b"2", mtime_ns=11, ctime_ns=21), "DG101", "was changed"),
        (replace(ORDINARY, content=b"2", ctime_ns=21), "DG101", "was changed"),
        (replace(ORDINARY, content=b"22", size=2), "DG101", "was changed"),
        (replace(ORDINARY, content=b"2", inode=31), "DG101", "was changed"),
        (replace(ORDINARY, content=b"2"), "DG107", "bit rot"),
        (replace(ORDINARY, mode=stat.S_IFREG | 0o755, ctime_ns=21), "DG105", "changed: mode"),
        (replace(ORDINARY, uid=0, gid=0, ctime_ns=21), "DG105", "changed: uid, gid"),
        (replace(ORDINARY, mtime_ns=11, ctime_ns=21), "DG105", "changed: mtime"),
        (link(b"a", b"1"), "DG104", "was a file and is a symlink"),
        (directory(b"a"), "DG104", "was a file and is an empty directory"),
    ],
)
def test_each_class_is_told_apart(after, code, words):
    (difference,) = judged([ORDINARY], [after])
    assert code == difference.code.name
    assert words in difference.message


def test_what_the_baseline_vouched_for_and_nobody_read_is_no_difference():
    assert [] == judged([ORDINARY], [replace(ORDINARY, content=None)])


def test_change_of_the_change_time_alone_is_no_difference():
    assert [] == judged([ORDINARY], [replace(ORDINARY, ctime_ns=99, inode=98)])


def test_without_a_baseline_the_cause_is_unknown():
    (difference,) = judged([ORDINARY], [replace(ORDINARY, content=b"2")], baseline=False)
    assert (Code.DG101, "unknown") == (difference.code, difference.evidence["cause"])


def test_racy_file_with_other_content_is_not_called_bit_rot():
    """Within a tick of its hashing an edit moves no time."""
    racy = replace(ORDINARY, racy=True)
    (difference,) = judged([racy], [replace(racy, content=b"2")])
    assert (Code.DG101, "unknown") == (difference.code, difference.evidence["cause"])


def test_evidence_tells_both_contents():
    (difference,) = judged([ORDINARY], [replace(ORDINARY, content=b"22", size=2, uid=9)])
    assert (1, 2, 9) == tuple(
        difference.evidence[name] for name in ("expected_size", "observed_size", "uid")
    )
    digest = ORDINARY.digest
    assert digest is not None
    assert digest.hex() == difference.evidence["expected_digest"]


def test_metadata_evidence_tells_both_values():
    (difference,) = judged([ORDINARY], [replace(ORDINARY, uid=9)])
    assert {"uid": {"expected": 5, "observed": 9}} == difference.evidence


def test_symlink_to_another_target_is_changed():
    (difference,) = judged([link(b"l", b"old")], [link(b"l", b"new\n")])
    assert Code.DG101 is difference.code
    assert '"new\\n"' in difference.message


def test_names_are_not_text():
    found = judged([file(b"\xff"), file(b"b\n")], [file(b"\xfe")])
    assert [(b"b\n", "DG102"), (b"\xfe", "DG103"), (b"\xff", "DG102")] == codes(found)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([file(b"a")], [file(b"a/b"), file(b"a/c")], ["a DG104", "a/b DG103", "a/c DG103"]),
        ([file(b"a/b"), file(b"a/c")], [file(b"a")], ["a DG104", "a/b DG102", "a/c DG102"]),
        ([link(b"a", b"x")], [file(b"a/b")], ["a DG104", "a/b DG103"]),
        ([file(b"a/b")], [link(b"a", b"x")], ["a DG104", "a/b DG102"]),
        ([directory(b"a")], [file(b"a/b")], ["a/b DG103"]),
        ([file(b"a/b")], [directory(b"a")], ["a/b DG102"]),
        ([directory(b"a")], [directory(b"a/b")], ["a/b DG103"]),
        ([directory(b"a")], [], ["a DG102"]),
        ([], [directory(b"a")], ["a DG103"]),
        (
            [file(b"a"), file(b"a-x")],
            [file(b"a-y"), file(b"a.b/c"), file(b"a/b")],
            ["a DG104", "a-x DG102", "a-y DG103", "a.b/c DG103", "a/b DG103"],
        ),
        ([file(b"a")], [file(b"ab/c")], ["a DG102", "ab/c DG103"]),
        (
            [file(b"a/b"), file(b"a/c/d")],
            [file(b"a/b/x"), file(b"a/c")],
            ["a/b DG104", "a/b/x DG103", "a/c DG104", "a/c/d DG102"],
        ),
    ],
)
def test_directories_in_place_of_entries_and_the_reverse(before, after, expected):
    found = [f"{path.decode()} {code}" for path, code in codes(judged(before, after))]
    assert expected == found


def test_merging_holds_back_a_bounded_number():
    drawn = 0

    def differences():
        nonlocal drawn
        for number in range(50_000):
            drawn += 1
            yield Difference(Code.DG102, b"a" + b"-" * (number > 0) + b"%06d" % number, "")

    ahead = []
    for taken, _ in enumerate(merge_kind_changes(differences())):
        ahead.append(drawn - taken)
    assert max(ahead) <= 10_002
    assert 50_000 == len(ahead)


def test_hazards_are_hard_links_and_links_that_lead_out():
    batch = batch_of(
        [
            file(b"a", nlink=2),
            file(b"b"),
            link(b"c", b"../x"),
            link(b"d", b"b", nlink=2),
            link(b"e", b"/etc/\npasswd"),
            link(b"f/g", b"../b"),
            directory(b"h", nlink=1),
            file(b"\xff\n", nlink=3),
        ]
    )
    found = hazards(batch)
    expected = [(b"a", "DG108"), (b"c", "DG109"), (b"e", "DG109"), (b"\xff\n", "DG108")]
    assert expected == codes(found)
    assert {"nlink": 3} == found[3].evidence
    assert '"/etc/\\npasswd"' in found[2].message


def test_no_entries_have_no_hazards():
    assert [] == hazards(batch_of([]))
    assert [] == hazards(batch_of([], scan=False, sheet=False))


def test_window_of_nothing_has_no_difference():
    empty = batch_of([])
    window = match(empty, raw_paths(empty), empty, raw_paths(empty))
    assert [] == judge(window, baseline=True, sheet=True)
    assert [] == suspects(window, baseline=True).tolist()


def test_everything_gone_is_missing():
    assert [(b"a", "DG102")] == codes(judged([ORDINARY], []))
    assert [(b"a", "DG103")] == codes(judged([], [ORDINARY]))
