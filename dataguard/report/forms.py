"""Where the forms of results are: modules that are loaded when such a result is shown.

Nobody has a result whose class is not loaded, so the module of its class tells what to load, and
a command makes no classes of results that only others have.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AS_JSON", "AS_LINES", "load_forms"]

AS_LINES = {
    "dataguard.core.chain": "text_administration",
    "dataguard.model.administration": "text_administration",
    "dataguard.model.alert": "text_watch",
    "dataguard.model.batchjob": "text_batchjob",
    "dataguard.model.canary": "text_protection",
    "dataguard.model.copies": "text_copies",
    "dataguard.model.emit": "text_workspace",
    "dataguard.model.gate": "text_gate",
    "dataguard.model.objectpolicy": "text_protection",
    "dataguard.model.placement": "text_rules",
    "dataguard.model.policy_report": "text_rules",
    "dataguard.model.reclaim": "text_reclaim",
    "dataguard.model.results.audit": "text_audit",
    "dataguard.model.results.cache": "text_cache",
    "dataguard.model.results.diff": "text_datasets",
    "dataguard.model.results.findings": "text_audit",
    "dataguard.model.results.lineage": "text_work",
    "dataguard.model.results.list": "text_datasets",
    "dataguard.model.results.log": "text_datasets",
    "dataguard.model.results.mount": "text_mounts",
    "dataguard.model.results.register": "text_register",
    "dataguard.model.results.run": "text_work",
    "dataguard.model.results.show": "text_datasets",
    "dataguard.model.results.standing": "text_datasets",
    "dataguard.model.results.tag": "text_datasets",
    "dataguard.model.results.unmount": "text_mounts",
    "dataguard.model.results.watch": "text_watch",
    "dataguard.model.seal": "text_seals",
    "dataguard.model.workspace": "text_workspace",
}
"""The module with the lines of a result, by the module of its class; without: shown by field."""

AS_JSON = {
    "dataguard.model.canary": "encode_rules",
    "dataguard.model.gate": "encode_work",
    "dataguard.model.mount": "encode_work",
    "dataguard.model.policy": "encode_rules",
    "dataguard.model.policy_report": "encode_rules",
    "dataguard.model.results.mount": "encode_work",
    "dataguard.model.results.show": "encode_datasets",
    "dataguard.model.seal": "encode_datasets",
}
"""The same for JSON that is not field by field."""


def load_forms(kind: type, places: Mapping[str, str]) -> bool:
    """Load the forms for a kind of result; whether there were any that were not loaded yet."""
    name = places.get(kind.__module__)
    if name is None or f"{__package__}.{name}" in sys.modules:
        return False
    import_module(f"{__package__}.{name}")
    return True
