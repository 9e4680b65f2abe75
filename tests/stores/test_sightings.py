from __future__ import annotations

import errno
from datetime import UTC, datetime

import pytest

from dataguard.errors import StoreUnreachableError
from dataguard.model.finding import Code, Finding, Severity
from dataguard.stores import spool
from dataguard.stores.sightings import Sightings

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def finding(path: bytes, severity=Severity.WARNING) -> Finding:
    return Finding(Code.DG105, severity, path, "m", NOW, NOW, "d", 1, evidence={"n": len(path)})


@pytest.mark.parametrize("many", [0, 1, 255, 256, 257, 3000])
@pytest.mark.parametrize("memory", [1, 1 << 20])
def test_what_was_put_in_comes_out_as_often_as_wanted(many, memory, monkeypatch):
    monkeypatch.setattr(spool, "_IN_MEMORY_BYTES", memory)
    put = [finding(b"%05d\xff" % number) for number in range(many)]
    seen = Sightings(put)
    assert (many, bool(many)) == (len(seen), bool(seen))
    assert put == list(seen) == list(seen)
    first, second = iter(seen), iter(seen)
    assert [next(first, None), next(second, None)] == [put[0], put[0]] if put else [None, None]
    assert put[1:] == list(first)
    assert put[-3:] == list(seen.since(max(0, many - 3)))
    assert all(one in seen for one in put[-2:])
    assert finding(b"other") not in seen


def test_late_ones_come_at_their_place():
    seen = Sightings([finding(b"a"), finding(b"c")])
    seen.add_late(finding(b"d"))
    seen.add_late(finding(b"b"))
    assert [b"a", b"b", b"c", b"d"] == [one.path for one in seen]
    assert [b"c", b"d", b"b"] == [one.path for one in seen.since(1)]
    assert 4 == len(seen)


def test_violations_are_counted():
    severities = [Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL]
    assert 2 == Sightings(finding(b"x", severity) for severity in severities).violations


def test_reading_goes_on_while_more_is_put_in():
    seen = Sightings(finding(b"%05d" % number) for number in range(600))
    read = iter(seen)
    first = next(read)
    for number in range(600, 1200):
        seen.add(finding(b"%05d" % number))
    assert 600 == len([first, *read])
    assert 1200 == len(list(seen))


def test_full_disk_is_told(monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool.pickle, "dump", full)
    with pytest.raises(StoreUnreachableError, match="No space left") as caught:
        Sightings(finding(b"%05d" % number) for number in range(300))
    assert "TMPDIR" in caught.value.hint
