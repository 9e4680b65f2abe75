"""Refused writes of several sources, joined, and told apart by what they hit."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.attempts import GoldRoot, join, told
from dataguard.model.attempt import Attempt, Observable, Observation, Source
from dataguard.model.finding import Severity

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOTS = (GoldRoot("/gold", "faces", 3), GoldRoot("/gold/inner", "eyes", 1))
SOURCES = st.lists(
    st.builds(
        Source,
        name=st.sampled_from(["landlock", "fuse", "overlay"]),
        observable=st.sampled_from(Observable),
        reason=st.sampled_from(["", "audit is off", "by mount"]),
        seen=st.integers(0, 5),
        lost=st.none() | st.integers(0, 5),
    ),
    max_size=4,
)


def attempt(path, operation="open"):
    return Attempt(operation, path, 7, 1000, 100, "sh", NOW)


def sorted_out(*made, roots=ROOTS, is_gold=lambda _path: False):
    source = Source("landlock", Observable.YES, "", len(made))
    return told([Observation(source, made)], roots, Severity.WARNING, is_gold)


def test_attempts_on_one_path_are_one_finding_with_a_count():
    _, (found,) = sorted_out(attempt(b"/gold/a"), attempt(b"/gold/a", "truncate"))
    assert ("faces", 3, b"a", 2) == (found.dataset, found.version, found.path, found.count)
    assert found.message.endswith("open, truncate")
    assert [7, 7] == [one["pid"] for one in found.evidence["attempts"]]


def test_deepest_root_has_the_finding():
    _, (found,) = sorted_out(attempt(b"/gold/inner/dir/a"))
    assert ("eyes", 1, b"dir/a") == (found.dataset, found.version, found.path)


def test_root_itself_is_the_whole_version():
    _, (found,) = sorted_out(attempt(b"/gold", "mkdir"))
    assert ("faces", b"") == (found.dataset, found.path)


def test_path_in_a_gold_area_without_a_version_stays_absolute():
    _, (found,) = sorted_out(attempt(b"/area/x"), is_gold=lambda path: path == "/area/x")
    assert (None, None, b"/area/x") == (found.dataset, found.version, found.path)


def test_refusals_beside_gold_are_listed_and_no_finding():
    attempts, findings = sorted_out(attempt(b"/golden"), attempt(b"/home/x"))
    assert ((), [b"/golden", b"/home/x"]) == (findings, [one.path for one in attempts.outside])


def test_many_attempts_are_counted_and_some_named():
    _, (found,) = sorted_out(*[attempt(b"/gold/a")] * 50)
    assert (50, 20) == (found.count, len(found.evidence["attempts"]))


@given(SOURCES)
def test_join_is_as_good_as_the_best_and_as_sure_as_the_worst(sources):
    joined = join(sources)
    assert sum(one.seen for one in sources) == joined.seen
    assert (joined.lost is None) is any(one.lost is None for one in sources)
    assert all(one.observable.rank <= joined.observable.rank for one in sources)
    assert tuple(sources) == joined.sources


def test_no_source_is_not_observable():
    assert Observable.NO is join(()).observable
