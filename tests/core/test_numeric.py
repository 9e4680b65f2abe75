"""numpy is loaded by `core.numeric` alone, and Arrow never makes anything for it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import dataguard

PACKAGE = Path(dataguard.__file__).parent
FOR_NUMPY = re.compile(r"\bto_numpy\(|\bto_pandas|from_pandas|\bpa\.array\(np\.")
LOADS = re.compile(r"^(import numpy|from numpy)", re.MULTILINE)


def test_modules_have_numpy_from_one_place_only():
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert not [str(path) for path, text in sources.items() if LOADS.search(text)]
    assert not [str(path) for path, text in sources.items() if FOR_NUMPY.search(text)]


def said_by(program):
    words = [sys.executable, "-c", program]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def test_hidden_numpy_is_shown_to_whoever_uses_it():
    program = (
        "import sys\n"
        "from dataguard.cli.loading import lean_loading\n"
        "from dataguard.core.numeric import np\n"
        "with lean_loading():\n"
        "    import pyarrow\n"
        "    print('numpy.linalg' in sys.modules)\n"
        "    print(np.arange(3).sum(), 'numpy.linalg' in sys.modules)\n"
    )
    assert ["False", "3", "True"] == said_by(program)


def test_library_leaves_numpy_and_arrow_as_they_are():
    program = (
        "import dataguard.core.columns, pyarrow\nprint(pyarrow.array([1, 2]).to_numpy().tolist())\n"
    )
    assert ["[1,", "2]"] == said_by(program)
