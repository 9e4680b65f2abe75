from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.launchers import launcher_of

FOREIGN = ("srun", "mpirun", "mpiexec", "sbatch", "docker", "podman", "ssh", "kubectl", "ray")


@pytest.mark.parametrize("name", FOREIGN)
def test_launcher_is_known_with_a_form_that_names_dataguard_run(name):
    found = launcher_of((f"/usr/bin/{name}", "-x", "y"))
    assert name == found.name
    assert "dataguard run -- CMD" in found.form


@pytest.mark.parametrize(
    "words",
    [
        "env -u A B=1 -- srun x",
        "nice -n 5 srun x",
        "nohup nice srun x",
        "timeout -k 5 60 srun x",
        "timeout --signal=KILL 60 srun",
        "stdbuf -oL srun x",
        "numactl -N 0 --membind=0 srun x",
        "taskset 0x3 srun x",
        "time -f %e srun x",
        "env -i PATH=/bin timeout 5 srun",
    ],
)
def test_wrappers_are_looked_through(words):
    assert "srun" == launcher_of(tuple(words.split())).name


@pytest.mark.parametrize(
    "words",
    ["python srun", "sh -c srun", "nice -n 5 python train.py", "env", "env A=docker python x", ""],
)
def test_other_commands_are_none(words):
    assert launcher_of(tuple(words.split())) is None


@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_words_are_taken(words):
    launcher_of(tuple(words))
