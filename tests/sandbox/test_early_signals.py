"""Signals that come while a way to confine the job is still looked for."""

from __future__ import annotations

import os
import signal

import pytest

from dataguard.model.confinement import Mode
from dataguard.sandbox.inherited import Inherited
from dataguard.sandbox.launch import run_confined
from dataguard.sandbox.plan import Plan, Rung, rungs

BETWEEN = "n=0; while [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done; echo nothing came >&2"


@pytest.mark.parametrize("moment", [0, 1], ids=["before a way that fails", "after it"])
def test_signal_reaches_the_job_of_the_way_that_works(moment):
    plan = Plan(
        mode=Mode.PROTECT,
        marks=(),
        shown=(("/nowhere", "/nowhere"),),  # no mount of this can be made
        writable=(),
        inherited=Inherited(()),
        directory="/",
        command=("sh", "-c", BETWEEN),
        environment={"PATH": os.defpath},
    )
    ways = (rungs()[0], Rung(()))

    def build(rung):
        if rung == ways[moment]:
            os.kill(os.getpid(), signal.SIGUSR1)
        return plan

    assert 128 + signal.SIGUSR1 == run_confined(build, ways).exit_code
