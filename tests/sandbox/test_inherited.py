"""Descriptors of the caller: what would lead round the mounts does not reach the job."""

from __future__ import annotations

import os

import pytest

from dataguard.errors import NotStartedError
from dataguard.sandbox.inherited import inherit


@pytest.fixture
def opened():
    descriptors = []

    def open_it(path, flags=os.O_RDONLY):
        descriptors.append(os.open(path, flags))
        os.set_inheritable(descriptors[-1], True)
        return descriptors[-1]

    yield open_it
    for descriptor in descriptors:
        os.close(descriptor)


def test_directory_is_closed_and_file_of_gold_opened_again(tmp_path, opened):
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "a").write_text("x")
    (tmp_path / "log").write_text("x")
    directory, log = opened(tmp_path), opened(tmp_path / "log", os.O_WRONLY)
    file = opened(tmp_path / "gold" / "a")
    found = inherit((str(tmp_path / "gold"),))
    assert directory in found.closed
    assert ((file, str(tmp_path / "gold" / "a")),) == found.reopened
    assert {directory, log, file} <= set(found.passed)


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND])
def test_descriptor_open_for_writing_in_gold_is_refused(tmp_path, opened, flags):
    (tmp_path / "a").write_text("x")
    opened(tmp_path / "a", flags)
    with pytest.raises(NotStartedError, match="open for writing to"):
        inherit((str(tmp_path),))
