"""`policy check`, `policy show`, `policy explain` and the published schema."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date
from pathlib import Path

import pytest

import dataguard
from dataguard.actions.policy import check, explain_code, explain_place, schema_text, show
from dataguard.actions.settings import READY_POLICIES
from dataguard.core.policy_json import policy_json
from dataguard.core.policy_text import line_of, read_policy
from dataguard.core.tighten import tighten
from dataguard.errors import PolicyError, UsageError
from dataguard.model import policy as rules_in_force
from dataguard.model import policy_form
from dataguard.model.finding import Code, Severity
from dataguard.model.placement import Places
from dataguard.model.policy import Exemption, Policy
from dataguard.model.settings import LoadedPolicy, Origin, PolicyLayer, PolicySource
from support.gatefacts import ALICE, FACES, output, policy

POLICIES = Path(dataguard.__file__).parent / "policies"
WRONG = """\
format = "policy/1"
name = "wrong"
colour = 1

[audit]
max_age = "90 days"
levl = "quick"

[inputs]
pinned = "yes"

[areas]
gold = [
    "data",
    "/{who}",
]

[severity]
DG999 = "error"

[[exemption]]
codes = ["DG501"]
reason = "known"
expires = 2026-01-01

[[exemption]]
codes = ["DG501"]
path = "!kept"
expires = 5
"""


def loaded(*policies):
    origins = (Origin.HOST, Origin.HOME, Origin.FLAG)
    layers = tuple(
        PolicyLayer(PolicySource(origin, f"/{origin}.toml", ""), p)
        for origin, p in zip(origins, policies, strict=False)
    )
    joined = policies[0]
    for other in policies[1:]:
        joined = tighten(joined, other)
    return LoadedPolicy(joined, layers)


@pytest.mark.parametrize("name", READY_POLICIES)
def test_ready_policy_is_valid_and_called_by_its_name(name):
    assert check(str(POLICIES / f"{name}.toml")).name == name
    assert check(name).valid


def everything(rules):
    """A policy with what was set in it, which two equal ones may differ in."""
    return rules, policy_json(rules), policy_json(rules, said=True)


@pytest.mark.parametrize("name", READY_POLICIES)
def test_ready_policy_holds_what_its_file_says(name):
    text = (POLICIES / f"{name}.toml").read_text("utf-8")
    assert everything(read_policy(text)) == everything(READY_POLICIES[name])


@pytest.mark.parametrize("form", policy_form.Rules.__subclasses__(), ids=lambda form: form.__name__)
def test_tables_of_files_and_of_rules_in_force_have_the_same_keys(form):
    plain = fields(getattr(rules_in_force, form.__name__))
    assert {*form.model_fields} == {field.name for field in plain} - {"said"}


def test_file_that_sets_nothing_holds_the_defaults_of_the_rules_in_force():
    borne = {"codes": ("DG501",), "reason": "known", "expires": date(2026, 4, 1)}
    expected = Policy(name="test", exemption=(Exemption(**borne),))
    assert expected == policy(exemption=[borne])


def test_every_problem_is_reported_with_its_line(tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text(WRONG)

    found = {(p.line, p.key) for p in check(str(file)).problems}

    assert found == {
        (3, "colour"),
        (6, "audit.max_age"),
        (7, "audit.levl"),
        (10, "inputs.pinned"),
        (13, "areas.gold"),
        (19, "severity.DG999"),
        (26, "exemption.reason"),
        (28, "exemption.path"),
        (29, "exemption.expires"),
    }


def test_problem_says_what_is_allowed(tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text(WRONG)

    said = {p.key: p.message for p in check(str(file)).problems}

    assert said["audit.levl"] == "unknown key; did you mean `level`? known: max_age, level"
    assert said["audit.max_age"].startswith("`90 days` is no duration; write a number and s, m")
    assert said["exemption.reason"] == "is missing"


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = \n", 2), ("a = 1\n[x\n", 2), ('a = 1\nb = "x', 2)]
)
def test_text_that_is_not_toml_is_reported_with_its_line(tmp_path, text, line):
    file = tmp_path / "broken.toml"
    file.write_text(text)

    (problem,) = check(str(file)).problems

    assert problem.line == line
    assert problem.message.startswith("not TOML: ")


def test_file_that_cannot_be_read_is_an_error_of_its_own(tmp_path):
    with pytest.raises(PolicyError, match="cannot read policy"):
        check(str(tmp_path / "none.toml"))
    (tmp_path / "latin1.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(PolicyError, match="not UTF-8"):
        check(str(tmp_path / "latin1.toml"))


@pytest.mark.parametrize(
    ("text", "location", "line"),
    [
        ("audit.max_age = 1\n", ("audit", "max_age"), 1),
        ('\n["audit"]\n"max_age" = 1', ("audit", "max_age"), 3),
        ("[audit] # [x]\n\n[mount]\nmax_age = 1", ("audit", "max_age"), 1),
        ("[[areas]]\ngold = 1\n[[areas]]\ngold = 2", ("areas", 1, "gold", 0), 4),
        ("x = 1", ("name",), 1),
    ],
)
def test_line_of_a_key_is_found_however_it_is_written(text, location, line):
    assert line_of(text, location) == line


def test_show_says_which_layer_decided_and_which_asked_in_vain():
    floor = policy(audit={"max_age": "30d"}, areas={"gold": ["/gold"]})
    home = policy(audit={"max_age": "90d"}, mount={"required_guarantee": "enforced"})
    flag = policy(areas={"gold": ["/mine"]}, severity={"DG501": "critical", "DG502": "info"})

    values = {v.key: v for v in show(loaded(floor, home, flag)).values}

    def layers(sources):
        return [source.origin for source in sources]

    assert values["audit.max_age"].value == "30d"
    assert layers(values["audit.max_age"].decided_by) == [Origin.HOST]
    assert layers(values["audit.max_age"].overruled) == [Origin.HOME]
    assert layers(values["mount.required_guarantee"].decided_by) == [Origin.HOME]
    assert layers(values["areas"].decided_by) == [Origin.HOST, Origin.FLAG]
    assert layers(values["severity.DG501"].decided_by) == [Origin.FLAG]
    assert "severity.DG502" not in values


def test_explain_place_names_the_area_that_decided():
    rules = loaded(policy(areas={"gold": ["/gold"], "output": ["/gold/out"]}))
    places = Places(ALICE, (FACES,))

    assert explain_place(output("/gold/faces/x"), rules, places).code is Code.DG303
    opened = explain_place(output("/gold/out/x"), rules, places)
    assert opened.code is None
    assert opened.reason == "`/gold/out/x` is in an area of the policy for output (`/gold/out`)"
    assert explain_place(output("/tmp/x"), rules, places).area is None


def test_explain_code_names_severity_and_who_set_it():
    explained = explain_code("dg108", loaded(policy(), policy(severity={"DG108": "error"})))

    assert explained.severity is Severity.ERROR
    assert explained.default_severity is Severity.WARNING
    assert [source.origin for source in explained.decided_by] == [Origin.HOME]
    with pytest.raises(UsageError, match="no finding code"):
        explain_code("DG999", loaded(policy()))


def test_published_schema_is_current():
    """Write it anew with `schema_text()` of dataguard/actions/policy.py after a change."""
    published = (POLICIES / "policy.schema.json").read_text("utf-8")

    assert json.loads(published) == json.loads(schema_text())


def test_every_key_of_a_policy_is_described_in_schema_and_documentation():
    documentation = Path(POLICIES.parent.parent, "docs", "policies.md").read_text("utf-8")
    tables = [*policy_form.Rules.__subclasses__()]

    for table in tables:
        for name, field in table.model_fields.items():
            assert field.description, name
            assert f"`{name}`" in documentation or f"[{name}]" in documentation, name
