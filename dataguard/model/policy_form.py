"""What a policy file may hold (format `policy/1`), loaded only where one is read.

Each table here becomes the plain value of the same name and the same keys in `model/policy.py`.
"""

# No `from __future__ import annotations`: pydantic needs the types themselves.

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from dataguard.model.attempt import Witness
from dataguard.model.audit import AuditLevel
from dataguard.model.confinement import Mode, Step
from dataguard.model.digest import Strength
from dataguard.model.diversion import Reported, Writes
from dataguard.model.finding import Code, Severity
from dataguard.model.home import embedded_catalog
from dataguard.model.mount import Guarantee
from dataguard.model.policy import Lock, Seal, Wanted
from dataguard.model.policy_values import (
    CatalogHome,
    CatalogUrl,
    CodeName,
    Duration,
    PathPattern,
    Place,
    PlacePattern,
    Text,
    as_conjunction,
    as_list,
)

__all__ = [
    "AreaRules",
    "AuditRules",
    "CatalogRules",
    "DigestRules",
    "Exemption",
    "InputRules",
    "Maintenance",
    "MountRules",
    "ObjectRules",
    "OutputRules",
    "Policy",
    "Rules",
    "RunRules",
    "SealRules",
    "WatchRules",
]


class Rules(BaseModel):
    """A table of a policy; unknown keys are errors, a key that is not set says nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DigestRules(Rules):
    """What the digests of inputs must protect against."""

    required_strength: Strength = Field(
        default=Strength.ACCIDENTAL,
        description="`accidental` (xxh3-128 is enough) or `adversarial` (blake3 or sha256); "
        "`register` applies it before anything is read",
    )


class InputRules(Rules):
    """How inputs must be named."""

    pinned: StrictBool = Field(
        default=True,
        description="whether inputs must name a version (`faces@3`, `faces@dg1:...`, or a "
        "`dataguard.lock`); a tag or a bare name is DG503",
    )


class AreaRules(Rules):
    """Parts of file systems and buckets with a role; the deepest area that holds a path decides."""

    gold: tuple[Place, ...] = Field(
        default=(),
        description="places where outputs are refused, besides every registered location",
    )
    output: tuple[Place, ...] = Field(
        default=(), description="places for outputs; one inside gold is open to outputs"
    )
    scratch: tuple[Place, ...] = Field(
        default=(),
        description="places for files that nobody keeps; one inside gold is open to outputs",
    )


class OutputRules(Rules):
    """Where outputs may go."""

    allowed: Annotated[
        tuple[Annotated[tuple[PlacePattern, ...], Field(min_length=1)], ...],
        BeforeValidator(
            as_conjunction,
            json_schema_input_type=tuple[PlacePattern, ...] | tuple[tuple[PlacePattern, ...], ...],
        ),
    ] = Field(
        default=(),
        description="patterns of the places where outputs may go, at or below; `*` stands for "
        "any text within one part; empty: any place outside gold. A list of lists: each of them "
        "must allow the place",
    )
    default: PlacePattern | None = Field(
        default=None, description="where outputs go when a job runs without a workspace"
    )


class AuditRules(Rules):
    """How recently inputs must have been audited."""

    max_age: Duration | None = Field(
        default=None,
        description="a clean audit must not be older than this (`90d`, `12h`); registering counts "
        "as a full audit; not set: no limit",
    )
    level: AuditLevel = Field(
        default=AuditLevel.QUICK, description="the least level of audit that counts"
    )


class MountRules(Rules):
    """What the mounts of inputs must promise."""

    required_guarantee: Guarantee = Field(
        default=Guarantee.NONE,
        description="`none` (a symlink will do, and so will no mount), `declared` (recorded) or "
        "`enforced` (nobody can write through it)",
    )


class SealRules(Rules):
    """How the sources of inputs must be protected in place."""

    required: Seal = Field(
        default=Seal.NONE,
        description="`none`, `mode` (no write permission) or `immutable` (chattr +i)",
    )


class ObjectRules(Rules):
    """What the buckets of inputs must do, and what must be proven of them."""

    versioning: Wanted = Field(
        default=Wanted.OPTIONAL,
        description="`required`: `register` refuses a bucket that is not versioned, since what is "
        "overwritten there is lost; `optional`: its versions are shown as `unpinned`",
    )
    lock: Lock = Field(
        default=Lock.NONE,
        description="the object lock that must hold every pinned version, as audits from level 1 "
        "on find out: `governance` or `compliance`; `none`: not asked for",
    )
    retention: Duration | None = Field(
        default=None,
        description="for how long at least a lock must hold a version, from when it was written "
        "(`365d`); not set: it has to hold now",
    )
    canary: Wanted = Field(
        default=Wanted.OPTIONAL,
        description="`required`: a job is refused unless `dataguard policy verify` has shown that "
        "its own credential cannot write there; `optional`: it is said",
    )
    canary_max_age: Duration | None = Field(
        default=None,
        description="for how long such a proof counts (`30d`, `12h`); not set: no limit",
    )


class RunRules(Rules):
    """How jobs must be confined."""

    confine: Mode = Field(
        default=Mode.UNCONFINED,
        description="the least: `unconfined` (a user may ask for it), `protect` (everything may "
        "be written but gold) or `strict` (nothing but outputs, TMPDIR and `writable`)",
    )
    required: Step = Field(
        default=Step.CHECKED,
        description="what must hold, or the job is not started: `checked` (verified before and "
        "after only), `landlock`, `mounts` or `full`",
    )
    writable: tuple[Place, ...] = Field(
        default=(), description="more places that a strictly confined job may write"
    )
    writes: Writes = Field(
        default=Writes.ROUTE,
        description="what becomes of writes into inputs: `route` (a user may have them led into "
        "the outputs) or `refuse`",
    )
    diverted: Reported = Field(
        default=Reported.NONE,
        description="which writes that were led away are findings (DG302): `none`, `edits` (of "
        "what the dataset has) or `all`",
    )
    attempts: Witness = Field(
        default=Witness.HOST,
        description="how refused writes are seen: `host` (where the host's audit is on already) "
        "or `audit` (root switches it on for the run, and off again)",
    )


class Maintenance(Rules):
    """A time in which somebody is expected to write into gold."""

    dataset: Text = Field(default="*", description="glob over dataset names")
    since: AwareDatetime = Field(description="when it begins, with a time zone")
    until: AwareDatetime = Field(
        description="when it ends; what then differs from the manifest is found"
    )
    reason: Text = Field(description="why somebody will write")


class WatchRules(Rules):
    """What follows when a watcher finds something, and when it looks away or lists buckets."""

    bucket_interval: Duration | None = Field(
        default=None,
        description="how often `watch` lists a bucket at least; else as often as it compares all",
    )
    quarantine_on: tuple[CodeName, ...] = Field(
        default=(), description="finding codes for which `watch` quarantines the version"
    )
    command: tuple[Text, ...] = Field(
        default=(),
        description="a command, as a list of words, that `watch` runs for each alert, which it "
        "gets as JSON on its standard input",
    )
    command_timeout: Duration = Field(
        default=timedelta(minutes=1), description="how long that command may take"
    )
    maintenance: tuple[Maintenance, ...] = Field(
        default=(), description="times in which writes into gold are expected and not reported"
    )


class CatalogRules(Rules):
    """The only catalog a gate may believe."""

    url: Annotated[
        tuple[CatalogUrl, ...],
        BeforeValidator(as_list, json_schema_input_type=CatalogUrl | tuple[CatalogUrl, ...]),
    ] = Field(default=(), description="database URL of the catalog, without user and password")
    home: Annotated[
        tuple[CatalogHome, ...],
        BeforeValidator(as_list, json_schema_input_type=CatalogHome | tuple[CatalogHome, ...]),
    ] = Field(
        default=(), description="home of the catalog; without `url` it is the home's catalog.db"
    )

    @model_validator(mode="before")
    @classmethod
    def _home_implies_url(cls, data: Any) -> Any:
        """Name the home's own catalog, or a home could be kept and its catalog replaced."""
        if not isinstance(data, dict) or "home" not in data:
            return data
        homes = [h.rstrip("/") for h in as_list(data["home"]) if isinstance(h, str)]
        return {"url": [embedded_catalog(home) for home in homes], **data}


