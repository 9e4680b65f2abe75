from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.alerts import LATEST_S, SINGLE, Gathering
from dataguard.core.traces import Known
from dataguard.core.writers import container_of, slurm_job_of, writer_evidence
from dataguard.model.finding import Code, Finding, Severity
from dataguard.model.watch import Writer

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PATHS = st.binary(min_size=1, max_size=6).map(lambda b: b.replace(b"\0", b"/").strip(b"/") or b"x")


def finding(path, code=Code.DG301, time=NOW, **evidence):
    shown = {"change": "deleted", **evidence}
    return Finding(
        code, Severity.ERROR, path, "gone", time, time, dataset="d", version=1, evidence=shown
    )


@given(st.lists(st.tuples(PATHS, st.sampled_from([Code.DG301, Code.DG105]))))
def test_counts_of_alerts_add_up_and_their_paths_hold_what_they_count(found):
    gathering = Gathering()
    for path, code in found:
        gathering.add(finding(path, code), 0.0)
    alerts = [*gathering.due(0.0, NOW, all_of_it=True)]
    assert len(found) == sum(one.count for one in alerts)
    assert 0 == len(gathering)
    for one in alerts:
        inside = [p for p, c in found if c.name == one.code]
        assert any(p == one.path or p.startswith(one.path + b"/") or not one.path for p in inside)
        json.dumps(one.data)
        assert one.data["first_seen"].endswith("Z")
    assert len(alerts) == len({one.id for one in alerts})


def test_few_are_reported_one_by_one_and_many_as_their_directory():
    gathering = Gathering()
    for number in range(SINGLE):
        gathering.add(finding(b"few/%d" % number), 0.0)
    for number in range(1_000):
        gathering.add(finding(b"many/deep/%d/x" % number), 0.0)
    alerts = [*gathering.due(5.0, NOW)]
    assert [1] * SINGLE + [1_000] == [one.count for one in alerts]
    assert b"many/deep" == alerts[-1].path
    assert "1,000 entries below many/deep: deleted" == alerts[-1].message


def test_what_never_stops_is_reported_after_a_minute():
    gathering = Gathering()
    now, alerts = 0.0, []
    while not alerts:
        gathering.add(finding(b"a/%d" % int(now)), now)
        now += 0.5
        alerts = [*gathering.due(now, NOW)]
    assert LATEST_S == now


def test_one_state_of_a_path_is_news_once_whoever_saw_it():
    known = Known()
    seen = finding(b"a", finding="DG101", observed_digest="1")
    compared = finding(b"a", Code.DG101, observed_digest="1")
    assert [True, False, False] == [known.add(one) for one in (seen, compared, seen)]
    assert known.add(finding(b"a", finding="DG101", observed_digest="2"))
    assert known.add(seen), "what comes back is news"


def test_older_sighting_is_no_news():
    known, before = Known(), NOW.replace(year=2029)
    known.settle("d", 1, b"a", NOW)
    assert not known.add(finding(b"a", time=before))
    assert known.add(finding(b"a"))
    assert not known.add(finding(b"a", Code.DG103, time=before))


def test_jobs_and_containers_are_told_from_control_groups():
    container = "0123456789abcdef" * 4
    jobs = {
        "/slurm/uid_1000/job_4711/step_0": "4711",
        "/system.slice/slurmstepd.scope/job_12/step_batch/user/task_0": "12",
        "/user.slice/job_9": None,
    }
    assert jobs == {group: slurm_job_of(group) for group in jobs}
    containers = {
        f"/docker/{container}": container,
        f"/system.slice/docker-{container}.scope": container,
        f"/kubepods/burstable/pod1/{container}": container,
        "/user.slice": None,
    }
    assert containers == {group: container_of(group) for group in containers}


def test_writer_has_every_field_and_unknown_for_what_nobody_knows():
    nobody, somebody = writer_evidence(None), writer_evidence(Writer(pid=1, uid=0), user="root")
    assert {*nobody} == {*somebody}
    assert {"unknown"} == {*nobody.values()}
    assert (1, 0, "root", "unknown") == tuple(
        somebody[name] for name in ("pid", "uid", "user", "command")
    )


def test_what_comes_after_the_clock_was_set_back_is_news():
    known, earlier = Known(), NOW.replace(year=2029)
    assert known.add(finding(b"a", observed_digest="1"))
    assert not known.add(finding(b"a", time=earlier, observed_digest="2"), NOW.timestamp())
    assert known.add(finding(b"a", time=earlier, observed_digest="2"), earlier.timestamp())
