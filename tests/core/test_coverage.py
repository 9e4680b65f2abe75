from __future__ import annotations

import pytest

from dataguard.core.coverage import Gaps
from dataguard.core.verdicts import Difference
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code


def gaps(*paths: bytes, obstacle: Obstacle = Obstacle.DENIED) -> Gaps:
    result = Gaps()
    result.add([Unreadable(path, obstacle, "") for path in paths])
    return result


def missing(path: bytes) -> Difference:
    return Difference(Code.DG102, path, "gone")


@pytest.mark.parametrize(
    ("path", "explained"),
    [
        (b"a/b", True),
        (b"a/b/c", True),
        (b"a/b/c/d", True),
        (b"a/bc", False),
        (b"a", False),
        (b"a/b-", False),
        (b"x", False),
    ],
)
def test_what_lies_at_or_below_an_unreadable_path_is_not_called_missing(path, explained):
    assert explained is gaps(b"a/b").explain(missing(path))


def test_nothing_is_called_missing_where_the_root_cannot_be_read():
    assert gaps(b"").explain(missing(b"a/b"))


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.DG102])
def test_other_findings_stand(code):
    assert not gaps(b"a").explain(Difference(code, b"a", ""))


@pytest.mark.parametrize("obstacle", [Obstacle.DENIED, Obstacle.IO_ERROR, Obstacle.UNSTABLE])
def test_what_may_be_there_is_a_gap(obstacle):
    assert gaps(b"a", obstacle=obstacle).explain(missing(b"a/b"))


@pytest.mark.parametrize(
    "obstacle", [Obstacle.VANISHED, Obstacle.FIFO, Obstacle.SOCKET, Obstacle.DEVICE]
)
def test_what_is_gone_or_something_else_is_a_fact(obstacle):
    assert not gaps(b"a", obstacle=obstacle).explain(missing(b"a"))


def test_no_gap_explains_nothing():
    assert not Gaps().explain(missing(b"a"))
