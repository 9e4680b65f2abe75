from __future__ import annotations

import pytest

from support.mountcleanup import needs_mounts
from support.namespaces import why_no_namespaces
from support.workplace import USER, workplaces


@pytest.fixture(params=[0, USER], ids=["root", "user"])
def place(request, tmp_path):
    """A workplace, once of root and once of an ordinary user."""
    if needs_mounts.args[0] or why_no_namespaces():
        pytest.skip("needs root, to become others")
    yield from workplaces(tmp_path, request.param)


@pytest.fixture
def users_place(tmp_path):
    """A workplace of an ordinary user."""
    if needs_mounts.args[0] or why_no_namespaces():
        pytest.skip("needs root, to become others")
    yield from workplaces(tmp_path, USER)
