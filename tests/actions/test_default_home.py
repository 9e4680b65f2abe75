from __future__ import annotations

import subprocess
import sys

import platformdirs
import pytest

from dataguard.actions.defaulthome import default_home


@pytest.mark.parametrize("home", ["/home/x", "/home/x/", "/", "//a", "", "relative", None])
@pytest.mark.parametrize("given", ["/data", "/data/", "", " ", "relative", "~/x", None])
def test_the_default_home_is_where_the_users_data_is(monkeypatch, home, given):
    for name, value in (("HOME", home), ("XDG_DATA_HOME", given)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert platformdirs.user_data_dir("dataguard") == default_home()


def test_a_plain_environment_is_read_without_the_library():
    program = (
        "import sys\n"
        "from dataguard.actions.defaulthome import default_home\n"
        "print(default_home(), 'platformdirs' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"HOME": "/home/x"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "/home/x/.local/share/dataguard False\n" == done.stdout
