from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.model.results.diff import ChangedEntry, DiffEntry, DiffResult, RenamedEntry
from dataguard.report.encode import encode_result
from dataguard.report.render import parts, render

# Names that look like the lists themselves, and such that are no text.
NAMES = st.one_of(st.binary(min_size=1, max_size=5), st.just(b'"added": []'), st.just(b'"renamed'))
KINDS = st.sampled_from("fld")
SIZES = st.integers(0, 2**40)
DIFFS = st.builds(
    DiffResult,
    left=st.sampled_from(["faces@1", '"added": []']),
    right=st.just("faces@2"),
    added=st.lists(st.builds(DiffEntry, NAMES, KINDS, SIZES), max_size=3).map(tuple),
    removed=st.lists(st.builds(DiffEntry, NAMES, KINDS, SIZES), max_size=3).map(tuple),
    changed=st.lists(st.builds(ChangedEntry, NAMES, KINDS, SIZES, KINDS, SIZES), max_size=3).map(
        tuple
    ),
    renamed=st.lists(st.builds(RenamedEntry, NAMES, NAMES, KINDS, SIZES), max_size=3).map(tuple),
)


@given(DIFFS)
@settings(deadline=None)
def test_a_diff_in_pieces_is_the_object_as_a_whole(result):
    whole = json.dumps(encode_result("diff", result)) + "\n"
    assert whole == render("diff", result, "json", color=False)


def test_a_diff_comes_in_pieces_however_many_differences_there_are():
    added = tuple(DiffEntry(b"%08d" % number, "f", number) for number in range(10_000))
    result = DiffResult("a@1", "a@2", added, (), (), ())
    for form in ("json", "jsonl"):
        pieces = list(parts("diff", result, form, color=False))
        assert len(pieces) > 5
        assert max(map(len, pieces)) < 1 << 17
