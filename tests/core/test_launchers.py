from __future__ import annotations

import shlex

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
        "sudo srun x",
        "sudo -u alice -E srun x",
        "sudo -Eu alice -- srun x",
        "sudo --user=alice A=1 srun x",
        "sudo -n nice env A=1 setsid srun x",
        "doas -u alice srun x",
        "xargs srun x",
        "xargs -0 -n 1 -P4 -I {} srun {}",
        "xargs --max-args 1 --no-run-if-empty srun",
        "env -S 'srun x'",
        "env -S 'A=1 srun' x",
        "env -vS 'nice srun x'",
        "env '-Ssrun x'",
        "env '--split-string=srun x'",
        "env --split-string 'nice srun' x",
        "setsid --wait srun x",
        "flock -w 5 /tmp/lock srun x",
        "chrt -b 0 srun x",
        "command srun x",
    ],
)
def test_wrappers_are_looked_through(words):
    assert "srun" == launcher_of(tuple(shlex.split(words))).name


@pytest.mark.parametrize(
    "script",
    [
        "srun x",
        "A=1 B=2 srun x",
        "cd /tmp; srun x",
        "cd /tmp && exec srun x",
        "cd /tmp\nsrun x",
        "# prepare\nsrun x",
        "true | sudo srun x",
        "sleep 1 & srun x",
        "(srun x)",
        "{ srun x; }",
        "if true; then srun x; fi",
        "for h in a b; do srun $h; done",
        "out=$(srun x)",
        "out=`srun x`",
        'echo "found: $(cd /; srun x)" there',
        'echo "`srun x`"',
        "diff <(srun x) file",
        "sr''un x",
        "s\\run x",
        "true; \\\nsrun x",
        '"srun" x',
        "! srun x",
        "echo hi > log; srun x",
        "true 2>&1 | srun x",
        "true &> log; srun x",
        "bash -c 'srun x'",
        "eval srun x",
        "eval 'cd /; srun x'",
        "xargs srun < list",
    ],
)
@pytest.mark.parametrize("shell", ["sh -c", "/bin/bash -ec", "bash -o pipefail -c", "zsh -l -c"])
def test_text_of_a_shell_is_looked_through(shell, script):
    assert "srun" == launcher_of((*shell.split(), script, "argument")).name


@pytest.mark.parametrize(
    "script",
    [
        "echo srun",
        "echo 'x; srun x'",
        "echo x > srun",
        "echo x 2> srun",
        "cat < srun",
        "echo x >& srun",
        "echo x &> srun",
        "echo 'a;' srun",
        'echo "a; srun x"',
        "echo a\\; srun",
        "cat <<< srun",
        "true # ; srun x",
        "command -v srun && echo there",
        "which srun || echo none",
        "echo a#b srun",
        "echo 'quote that does not end; srun x",
        "python train.py --name=srun",
        "A=srun",
        "",
    ],
)
def test_launcher_that_a_text_only_names_is_none(script):
    assert launcher_of(("sh", "-c", script)) is None


@pytest.mark.parametrize(
    "words",
    [
        *("python srun", "sh srun", "sh -c", "bash script.sh -c srun", "nice -n 5 python train.py"),
        *("env", "env A=docker python x", "env -u srun python x", "sudo -u srun python", ""),
        *("xargs -I srun echo srun", "timeout 5", "env -S", "env --split-string='"),
    ],
)
def test_other_commands_are_none(words):
    assert launcher_of(tuple(words.split())) is None


@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_words_are_taken(words):
    launcher_of(tuple(words))
    launcher_of(("env", *words))
    launcher_of(("xargs", *words))


@given(st.text("a'\"\\;&|()<>#$ \n=srun", max_size=20))
def test_any_text_of_a_shell_is_taken(script):
    launcher_of(("sh", "-c", script))
    launcher_of(("env", "-S", script))


@given(st.text("ab ;'\"$|&<>()#\n", max_size=12))
def test_launcher_after_a_quoted_text_is_seen(text):
    quoted = shlex.quote(text)
    assert "srun" == launcher_of(("sh", "-c", f"echo {quoted}; srun x")).name
    assert launcher_of(("sh", "-c", f"echo {quoted} srun")) is None
