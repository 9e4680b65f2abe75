"""A dataset's whole life, step by step beside a perfect model of it.

The model holds trees as dictionaries, and says what each command must find; the machine works on a
real tree with a real catalog. Where they part, one of them is wrong.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dataguard.actions import audit, catalog, diff, register, standing, tag
from dataguard.actions.registration import Request
from dataguard.actions.settings import load, load_policy
from dataguard.cli.clock import utc_now
from dataguard.cli.opening import open_context
from dataguard.cli.progress import choose
from dataguard.errors import ConflictError, NotFoundError
from dataguard.model.audit import AuditLevel
from dataguard.model.dataset import LocationState, VersionState
from dataguard.model.finding import Code, FindingState, Severity
from dataguard.model.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = (b"a", b"a-b", b"b", b"d/x", b"d/y", b"d\xff/\n")
CONTENTS = (b"", b"one", b"two", b"three")  # two of one size
TARGETS = (b"a", b"d/x", b"nowhere")
TAGS = ("prod", "test")


@dataclass(frozen=True)
class Node:
    """One entry of the model: kind, content or target, and what a baseline keeps of it."""

    kind: str
    content: bytes
    mtime_ns: int
    mode: int

    @property
    def same(self) -> tuple[str, bytes]:
        """What has to agree for the content to be the same."""
        return self.kind, self.content


Tree = dict[bytes, Node]


@dataclass
class ModelVersion:
    """A version; `baseline` is its tree when the place was last seen to hold exactly it.

    `arrived` orders the versions at the place, None where it is not there any more.
    """

    number: int
    tree: Tree
    state: VersionState
    baseline: Tree
    arrived: int | None
    audits: list[tuple[str, bool]] = field(default_factory=list)  # since its quarantine
    open: set[tuple[str, bytes]] = field(default_factory=set)

    @property
    def reference(self) -> str:
        return f"demo@{self.number}"


def contents(tree: Tree) -> dict[bytes, tuple[str, bytes]]:
    return {path: node.same for path, node in tree.items()}


def differences(old: Tree, new: Tree) -> set[tuple[str, bytes]]:
    """Say what differs in content, with the codes of findings.

    A directory that is on both sides, empty on one, is only what came or went in it.
    """
    missing, extra = old.keys() - new.keys(), new.keys() - old.keys()
    found = alone("DG102", old, missing, extra) | alone("DG103", new, extra, missing)
    for path in old.keys() & new.keys():
        if old[path].kind != new[path].kind:
            found.add(("DG104", path))
        elif old[path].content != new[path].content:
            found.add(("DG101", path))
    return found


def alone(code: str, tree: Tree, paths: set[bytes], others: set[bytes]) -> set[tuple[str, bytes]]:
    """Say what the paths are that only one side has, where the other has `others`."""
    found = {(code, path) for path in paths if not has_below(path, others)}
    was_no_directory = (path for path in paths if tree[path].kind != "d")
    return found | {("DG104", path) for path in was_no_directory if has_below(path, others)}


def expected_findings(version: ModelVersion, tree: Tree, added: Tree) -> set[tuple[str, bytes]]:
    """Say what an audit of any level must find, apart from what was appended since."""
    found = differences(version.tree, tree)
    known = {path for _, path in found}
    for path in (version.tree.keys() & tree.keys()) - known:
        if has_other_metadata(tree[path], version.baseline[path]):
            found.add(("DG105", path))
    return {one for one in found if one[0] != "DG103" or one[1] not in added}


def has_other_metadata(now: Node, base: Node) -> bool:
    """Say whether mode or time differ, of those kinds whose mode or time mean something."""
    mode = now.kind != "l" and now.mode != base.mode
    return mode or (now.kind == "f" and now.mtime_ns != base.mtime_ns)


def has_below(path: bytes, others: set[bytes]) -> bool:
    return any(other.startswith(path + b"/") for other in others)


def is_clean(found: set[tuple[str, bytes]]) -> bool:
    return all(code == "DG105" for code, _ in found)  # by default a warning


class DatasetLife(RuleBasedStateMachine):
    """Steps on a tree and commands about it."""

    @initialize()
    def begin(self) -> None:
        self.root = os.fsencode(tempfile.mkdtemp(prefix="life-"))
        self.gold = os.path.join(self.root, b"gold")
        os.mkdir(self.gold)
        self.versions: list[ModelVersion] = []
        self.tags: dict[str, int] = {}
        self.arrivals = 0
        self.open()

    def open(self) -> None:
        home = os.fsdecode(os.path.join(self.root, b"home"))
        self.settings = load({}, {"DATAGUARD_HOME": home}, workspace=None)
        policy = load_policy(self.settings).policy
        self.ctx = open_context(self.settings, policy, choose("never", quiet=True))

    def teardown(self) -> None:
        if hasattr(self, "ctx"):
            self.ctx.close()
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    # -- the tree ------------------------------------------------------------------------------

    def at(self, path: bytes) -> bytes:
        return os.path.join(self.gold, path)

    def look(self) -> Tree:
        return dict(walk(self.gold, b""))

    def clear(self, path: bytes) -> None:
        """Make way for an entry: whatever is there, or a file where its directory must be."""
        parent = os.path.dirname(self.at(path))
        if not os.path.isdir(parent) or os.path.islink(parent):
            if os.path.lexists(parent):
                os.unlink(parent)
            os.makedirs(parent)
        there = self.at(path)
        if os.path.isdir(there) and not os.path.islink(there):
            shutil.rmtree(there)
        elif os.path.lexists(there):
            os.unlink(there)

    @rule(path=st.sampled_from(NAMES), content=st.sampled_from(CONTENTS))
    def write(self, path: bytes, content: bytes) -> None:
        if os.path.islink(self.at(path)) or not os.path.isfile(self.at(path)):
            self.clear(path)
        with open(self.at(path), "wb") as file:
            file.write(content)

    @rule(path=st.sampled_from(NAMES), content=st.sampled_from(CONTENTS))
    def write_and_put_the_time_back(self, path: bytes, content: bytes) -> None:
        assume(os.path.isfile(self.at(path)) and not os.path.islink(self.at(path)))
        before = os.stat(self.at(path))
        with open(self.at(path), "r+b") as file:
            file.truncate(0)
            file.write(content)
        os.utime(self.at(path), ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(path=st.sampled_from(NAMES), leads_to=st.sampled_from(TARGETS))
    def link(self, path: bytes, leads_to: bytes) -> None:
        self.clear(path)
        os.symlink(leads_to, self.at(path))

    @rule(path=st.sampled_from((*NAMES, b"d", b"e")))
    def make_empty_directory(self, path: bytes) -> None:
        self.clear(path)
        os.mkdir(self.at(path))

    @rule(path=st.sampled_from((*NAMES, b"e")))
    def delete(self, path: bytes) -> None:
        assume(os.path.lexists(self.at(path)))
        self.clear(path)

    @rule(old=st.sampled_from(NAMES), new=st.sampled_from(NAMES))
    def rename(self, old: bytes, new: bytes) -> None:
        assume(old != new and os.path.lexists(self.at(old)))
        self.clear(new)
        os.rename(self.at(old), self.at(new))

    @rule(path=st.sampled_from(NAMES))
    def touch(self, path: bytes) -> None:
        assume(os.path.isfile(self.at(path)) and not os.path.islink(self.at(path)))
        os.utime(self.at(path))

    @rule(path=st.sampled_from(NAMES), mode=st.sampled_from((0o600, 0o644, 0o755)))
    def chmod(self, path: bytes, mode: int) -> None:
        assume(os.path.lexists(self.at(path)) and not os.path.islink(self.at(path)))
        os.chmod(self.at(path), mode)

    # -- registering ---------------------------------------------------------------------------

    @property
    def here(self) -> list[ModelVersion]:
        """The versions at the place, in the order in which they arrived."""
        found = [version for version in self.versions if version.arrived is not None]
        return sorted(found, key=lambda version: version.arrived)

    @rule()
    def register(self) -> None:
        tree = self.look()
        result = self.registered()
        if self.here and contents(self.here[-1].tree) != contents(tree):
            assert (result.created, bool(result.findings)) == (False, True)
            return
        self.arrive(tree, result)

    @precondition(lambda self: self.versions)
    @rule()
    def append(self) -> None:
        tree = self.look()
        found = differences(self.here[-1].tree, tree)
        result = self.registered(append=True, reason="more")
        if any(code != "DG103" for code, _ in found):
            assert (result.created, bool(result.findings)) == (False, True)
            return
        self.arrive(tree, result)

    @precondition(lambda self: self.versions)
    @rule()
    def supersede(self) -> None:
        tree = self.look()
        result = self.registered(supersede=True, reason="other")
        number = self.arrive(tree, result)
        for version in self.here:
            if version.number != number:
                version.arrived = None
                version.open = set()
                if version.state is VersionState.ACTIVE:
                    version.state = VersionState.SUPERSEDED

    def registered(self, **options):
        request = Request("demo", os.fsdecode(self.gold), **options)
        return register.register(self.ctx, request)

    def arrive(self, tree: Tree, result) -> int:
        """Let the model know of a registration, and compare what is said of it."""
        known = [v for v in self.versions if contents(v.tree) == contents(tree)]
        assert result.created is not bool(known)
        if known:
            (version,) = known
            if version.state is VersionState.SUPERSEDED:
                version.state = VersionState.ACTIVE
        else:
            number = len(self.versions) + 1
            version = ModelVersion(number, tree, VersionState.ACTIVE, tree, None)
            self.versions.append(version)
        if version.arrived is None:
            self.arrivals += 1
            version.arrived = self.arrivals
        version.baseline = tree
        version.open = set()  # what is registered is what it should be
        files = sum(node.kind == "f" for node in tree.values())
        version.audits.append(("full" if result.hashed == files else "quick", True))
        assert (result.version, result.files) == (version.number, files)
        return version.number

    # -- looking -------------------------------------------------------------------------------

    @precondition(lambda self: self.versions)
    @rule(level=st.sampled_from(AuditLevel))
    def audit(self, level: AuditLevel) -> None:
        tree = self.look()
        result = audit.audit(self.ctx, (), level=level)
        audited = (VersionState.ACTIVE, VersionState.QUARANTINED)
        wanted = [version for version in self.here if version.state in audited]
        assert sorted(v.version for v in result.versions) == sorted(v.number for v in wanted)
        assert result.complete
        for version in wanted:
            # What is explained is what the newest arrival brought.
            later = [v for v in self.here if v.arrived > version.arrived]
            expected = expected_findings(version, tree, later[-1].tree if later else {})
            found = [f for f in result.findings if f.version == version.number]
            assert {(f.code.name, f.path) for f in found} == expected
            assert len(found) == len(expected)
            version.open = expected
            version.audits.append((level.at(objects=False).value, is_clean(expected)))

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def diff(self, data: st.DataObject) -> None:
        left, right = (data.draw(st.sampled_from(self.versions)) for _ in range(2))
        result = diff.diff(self.ctx, left.reference, right.reference)
        old, new = contents(left.tree), contents(right.tree)
        added = {e.path for e in result.added} | {e.path for e in result.renamed}
        removed = {e.path for e in result.removed} | {e.previous_path for e in result.renamed}
        assert (added, removed) == (new.keys() - old.keys(), old.keys() - new.keys())
        both = old.keys() & new.keys()
        assert [e.path for e in result.changed] == sorted(p for p in both if old[p] != new[p])
        assert all(new[e.path] == old[e.previous_path] for e in result.renamed)
        left_over = {new[e.path] for e in result.added} & {old[e.path] for e in result.removed}
        assert all(kind == "d" for kind, _ in left_over)

    # -- standing ------------------------------------------------------------------------------

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), name=st.sampled_from(TAGS))
    def tag(self, data: st.DataObject, name: str) -> None:
        version = data.draw(st.sampled_from(self.versions))
        if version.state in (VersionState.QUARANTINED, VersionState.WITHDRAWN):
            with pytest.raises(ConflictError):
                tag.tag(self.ctx, version.reference, name)
            return
        tag.tag(self.ctx, version.reference, name)
        self.tags[name] = version.number

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def quarantine(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(self.versions))
        standing.quarantine(self.ctx, version.reference, "test")
        version.state = VersionState.QUARANTINED
        version.audits = []

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(self.versions))
        full = [clean for level, clean in version.audits if level == "full"]
        if version.state is VersionState.QUARANTINED and full and full[-1]:
            standing.release(self.ctx, version.reference, "test")
            version.state = VersionState.ACTIVE
        else:
            with pytest.raises(ConflictError):
                standing.release(self.ctx, version.reference, "test")

    @precondition(lambda self: self.versions)
    @rule()
    def rebuild(self) -> None:
        before = self.everything()
        place = catalog.Place(self.settings.catalog.value, self.settings.home.value)
        self.ctx.close()
        catalog.rebuild(place, utc_now)
        assert catalog.check(place).sound
        self.open()
        assert self.everything() == before

    def everything(self) -> object:
        found = self.ctx.catalog
        return (
            found.datasets(),
            found.versions(),
            found.locations("demo"),
            found.tags("demo"),
            [found.audits("demo", version.number) for version in self.versions],
            tuple(found.findings()),
            found.runs(),
            tuple(found.events()),
        )

    # -- what always holds ---------------------------------------------------------------------

    @invariant()
    def records_agree_with_the_model(self) -> None:
        if not hasattr(self, "ctx") or not self.versions:
            return
        found = self.ctx.catalog.versions("demo")
        expected = [(v.number, v.state, len(v.tree)) for v in self.versions]
        assert [(v.number, v.state, v.entries) for v in found] == expected
        active = {
            location.version
            for location in self.ctx.catalog.locations("demo")
            if location.state is LocationState.ACTIVE
        }
        assert active == {version.number for version in self.here}
        tags = {found.name: found.version for found in self.ctx.catalog.tags("demo")}
        assert tags == self.tags

    @invariant()
    def open_findings_are_those_of_the_last_audit(self) -> None:
        if not hasattr(self, "ctx"):
            return
        found = self.ctx.catalog.findings(dataset="demo", states=(FindingState.OPEN,))
        there = {(f.version, f.code.name, f.path) for f in found if f.version is not None}
        assert there == {(v.number, *one) for v in self.versions for one in v.open}

    @invariant()
    def reference_without_a_number_is_the_newest_active_version(self) -> None:
        if not hasattr(self, "ctx") or not self.versions:
            return
        active = [v.number for v in self.versions if v.state is VersionState.ACTIVE]
        if active:
            assert self.ctx.catalog.resolve(Reference("demo")).number == max(active)
        else:
            with pytest.raises(NotFoundError):
                self.ctx.catalog.resolve(Reference("demo"))

    @rule()
    def versions_never_change(self) -> None:
        for version in self.versions:
            stored = self.ctx.catalog.version("demo", version.number)
            batches = self.ctx.manifests.read(stored.root, stored.algorithm)
            rows = [row for batch in batches for row in batch.to_pylist()]
            found = {raw_path(row): (row["kind"], row["link_target"]) for row in rows}
            expected = {
                path: (node.kind, node.content if node.kind == "l" else None)
                for path, node in version.tree.items()
            }
            assert found == expected


def raw_path(row: dict) -> bytes:
    return row["path"].encode() if row["path_raw"] is None else row["path_raw"]


def walk(top: bytes, below: bytes) -> Iterator[tuple[bytes, Node]]:
    """Yield what a version would hold of a directory, in no order."""
    for name in os.listdir(os.path.join(top, below)):
        path = os.path.join(below, name)
        there = os.path.join(top, path)
        status = os.lstat(there)
        node = Node("f", b"", status.st_mtime_ns, status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            yield path, replace(node, kind="l", content=os.readlink(there))
        elif stat.S_ISREG(status.st_mode):
            with open(there, "rb") as file:
                yield path, replace(node, content=file.read())
        elif os.listdir(there):
            yield from walk(top, path)
        else:
            yield path, replace(node, kind="d")


def test_superseding_closes_the_findings_of_every_version_that_goes():
    life = DatasetLife()
    life.begin()
    try:
        life.write(b"a", b"one")
        life.register()
        life.write(b"b", b"one")
        life.append()
        life.write(b"a", b"two")
        life.audit(AuditLevel.FULL)
        life.supersede()
        life.open_findings_are_those_of_the_last_audit()
    finally:
        life.teardown()


def test_content_that_comes_back_by_append_is_what_the_place_holds():
    life = DatasetLife()
    life.begin()
    try:
        life.write(b"a", b"one")
        life.write(b"b", b"one")
        life.register()
        os.unlink(life.at(b"b"))
        life.supersede()
        life.write(b"b", b"one")
        life.append()
        life.audit(AuditLevel.FULL)
        life.register()
        life.records_agree_with_the_model()
    finally:
        life.teardown()


def simulate(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        DatasetLife,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_severities_the_model_counts_on():
    assert Code.DG105.default_severity is Severity.WARNING


def test_dataset_lives_as_the_model_says():
    simulate(20, 25)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_dataset_lives_as_the_model_says_for_long():
    simulate(1500, 50)
