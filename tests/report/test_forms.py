from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import dataguard.report
from dataguard.report.encode import encode
from dataguard.report.forms import AS_JSON, AS_LINES
from dataguard.report.lines import lines_of


def all_forms(function, beginning):
    """Load every module with forms; return those in force, by the module of the result's class."""
    for found in pkgutil.iter_modules(dataguard.report.__path__):
        if found.name.startswith(beginning):
            import_module(f"dataguard.report.{found.name}")
    own = {
        kind: form
        for kind, form in function.registry.items()
        if form.__module__ != function.__module__
    }
    return {kind.__module__: form.__module__.rpartition(".")[2] for kind, form in own.items()}


@pytest.mark.parametrize(
    ("function", "beginning", "places"),
    [(lines_of, "text_", AS_LINES), (encode, "encode_", AS_JSON)],
    ids=["lines", "json"],
)
def test_every_form_of_a_result_is_found_by_the_module_of_its_class(function, beginning, places):
    assert places == all_forms(function, beginning)
