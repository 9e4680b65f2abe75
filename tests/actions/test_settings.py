"""Settings and policies from files, environment and flags; the host's policy as a floor."""

from __future__ import annotations

import os
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest

from dataguard.actions.settings import READY_POLICIES, load, load_policy
from dataguard.core.gate import gate
from dataguard.errors import ConfigurationError, PolicyError
from dataguard.model.area import Area, Role
from dataguard.model.dataset import VersionState
from dataguard.model.digest import Algorithm
from dataguard.model.gate import CatalogFacts, MountCondition, OutputFacts
from dataguard.model.mount import Guarantee
from dataguard.model.placement import Places
from dataguard.model.settings import Origin
from support.gatefacts import ALICE, FACES, an_input, audit, facts, output, version

if TYPE_CHECKING:
    from pathlib import Path

SETTABLE = ("catalog", "workers", "engine", "scheduler", "digest", "color", "progress", "outputs")


CACHE = ("cache", "cache.high", "cache.low", "cache.blocks")


class Machine:
    """A host directory, a home and a workspace to write settings into."""

    def __init__(self, root: Path):
        self.root = root
        self.host, self.home, self.work = root / "etc", root / "home", root / "work"
        for directory in (self.host, self.home, self.work):
            directory.mkdir()
        self.environ = {"DATAGUARD_HOME": str(self.home)}
        self.flags: dict[str, str | None] = {}

    def write(self, origin: Origin, name: str, value: str) -> None:
        variable = {"outputs": "OUTPUTS_PLACE"}.get(name, name.upper())
        match origin:
            case Origin.FLAG:
                self.flags[name] = value
            case Origin.ENVIRONMENT:
                self.environ[f"DATAGUARD_{variable}"] = value
            case Origin.WORKSPACE:
                table = {"policy": "[policy]\nfile", "outputs": "[workspace]\noutputs"}[name]
                self.append(self.work / "dataguard.toml", f'{table} = "{value}"')
            case Origin.HOME:
                key = {"cache": "[cache]\nplace"}.get(name, name.replace("cache.", "[cache]\n"))
                self.append(self.home / "config.toml", f'{key} = "{value}"')
            case Origin.HOST:
                self.append(self.host / "config.toml", f'{name} = "{value}"')

    def append(self, file: Path, text: str) -> None:
        with file.open("a") as stream:
            stream.write(f"{text}\n")

    def policy(self, file: Path, text: str) -> str:
        file.write_text(f'format = "policy/1"\nname = "{file.stem}"\n{text}\n')
        return str(file)

    def load(self):
        return load(
            self.flags, self.environ, workspace=str(self.work), host_directory=str(self.host)
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_defaults_are_listed_with_their_origin(machine):
    settings = machine.load()

    assert {s.name for s in settings.listed()} == {"home", *SETTABLE, *CACHE}
    assert {s.origin for s in settings.listed() if s.name != "home"} == {Origin.DEFAULT}
    assert settings.catalog.value == f"sqlite:///{machine.home}/catalog.db"


def test_platform_decides_on_the_home_where_nothing_names_one(machine):
    settings = load({}, {}, workspace=None, host_directory=str(machine.host))

    assert settings.home.origin is Origin.DEFAULT
    assert os.path.isabs(settings.home.value)


def test_host_can_name_a_home_and_the_environment_another(machine):
    machine.write(Origin.HOST, "home", "/srv/dataguard")

    hosts = load({}, {}, workspace=None, host_directory=str(machine.host))

    assert (hosts.home.value, hosts.home.origin) == ("/srv/dataguard", Origin.HOST)
    assert hosts.catalog.value == "sqlite:////srv/dataguard/catalog.db"
    assert machine.load().home.origin is Origin.ENVIRONMENT


def test_earlier_origin_wins(machine):
    origins = (Origin.HOST, Origin.HOME, Origin.ENVIRONMENT, Origin.FLAG)
    for number, origin in enumerate(origins, 1):
        machine.write(origin, "workers", str(number))

        setting = machine.load().workers

        assert (setting.value, setting.origin) == (str(number), origin)


def test_number_of_workers_may_be_written_as_a_number(machine):
    machine.append(machine.home / "config.toml", "workers = 4")

    assert machine.load().workers.value == "4"


def test_no_color_is_honoured_unless_color_is_asked_for(machine):
    machine.environ["NO_COLOR"] = "1"
    assert machine.load().color.source == "NO_COLOR"

    machine.flags["color"] = "always"
    assert machine.load().color.value == "always"


def test_outputs_of_a_surrounding_run_are_no_setting(machine):
    machine.environ["DATAGUARD_OUTPUTS"] = "/scratch/run"

    assert not machine.load().outputs.value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", "0"),
        ("workers", "many"),
        ("engine", "fast"),
        ("digest", "md5"),
        ("color", "red"),
        ("catalog", "/srv/catalog.db"),
    ],
)
def test_value_that_makes_no_sense_is_refused_with_its_source(machine, name, value):
    machine.write(Origin.ENVIRONMENT, name, value)

    with pytest.raises(ConfigurationError, match=f"DATAGUARD_{name.upper()}.*{value}") as caught:
        machine.load()

    assert caught.value.hint


