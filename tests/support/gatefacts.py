"""Facts about a job that nothing speaks against, to be broken one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dataguard.core.policy_text import policy_of
from dataguard.model.actor import Actor
from dataguard.model.area import Area, Role
from dataguard.model.audit import AuditLevel, AuditRecord
from dataguard.model.dataset import Version, VersionState
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.gate import CatalogFacts, GateFacts, InputFacts, MountCondition, OutputFacts
from dataguard.model.placement import Person, Places
from dataguard.model.policy import Policy, Seal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALICE = Person("alice", "/home/alice")
ACTOR = Actor("alice", 1000, "node1")
HOME = "/srv/dataguard"
CATALOG = CatalogFacts(f"sqlite:///{HOME}/catalog.db", HOME)
FACES = Area("/gold/faces", Role.GOLD, "the location of faces@3")


def version(**changes) -> Version:
    values = {
        "dataset": "faces",
        "number": 3,
        "root": RootDigest("ab" * 32),
        "algorithm": Algorithm.SHA256,
        "entries": 2,
        "files": 2,
        "bytes": 10,
        "state": VersionState.ACTIVE,
        "created": NOW - timedelta(days=200),
        "actor": ACTOR,
    }
    return Version(**(values | changes))


def audit(age: timedelta, level: AuditLevel = AuditLevel.FULL, **changes) -> AuditRecord:
    values = {
        "dataset": "faces",
        "version": 3,
        "location": "/gold/faces",
        "level": level,
        "started": NOW - age,
        "finished": NOW - age,
        "complete": True,
        "clean": True,
        "checked_files": 2,
        "checked_bytes": 10,
        "findings": 0,
        "unreadable": 0,
        "actor": ACTOR,
    }
    return AuditRecord(**(values | changes))


def an_input(**changes) -> InputFacts:
    values = {
        "reference": "faces@3",
        "version": version(),
        "pinned": True,
        "mount": MountCondition.READ_ONLY,
        "audits": (audit(timedelta(days=1)),),
        "seal": Seal.IMMUTABLE,
    }
    return InputFacts(**(values | changes))


def output(place: str = "/scratch/alice/faces/runs/1", *aliases: str) -> OutputFacts:
    return OutputFacts(place, aliases or (place,))


def facts(**changes) -> GateFacts:
    values = {
        "inputs": (an_input(),),
        "outputs": (output(),),
        "places": Places(ALICE, (FACES,)),
        "catalog": CATALOG,
        "now": NOW,
    }
    return GateFacts(**(values | changes))


def policy(**tables) -> Policy:
    return policy_of({"format": "policy/1", "name": "test", **tables})
