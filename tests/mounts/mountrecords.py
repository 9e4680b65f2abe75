"""Mount records for tests, as they would be after a mount."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from dataguard.model.actor import Actor
from dataguard.model.mount import Backend, Guarantee, MountRecord, MountState

__all__ = ["ACTOR", "BOOT", "NOW", "record_of"]

ACTOR = Actor("tester", os.getuid(), "node")
BOOT = "this-boot"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def record_of(source, target, backend=Backend.BIND, *, state=MountState.ACTIVE, name="faces"):
    shown = os.stat(source)
    return MountRecord(
        workspace=os.path.dirname(os.path.dirname(str(target))),
        name=name,
        dataset="faces",
        version=1,
        source=str(source),
        target=str(target),
        backend=backend,
        guarantee=Guarantee.ENFORCED if backend is Backend.BIND else Guarantee.NONE,
        state=state,
        host="node",
        created=NOW,
        actor=ACTOR,
        root_device=shown.st_dev,
        root_inode=shown.st_ino,
        boot_id=BOOT,
    )
