"""Errors: what each reaction of the caller needs survives the way out of a worker process."""

from __future__ import annotations

import copy
import pickle

import pytest

from dataguard import errors
from dataguard.errors import DataguardError, InterruptError

ORDINARY = [
    getattr(errors, name)("what happened", hint="what to do")
    for name in errors.__all__
    if name != "InterruptError"
]


@pytest.mark.parametrize("error", [*ORDINARY, DataguardError("m"), InterruptError(15)], ids=repr)
@pytest.mark.parametrize("through", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy])
def test_error_is_the_same_after_a_process_border(error, through):
    there = through(error)
    assert type(error) is type(there)
    for name in ("message", "hint", "code", "exit_code"):
        assert getattr(error, name) == getattr(there, name)
