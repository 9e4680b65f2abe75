"""Laws of joining policies: the floor holds, and nothing stricter is lost."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.gate import gate
from dataguard.core.tighten import tighten
from dataguard.model import policy_form
from dataguard.model.audit import AuditLevel
from dataguard.model.canary import Protection
from dataguard.model.dataset import VersionState
from dataguard.model.digest import Algorithm, Strength
from dataguard.model.finding import Code, Severity
from dataguard.model.gate import CatalogFacts, MountCondition, OutputFacts
from dataguard.model.mount import Guarantee
from dataguard.model.placement import Places
from dataguard.model.policy import Policy, Seal, Wanted
from support.canaries import canary
from support.gatefacts import ALICE, FACES, NOW, an_input, audit, facts, output, policy, version

PLACES = st.sampled_from(
    ["/", "/gold", "/gold/faces", "/gold/faces/out", "/out", "/out/{user}", "{home}/out"]
)
PATTERNS = st.one_of(PLACES, st.sampled_from(["/out/{user}/{dataset}", "/out/*", "/*/alice"]))
URLS = st.sampled_from(["sqlite:////srv/dataguard/catalog.db", "postgresql://db/dg"])
CODES = st.sampled_from(["DG303", "DG401", "DG501", "DG502", "DG503", "DG504"])


def some(values, most=2):
    return st.lists(values, max_size=most)


AREA_TABLES = st.fixed_dictionaries(
    {}, optional={"gold": some(PLACES), "output": some(PLACES), "scratch": some(PLACES)}
)
EXEMPTIONS = st.fixed_dictionaries(
    {
        "codes": st.lists(CODES, min_size=1, max_size=2),
        "reason": st.just("known"),
        "expires": st.sampled_from([date(2026, 2, 1), date(2026, 4, 1)]),
    },
    optional={"dataset": st.sampled_from(["faces", "voices", "*"])},
)
ALWAYS = {
    "digest": st.fixed_dictionaries({"required_strength": st.sampled_from(Strength)}),
    "inputs": st.fixed_dictionaries({"pinned": st.booleans()}),
    "audit": st.fixed_dictionaries(
        {"level": st.sampled_from(AuditLevel)},
        optional={"max_age": st.sampled_from(["12h", "30d", "90d"])},
    ),
    "mount": st.fixed_dictionaries({"required_guarantee": st.sampled_from(Guarantee)}),
    "seal": st.fixed_dictionaries({"required": st.sampled_from(Seal)}),
    "objects": st.fixed_dictionaries(
        {"canary": st.sampled_from(Wanted)},
        optional={"canary_max_age": st.sampled_from(["12h", "30d"])},
    ),
    "watch": st.fixed_dictionaries(
        {}, optional={"bucket_interval": st.sampled_from(["5m", "15m", "2h"])}
    ),
}
SOMETIMES = {
    "areas": st.one_of(AREA_TABLES, st.lists(AREA_TABLES, min_size=1, max_size=2)),
    "outputs": st.fixed_dictionaries(
        {}, optional={"allowed": some(PATTERNS, 3), "default": PATTERNS}
    ),
    "catalog": st.fixed_dictionaries(
        {}, optional={"url": URLS, "home": st.sampled_from(["/srv/dataguard", "/tmp/dg"])}
    ),
}
SEVERITIES = {"severity": st.dictionaries(CODES, st.sampled_from(Severity), max_size=3)}
BEARING = {"exemption": some(EXEMPTIONS)}


def build(tables):
    return policy(**tables)


EXPLICIT = st.fixed_dictionaries({**ALWAYS, **SOMETIMES}).map(build)
ANY = st.fixed_dictionaries({}, optional={**ALWAYS, **SOMETIMES, **SEVERITIES, **BEARING}).map(
    build
)
UNFORGIVING = st.fixed_dictionaries({**ALWAYS, **SOMETIMES, **SEVERITIES}).map(build)

AUDITS = st.builds(
    audit,
    st.sampled_from([timedelta(hours=1), timedelta(days=20), timedelta(days=60)]),
    st.sampled_from(AuditLevel),
    clean=st.booleans(),
    findings=st.integers(0, 1),
)
PROTECTIONS = [
    Protection("s3://data/gold", None),
    *(Protection("s3://data/gold", canary(verified=NOW - timedelta(days=n))) for n in (1, 60)),
]
INPUTS = st.builds(
    an_input,
    version=st.builds(
        version,
        state=st.sampled_from(VersionState),
        algorithm=st.sampled_from([Algorithm.XXH3_128, Algorithm.SHA256]),
    ),
    pinned=st.booleans(),
    mount=st.sampled_from(MountCondition),
    audits=st.lists(AUDITS, max_size=2).map(tuple),
    seal=st.one_of(st.none(), st.sampled_from(Seal)),
    protection=st.sampled_from([None, *PROTECTIONS]),
)
REAL_PLACES = ["/gold/x", "/gold/faces/out/1", "/out/alice/faces", "/out/bob", "/home/alice/out"]
OUTPUTS = st.lists(st.sampled_from(REAL_PLACES), max_size=2).map(
    lambda names: OutputFacts("out", tuple(names), "unknown")
)
FACTS = st.builds(
    facts,
    inputs=st.lists(INPUTS, max_size=2).map(tuple),
    outputs=st.lists(OUTPUTS, max_size=2).map(tuple),
    places=st.just(Places(ALICE, (FACES,))),
    catalog=URLS.map(lambda url: CatalogFacts(url, "/srv/dataguard")),
)


def is_at_least_as_strict(strict: Policy, weak: Policy) -> bool:
    """Compare key by key, the way a person would."""
    ages = (strict.audit.max_age, weak.audit.max_age)
    order = [*Guarantee], [*Seal], [*Strength], [*AuditLevel], [*Wanted]
    pairs = (
        (strict.mount.required_guarantee, weak.mount.required_guarantee),
        (strict.seal.required, weak.seal.required),
        (strict.digest.required_strength, weak.digest.required_strength),
        (strict.audit.level, weak.audit.level),
        (strict.objects.canary, weak.objects.canary),
    )
    return (
        all(o.index(s) >= o.index(w) for o, (s, w) in zip(order, pairs, strict=True))
        and (ages[1] is None or (ages[0] is not None and ages[0] <= ages[1]))
        and (strict.inputs.pinned or not weak.inputs.pinned)
        and set(strict.outputs.allowed) >= set(weak.outputs.allowed)
        and set(strict.areas) >= set(weak.areas)
        and set(strict.catalog.url) >= set(weak.catalog.url)
        and set(strict.catalog.home) >= set(weak.catalog.home)
        and set(strict.exemption) <= set(weak.exemption)
    )


@given(ANY)
def test_tightening_with_itself_changes_nothing(a):
    assert tighten(a, a) == a


@given(EXPLICIT, EXPLICIT, EXPLICIT)
def test_policies_that_say_everything_can_be_joined_in_any_grouping(a, b, c):
    assert tighten(tighten(a, b), c) == tighten(a, tighten(b, c))


@given(EXPLICIT, EXPLICIT)
def test_result_is_at_least_as_strict_as_both(a, b):
    assert is_at_least_as_strict(tighten(a, b), a)
    assert is_at_least_as_strict(tighten(a, b), b)


@given(ANY, ANY)
def test_severities_only_rise(floor, other):
    joined = tighten(floor, other)

    for code in Code:
        assert joined.severity_of(code).rank >= floor.severity_of(code).rank
        if code.name in other.severity:
            assert joined.severity_of(code).rank >= other.severity_of(code).rank


@given(ANY)
def test_silence_says_nothing(floor):
    assert tighten(floor, policy()) == floor


@given(ANY, ANY, FACTS)
def test_what_the_floor_refuses_stays_refused(floor, other, job):
    if not gate(job, floor).allowed:
        assert not gate(job, tighten(floor, other)).allowed


@given(UNFORGIVING, UNFORGIVING, FACTS)
def test_rule_added_to_a_floor_without_exemptions_bites(floor, other, job):
    harsh = replace(other, severity={})
    firm = replace(floor, severity={})
    inside_registered = any("/gold/faces/out/1" in place.aliases for place in job.outputs)

    # the floor alone says which places inside a registered location are open
    if not gate(job, harsh).allowed and not inside_registered:
        assert not gate(job, tighten(firm, harsh)).allowed


def test_every_key_of_a_policy_is_joined_by_a_rule():
    from dataguard.core.tighten import _STRICTER

    joined_apart = {"format", "name", "areas", "severity", "exemption"}

    assert {*_STRICTER, *joined_apart} == set(policy_form.Policy.model_fields)
    for name, rules in _STRICTER.items():
        assert set(rules) == {field.name for field in fields(getattr(policy(), name))} - {"said"}


def test_lower_layer_cannot_add_an_exemption():
    other = policy(exemption=[{"codes": ["DG501"], "reason": "x", "expires": date(2027, 1, 1)}])

    assert tighten(policy(), other).exemption == ()


def test_lower_layer_cannot_open_gold_of_the_floor():
    floor = policy(areas={"gold": ["/gold"]})
    other = policy(areas={"output": ["/gold/mine"], "scratch": ["/gold/tmp"]})
    joined = tighten(floor, other)

    for place in ("/gold/mine/x", "/gold/tmp/x"):
        assert not gate(facts(outputs=(output(place),)), joined).allowed


def test_floor_keeps_its_default_place_and_takes_one_where_it_has_none():
    mine = policy(outputs={"default": "/mine"})

    assert tighten(policy(outputs={"default": "/floor"}), mine).outputs.default == "/floor"
    assert tighten(policy(), mine).outputs.default == "/mine"
