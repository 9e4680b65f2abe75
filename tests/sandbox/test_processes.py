"""Whether a process is the one that was recorded, and goes on."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from dataguard.sandbox import processes
from dataguard.sandbox.processes import current_process, is_alive, start_time


def test_this_process_is_alive_and_a_later_one_of_its_number_would_not_be():
    here = current_process()
    assert (True, False) == (is_alive(here), is_alive(replace(here, started=here.started - 1)))


def test_process_of_another_boot_is_gone_and_one_of_another_namespace_is_not_known():
    here = current_process()
    assert False is is_alive(replace(here, boot_id="another"))
    assert None is is_alive(replace(here, namespace=1))
    assert None is is_alive(replace(here, host="elsewhere"))


@pytest.mark.parametrize("unknown", [{"boot_id": ""}, {"started": 0}])
def test_nothing_is_said_of_a_process_whose_marks_are_not_known(unknown):
    assert None is is_alive(replace(current_process(), **unknown))


def test_nothing_is_said_where_the_kernel_hides_the_boot(monkeypatch):
    recorded = current_process()
    monkeypatch.setattr(processes, "boot_id", str)
    assert None is is_alive(recorded)


def test_zombie_is_gone_also_before_its_parent_looks():
    child = subprocess.Popen(["sleep", "60"])
    record = replace(current_process(), pid=child.pid, started=start_time(child.pid))
    assert True is is_alive(record)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert False is is_alive(record)
    child.wait()
