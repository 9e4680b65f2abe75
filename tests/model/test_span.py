from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataguard.model.span import WHOLE, Span, inside

PATHS = st.lists(st.text("a-0\xff", min_size=1, max_size=2), min_size=1, max_size=4).map(
    lambda parts: "/".join(parts).encode("latin-1")
)
SPANS = st.builds(Span, st.just(b"") | PATHS, st.none() | PATHS)


@given(PATHS, st.lists(PATHS, max_size=4))
def test_spans_that_follow_one_another_hold_every_path_once(path, cuts):
    ends = sorted(set(cuts))
    spans = [Span(a, b) for a, b in zip([b"", *ends], [*ends, None], strict=True)]
    assert 1 == sum(span.contains(path) for span in spans)


@given(SPANS, PATHS, PATHS)
def test_what_a_span_contains_below_a_directory_it_may_hold(span, directory, name):
    if span.contains(directory + b"/" + name):
        assert span.may_hold(directory)
        assert span.may_hold(b"")
    if span.may_hold(directory):
        assert span.contains(directory + b"/" + name) == span.below(directory).contains(name)
        below = span.below(directory)
        assert span.may_hold(directory + b"/" + name) == below.may_hold(name)


def test_directories_beside_the_span_hold_nothing_of_it():
    span = Span(b"b/m", b"c")
    assert [b"b", b"b0"] == [d for d in (b"a", b"b", b"b-", b"b0", b"c", b"d") if span.may_hold(d)]
    assert not Span(b"", b"").may_hold(b"")
    assert WHOLE.may_hold(b"")


@given(PATHS, PATHS)
def test_inside_of_a_directory_lies_what_is_below_it_and_nothing_else(directory, path):
    assert path.startswith(directory + b"/") == inside(directory).contains(path)
    assert inside(directory).contains(directory + b"/" + b"\xff" * 255)
    assert not inside(directory).contains(directory + b"0")
