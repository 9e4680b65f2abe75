"""Every kind of change is found by a watcher at work, as docs/watching.md says."""

from __future__ import annotations

import os

import pytest

from support.watchmatrix import KINDS, NO_PART, PAGE, SOURCES, columns_in, found_by, page

MADE = {}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def place_of(request, kind):
    if kind == "tmpfs":
        return str(request.getfixturevalue("area"))
    return request.getfixturevalue("loop_image")(kind).top


@pytest.mark.usefixtures("capfd")
def test_what_fanotify_finds_on_tmpfs_is_what_the_page_says(request, home):
    found = found_by("fanotify", place_of(request, "tmpfs"), home)
    assert columns_in(PAGE.read_text())["fanotify", "tmpfs"] == found


@pytest.mark.long
@pytest.mark.usefixtures("capfd")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", SOURCES)
def test_what_a_source_finds_is_what_the_page_says(request, home, source, kind):
    found = MADE[source, kind] = found_by(source, place_of(request, kind), home)
    if "WRITE_WATCH_MATRIX" not in os.environ:
        assert columns_in(PAGE.read_text())[source, kind] == found
    elif len(MADE) == len(KINDS) * len(SOURCES):
        PAGE.write_text(page(MADE))


def test_what_nobody_finds_is_what_no_version_records():
    columns = columns_in(PAGE.read_text())
    missed = {
        (*key, name)
        for key, cells in columns.items()
        for name, cell in cells.items()
        if cell == "no"
    }
    assert {(*key, name) for key in columns for name in NO_PART} == missed
