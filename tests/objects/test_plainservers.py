"""Servers that know no versions, or do not list them: audits, watching and copies hold there, too.

Gateways before other stores answer 501 or 405 to what they do not know.
"""

from __future__ import annotations

import contextlib

import pytest

from support.countingproxy import Reply, counting_proxy

_WITHOUT = {
    "no list of versions": ("versions",),
    "no versions": ("versions", "versioning", "object-lock"),
}


@contextlib.contextmanager
def plain(server, lacks, status):
    """Be the administrator at a server that does not know this."""
    with counting_proxy(server.endpoint) as proxy:
        body = b"<Error><Code>NotImplemented</Code><Message>not here</Message></Error>"
        for query in lacks:
            proxy.spoil(Reply(status, body), key=b"", method="GET", query=query, times=10_000)
        with server.acting(server.admin, endpoint=proxy.endpoint):
            yield proxy


@pytest.fixture(params=[501, 405])
def status(request):
    return request.param


@pytest.fixture(params=_WITHOUT)
def lacks(request):
    return _WITHOUT[request.param]


@pytest.fixture
def there(gold_at, ministack, lacks, status):
    """Gold that was registered at such a server, which this process talks to."""
    gold = gold_at(ministack, versioned="versioning" not in lacks, registered=False)
    with plain(ministack, lacks, status):
        code, told = gold.run("register", "faces", gold.place)
        assert 0 == code, told
        yield gold


def test_what_is_as_registered_is_clean_where_nothing_relies_on_what_is_not_known(there):
    for level in ("0", "1", "4"):
        code, found = there.audit(level)
        assert (0, [], 3) == (code, found["findings"], found["checked_files"])
    code, found = there.run("watch", "--once")
    assert (0, []) == (code, found["findings"])


def test_what_was_changed_is_found(there):
    there.put("a", b"other content")
    there.delete("d/b")
    there.put("new", b"new")
    wanted = {("a", "DG601"), ("new", "DG103")}
    for level in ("0", "1", "4"):
        code, found = there.audit(level)
        told = {(one["path"], one["code"]) for one in found["findings"]}
        assert (3, True) == (code, wanted <= told), found
        assert told - wanted <= {("d/b", "DG102"), ("d/b", "DG602")}
    code, found = there.run("watch", "--once")
    assert {"a", "d/b", "new"} == {one["path"] for one in found["findings"]}


def test_copies_are_found_and_what_was_not_looked_at_is_said(there):
    there.admin.put_object(Bucket=there.bucket, Key="mine/copy", Body=b"d/b")
    code, found = there.run("copies", f"s3://{there.bucket}/mine")
    assert (3, True) == (code, found["complete"]), found
    assert [True] == [one["path"].endswith("mine/copy") for one in found["copies"]]