class Exemption(Rules):
    """Findings that are known and borne for a while."""

    codes: Annotated[tuple[CodeName, ...], Field(min_length=1)] = Field(
        description="finding codes it covers"
    )
    dataset: Text = Field(
        default="*", description="glob over dataset names; `*` stands for all of it"
    )
    path: PathPattern | None = Field(
        default=None,
        description="gitignore pattern of the paths it covers, relative to the version's root, "
        "absolute outside every version; not set: the dataset as a whole and all its paths",
    )
    reason: Text = Field(description="why it is borne; shown wherever the exemption applies")
    expires: Annotated[date, Field(strict=True)] = Field(
        description="the last day (UTC) on which it applies"
    )


class Policy(Rules):
    """A whole policy.

    Every default is the weakest choice except `inputs.pinned`. A value read from a file and a
    value that joins several layers (see `core/tighten.py`) have the same form.
    """

    model_config = ConfigDict(title="dataguard policy")

    format: Literal["policy/1"] = Field(description="`policy/1`")
    name: Text = Field(description="what the policy is called in messages")
    digest: DigestRules = Field(default=DigestRules(), description="strength of digests")
    inputs: InputRules = Field(default=InputRules(), description="how inputs must be named")
    areas: Annotated[
        tuple[AreaRules, ...],
        Field(min_length=1),
        BeforeValidator(as_list, json_schema_input_type=AreaRules | tuple[AreaRules, ...]),
    ] = Field(
        default=(AreaRules(),),
        description="areas; several tables are judged one by one, and each must open the place. "
        "Only the first can open a place inside a registered location",
    )
    outputs: OutputRules = Field(default=OutputRules(), description="where outputs may go")
    audit: AuditRules = Field(default=AuditRules(), description="age and level of the last audit")
    mount: MountRules = Field(default=MountRules(), description="guarantee of mounts")
    seal: SealRules = Field(default=SealRules(), description="seal of sources")
    objects: ObjectRules = Field(default=ObjectRules(), description="buckets of sources")
    run: RunRules = Field(default=RunRules(), description="confinement of jobs")
    watch: WatchRules = Field(default=WatchRules(), description="what a watcher does")
    catalog: CatalogRules = Field(
        default=CatalogRules(), description="the only catalog a gate may believe"
    )
    severity: dict[CodeName, Severity] = Field(
        default={},
        description="severity of a finding code; below `error` it neither refuses a gate nor "
        "makes a command exit with 3",
        json_schema_extra={"propertyNames": {"enum": [code.name for code in Code]}},
    )
    exemption: tuple[Exemption, ...] = Field(
        default=(), description="findings that are borne for a while"
    )
