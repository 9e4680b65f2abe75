from __future__ import annotations

import os
import subprocess
import sys

import pytest

PREPARE = (
    "import os; from dataguard.cli.loading import lean_loading\n"
    "from dataguard.core.numeric import np\n"
)
COUNT = "print(len(os.listdir('/proc/self/task')))"
NAMES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def said_by(program, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + program],
        capture_output=True,
        text=True,
        check=True,
        env={**kept, **environment},
    )
    return done.stdout.split()


def test_numpy_starts_no_threads():
    assert ["1"] == said_by(f"with lean_loading(): np.ndarray\n{COUNT}")


@pytest.mark.parametrize("loading", ["np.ndarray", "import pyarrow"])
def test_the_environment_is_as_it_was_once_loaded(loading):
    program = f"was = dict(os.environ)\nwith lean_loading(): {loading}\n"
    assert ["True"] == said_by(program + "print(was == dict(os.environ))")


def test_what_the_caller_set_counts():
    program = (
        "import sys, types\n"
        "with lean_loading():\n"
        "    found = sys.meta_path[0].find_spec('numpy', None)\n"
        "    found.loader.get_code = lambda _: compile(\n"
        "        'import os; seen = os.environ.get(\"OPENBLAS_NUM_THREADS\")', 'x', 'exec')\n"
        "    module = types.ModuleType('numpy'); found.loader.exec_module(module)\n"
        "print(module.seen, os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    assert ["1", "None"] == said_by(program)
    assert ["3", "3"] == said_by(program, OPENBLAS_NUM_THREADS="3")


def test_a_library_that_fails_to_load_leaves_the_environment_alone():
    program = (
        "import sys, types\n"
        "with lean_loading():\n"
        "    found = sys.meta_path[0].find_spec('numpy', None)\n"
        "    found.loader.get_code = lambda _: compile('1 / 0', 'x', 'exec')\n"
        "    try: found.loader.exec_module(types.ModuleType('numpy'))\n"
        "    except ZeroDivisionError: pass\n"
        "print(os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    assert ["None"] == said_by(program)


def test_nothing_is_left_among_the_finders():
    program = "import sys; was = [*sys.meta_path]\nwith lean_loading(): pass\n"
    assert ["True"] == said_by(program + "print(was == sys.meta_path)")


def test_importing_dataguard_as_a_library_leaves_threads_to_the_caller():
    program = "import sys, dataguard.cli, dataguard.core.columns\n"
    assert ["3", "True"] == said_by(
        program
        + "found = [str(f) for f in sys.meta_path]\n"
        + "print(os.environ['OPENBLAS_NUM_THREADS'], not any('dataguard' in f for f in found))",
        OPENBLAS_NUM_THREADS="3",
    )


def test_a_job_gets_the_environment_of_the_caller(registered):
    show = f"import os; print([n for n in {NAMES!r} if n in os.environ])"
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    output = str(registered.top / "outputs")
    words = ("run", "--input", "faces@1", "--output", output, "--", sys.executable, "-c", show)
    answer = registered.ask_process(*words, env=environment)
    assert (0, "[]\n") == (answer.code, answer.out), answer


def test_parquet_is_read_without_arrows_clients_of_object_stores():
    program = (
        "import sys\nwith lean_loading(): import pyarrow.parquet\n"
        "print('pyarrow._s3fs' in sys.modules, 'pyarrow._parquet' in sys.modules)"
    )
    assert ["False", "True"] == said_by(program)