def test_unknown_key_is_refused_with_file_and_suggestion(machine):
    machine.append(machine.home / "config.toml", 'worker = "2"')

    with pytest.raises(ConfigurationError, match=r"config\.toml: unknown key `worker`") as caught:
        machine.load()

    assert caught.value.hint == "did you mean `workers`?"


def test_home_cannot_name_another_home(machine):
    machine.append(machine.home / "config.toml", 'home = "/elsewhere"')

    with pytest.raises(ConfigurationError, match="unknown key `home`"):
        machine.load()


@pytest.mark.parametrize("text", ["workers = [", "workers = true", 'workers = ""', "\udcff"])
def test_configuration_that_cannot_be_read_is_refused(machine, text):
    (machine.home / "config.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(ConfigurationError, match=r"config\.toml"):
        machine.load()


def test_host_directory_that_cannot_be_looked_into_is_refused(machine):
    not_a_directory = machine.root / "file"
    not_a_directory.touch()

    with pytest.raises(ConfigurationError, match="cannot look for"):
        load({}, machine.environ, workspace=None, host_directory=str(not_a_directory))


def test_default_policy_holds_where_nobody_names_one(machine):
    loaded = load_policy(machine.load())

    assert loaded.policy.name == "default"
    assert [layer.source.origin for layer in loaded.layers] == [Origin.DEFAULT]


def test_first_policy_that_somebody_names_replaces_the_default(machine):
    machine.write(Origin.WORKSPACE, "policy", "research")

    loaded = load_policy(machine.load())

    assert loaded.policy.name == "research"
    assert not loaded.policy.inputs.pinned


def test_layers_are_joined_from_host_to_flag(machine):
    machine.policy(machine.host / "policy.toml", '[audit]\nmax_age = "90d"')
    machine.write(Origin.HOME, "policy", "regulated")
    machine.write(Origin.WORKSPACE, "policy", "mine.toml")
    machine.policy(machine.work / "mine.toml", '[audit]\nmax_age = "7d"')
    machine.write(Origin.FLAG, "policy", "research")

    loaded = load_policy(machine.load())

    assert [layer.source.origin for layer in loaded.layers] == [
        Origin.HOST,
        Origin.HOME,
        Origin.WORKSPACE,
        Origin.FLAG,
    ]
    assert loaded.policy.audit.max_age == timedelta(days=7)
    assert loaded.policy.mount.required_guarantee is Guarantee.ENFORCED


@pytest.mark.parametrize("origin", [Origin.FLAG, Origin.ENVIRONMENT, Origin.HOME])
def test_missing_policy_is_never_passed_over(machine, origin):
    machine.write(origin, "policy", str(machine.root / "none.toml"))

    with pytest.raises(PolicyError, match=r"cannot read policy `.*none\.toml`") as caught:
        load_policy(machine.load())

    assert caught.value.exit_code == 2


def test_dangling_link_to_the_host_policy_is_never_passed_over(machine):
    (machine.host / "policy.toml").symlink_to("gone.toml")

    with pytest.raises(PolicyError, match="cannot read policy"):
        load_policy(machine.load())


def test_invalid_policy_is_refused_with_file_line_and_what_is_allowed(machine):
    file = machine.policy(machine.host / "policy.toml", '[mount]\nrequired_guarantee = "strong"')

    with pytest.raises(PolicyError) as caught:
        load_policy(machine.load())

    assert caught.value.message == (
        f"policy `{file}` line 4: `mount.required_guarantee`: "
        "must be 'none', 'declared' or 'enforced'"
    )
    assert caught.value.hint == f"`dataguard policy check {file}` shows all problems"


LAX_POLICIES = {
    "nothing": "",
    "lax": """
inputs = {pinned = false}
areas = {output = ["/gold", "/gold/faces", "/gold/faces/out", "/"], scratch = ["/gold/faces"]}
outputs = {allowed = ["/"], default = "/gold/faces/out"}
audit = {max_age = "900w", level = "quick"}
severity = {DG303 = "info", DG401 = "info", DG501 = "info", DG502 = "info", DG503 = "info"}
""",
    "bearing": """
[[exemption]]
codes = ["DG303", "DG401", "DG402", "DG403", "DG501", "DG502", "DG503", "DG504"]
reason = "let me"
expires = 2099-01-01
""",
    "mine": '[catalog]\nhome = "/tmp/mine"',
}
VALUES = {
    "home": ["/tmp/mine", "{hosts}/.", "{hosts}/sub"],
    "catalog": [
        "sqlite:////tmp/mine/catalog.db",
        "postgresql://db/dg",
        "sqlite:///{hosts}/../mine/catalog.db",
        "sqlite:///{hosts}/catalog.db?mode=memory",
        "sqlite:///{hosts}/catalog.db",
    ],
    "workers": ["1", "auto"],
    "engine": ["serial", "local"],
    "scheduler": ["tcp://a:8786", "tcp://b:8786"],
    "digest": ["xxh3-128", "sha256"],
    "color": ["never"],
    "progress": ["never"],
    "outputs": ["/gold/faces/out", "/home/alice", "/scratch/alice/faces"],
    "cache": ["/gold/faces", "/tmp/mine"],
    "cache.high": ["0", "100%"],
    "cache.low": ["0"],
    "cache.blocks": ["0", "1T"],
    "policy": [*READY_POLICIES, *LAX_POLICIES],
}
SOURCES = {
    "home": (Origin.ENVIRONMENT, Origin.FLAG),
    "cache.high": (Origin.HOME,),
    "cache.low": (Origin.HOME,),
    "cache.blocks": (Origin.HOME,),
    "outputs": (Origin.HOME, Origin.WORKSPACE, Origin.ENVIRONMENT, Origin.FLAG),
    "policy": (Origin.HOME, Origin.WORKSPACE, Origin.ENVIRONMENT, Origin.FLAG),
}
LOWER = (Origin.HOME, Origin.ENVIRONMENT, Origin.FLAG)
ATTEMPTS = [
    (name, origin, value)
    for name, values in VALUES.items()
    for origin, value in product(SOURCES.get(name, LOWER), values)
]
REFUSED = {
    "unpinned": {"inputs": (an_input(pinned=False),)},
    "unknown": {"inputs": (an_input(version=None),)},
    "quarantined": {"inputs": (an_input(version=version(state=VersionState.QUARANTINED)),)},
    "weak": {"inputs": (an_input(version=version(algorithm=Algorithm.XXH3_128)),)},
    "overdue": {"inputs": (an_input(audits=(audit(timedelta(days=40)),)),)},
    "unclean": {"inputs": (an_input(audits=(audit(timedelta(days=1), clean=False, findings=1),)),)},
    **{
        str(condition): {"inputs": (an_input(mount=condition),)}
        for condition in MountCondition
        if condition is not MountCondition.READ_ONLY
    },
    "gold": {"outputs": (output("/gold/faces/out/x"),)},
    "alias": {"outputs": (output("/scratch/alice/faces", "/gold/faces/x"),)},
    "elsewhere": {"outputs": (output("/home/alice/x"),)},
    "lost": {"outputs": (OutputFacts("/scratch/alice/faces", ()),)},
}
CLAIMED = Area("/gold/faces/out", Role.OUTPUT, "the outputs of a workspace")


def job(settings, **changes):
    catalog = CatalogFacts(settings.catalog.value, settings.home.value)
    return facts(catalog=catalog, places=Places(ALICE, (FACES, CLAIMED)), **changes)


def regulated_host(tmp_path):
    machine = Machine(tmp_path)
    machine.environ.clear()
    machine.write(Origin.HOST, "home", str(machine.home))
    machine.write(Origin.HOST, "policy", "regulated")
    return machine


def attempt(machine, name, origin, value):
    if name == "policy" and value in LAX_POLICIES:
        value = machine.policy(machine.work / f"{value}.toml", LAX_POLICIES[value])
    machine.write(origin, name, value.replace("{hosts}", str(machine.home)))
    return machine.load()


def test_floor_test_tries_every_setting_that_is_listed(machine):
    machine.write(Origin.FLAG, "policy", "default")

    assert {s.name for s in machine.load().listed()} == set(VALUES)


def test_host_allows_the_good_job_and_refuses_each_bad_one(tmp_path):
    settings = regulated_host(tmp_path).load()
    policy = load_policy(settings).policy

    assert gate(job(settings), policy).allowed
    assert not [name for name, bad in REFUSED.items() if gate(job(settings, **bad), policy).allowed]


@pytest.mark.parametrize("name", READY_POLICIES)
def test_ready_policies_allow_the_good_job_while_nothing_can_report_a_seal(machine, name):
    machine.flags["policy"] = name
    settings = machine.load()

    assert gate(job(settings, inputs=(an_input(seal=None),)), load_policy(settings).policy).allowed


@pytest.mark.parametrize(("name", "origin", "value"), ATTEMPTS)
def test_nothing_set_below_the_host_lets_a_refused_gate_pass(tmp_path, name, origin, value):
    settings = attempt(regulated_host(tmp_path), name, origin, value)
    policy = load_policy(settings).policy

    for why, bad in REFUSED.items():
        assert not gate(job(settings, **bad), policy).allowed, why


@pytest.mark.parametrize(
    ("name", "origin", "value"), [a for a in ATTEMPTS if a[0] in {"home", "catalog"}]
)
def test_another_catalog_than_the_hosts_is_refused(tmp_path, name, origin, value):
    settings = attempt(regulated_host(tmp_path), name, origin, value)
    same = value in {"{hosts}/.", "sqlite:///{hosts}/catalog.db"}

    assert gate(job(settings), load_policy(settings).policy).allowed is same


@pytest.mark.parametrize(
    ("name", "origin", "value"), [a for a in ATTEMPTS if a[0] not in {"home", "catalog"}]
)
def test_good_job_stays_allowed_unless_a_policy_names_another_catalog(
    tmp_path, name, origin, value
):
    settings = attempt(regulated_host(tmp_path), name, origin, value)

    allowed = gate(job(settings), load_policy(settings).policy).allowed

    assert allowed is (value != "mine")


def test_policy_that_names_the_hosts_catalog_is_part_of_the_floor(tmp_path):
    machine = Machine(tmp_path)
    machine.policy(machine.host / "policy.toml", '[catalog]\nurl = "postgresql://db/dg"')
    machine.flags["catalog"] = "postgresql://alice:secret@db/dg"
    theirs = machine.load()
    machine.flags["catalog"] = "postgresql://other/dg"
    mine = machine.load()

    assert gate(job(theirs), load_policy(theirs).policy).allowed is True
    assert gate(job(mine), load_policy(mine).policy).allowed is False


def test_nothing_a_user_sets_moves_the_host_directory(machine):
    machine.environ |= {"DATAGUARD_HOST_DIRECTORY": "/tmp", "DATAGUARD_HOST": "/tmp"}
    machine.flags |= {"host_directory": "/tmp", "host-directory": "/tmp"}

    assert machine.load().host_directory == str(machine.host)


def test_cache_is_in_the_home_where_nobody_names_a_place(machine):
    assert f"{machine.home}/cache" == machine.load().cache.value


def test_cache_and_its_marks_are_set_in_a_table(machine):
    machine.append(machine.host / "config.toml", '[cache]\nplace = "/var/cache/d"\nhigh = "1T"')
    machine.append(machine.home / "config.toml", '[cache]\nplace = "mine"\nlow = "5G"')

    found = {one.name: (one.value, one.origin) for one in machine.load().listed()}
    assert (f"{machine.home}/mine", Origin.HOME) == found["cache"]
    assert ("1T", Origin.HOST) == found["cache.high"]
    assert ("5G", Origin.HOME) == found["cache.low"]


def test_environment_names_the_place_of_the_cache(machine):
    machine.environ["DATAGUARD_CACHE"] = "/var/cache/other"
    machine.append(machine.home / "config.toml", '[cache]\nplace = "mine"')

    found = machine.load().cache
    assert ("/var/cache/other", Origin.ENVIRONMENT) == (found.value, found.origin)


@pytest.mark.parametrize("text", ['cache = "/x"', '[cache]\nplaec = "/x"', "[cache]\nhigh = 5"])
def test_cache_table_that_makes_no_sense_is_refused(machine, text):
    machine.append(machine.home / "config.toml", text)
    with pytest.raises(ConfigurationError, match=r"cache|plaec"):
        machine.load()
