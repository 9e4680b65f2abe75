"""The host's policy is a floor: nothing that a user can set lets a gate pass that it refuses."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest

from dataguard.model.finding import Code
from support.mountcleanup import swept
from support.namespaces import become, enter_host, why_no_namespaces
from support.warmcommands import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(why_no_namespaces()), reason=why_no_namespaces() or "-")

HEAD = 'format = "policy/1"\nname = "{name}"\n'
CODES = ", ".join(f'"{code.name}"' for code in Code)
WEAKEST = f"""
[digest]
required_strength = "accidental"
[inputs]
pinned = false
[areas]
output = ["/"]
[outputs]
allowed = []
[audit]
max_age = "999999w"
level = "quick"
[mount]
required_guarantee = "none"
[seal]
required = "none"
[severity]
{"".join(f'{code.name} = "info"' + chr(10) for code in Code)}
[[exemption]]
codes = [{CODES}]
reason = "all is well"
expires = 9999-12-31
"""
USER = 23456
REFUSALS = {2, 3, 13}  # 13: another database than that of the home's event log


@dataclass(frozen=True)
class World:
    """A host policy and a gate that it refuses in the check `refused`."""

    name: str
    policy: str
    gate: tuple[str, ...]
    refused: str
    workspace: str | None = None


@dataclass(frozen=True)
class Attempt:
    """Something a user sets, in one of the ways there are, that could weaken a gate."""

    name: str
    settings: tuple[str, ...]
    words: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    home: str | None = None
    home_config: str = ""
    workspace: str = ""


OUT = ("--output", "OUT")
WORLDS = (
    World("unpinned", "[inputs]\npinned = true", ("--input", "demo", *OUT), "pinned"),
    World("overdue", '[audit]\nmax_age = "1s"', ("--input", "demo@1", *OUT), "audit age"),
    World(
        "too quick",
        '[audit]\nmax_age = "1s"\nlevel = "full"',
        ("--input", "demo@1", *OUT),
        "audit age",
    ),
    World(
        "elsewhere",
        '[outputs]\nallowed = ["/allowed/{user}"]',
        ("--input", "demo@1"),
        "output place",
        workspace="plain",
    ),
    World("into gold", "", ("--input", "demo@1", "--output", "GOLD/part"), "output place"),
    World(
        "gold area",
        '[areas]\ngold = ["ROOT/closed"]',
        ("--input", "demo@1", "--output", "ROOT/closed/out"),
        "output place",
    ),
    World(
        "link",
        '[mount]\nrequired_guarantee = "enforced"',
        OUT,
        "mount guarantee",
        workspace="linked",
    ),
    World(
        "no mount",
        '[mount]\nrequired_guarantee = "declared"',
        ("--input", "demo@1", *OUT),
        "mount guarantee",
    ),
    World(
        "weak digest",
        '[digest]\nrequired_strength = "adversarial"',
        ("--input", "demo@1", *OUT),
        "digest strength",
    ),
    World("quarantined", "", ("--input", "bad@1", *OUT), "state"),
    World("withdrawn", "", ("--input", "gone@1", *OUT), "state"),
)


class Host:
    """A home that the host names, the datasets in it, and an account with a home of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gold, self.home, self.own = root / "gold", root / "srv", root / "own"
        (self.gold / "part").mkdir(parents=True)
        (self.gold / "file").write_text("content")
        for home in (self.home, self.own):
            shell = Shell(str(home))
            for name in ("demo", "bad", "gone"):
                shell.ask("register", name, self.gold)
        shell = Shell(str(self.home))
        shell.ask("quarantine", "bad", "--reason", "test")
        shell.ask("withdraw", "gone", "--reason", "test")
        for name in ("bare", "plain", "linked"):
            shell.ask("workspace", "init", root / name, "--outputs", root / f"{name}-outputs")
        shell.ask("mount", "demo", "-w", root / "plain")
        shell.ask("mount", "demo", "-w", root / "linked", "--backend", "symlink")
        self.weakest = self.policy(root / "weakest.toml", WEAKEST)
        time.sleep(1.1)  # the audits are older than a second now

    def policy(self, file: Path, text: str) -> Path:
        text = text.replace("ROOT", str(self.root))
        file.write_text(HEAD.format(name=file.stem) + text)
        return file

    def etc(self, world: World) -> str:
        directory = self.root / f"etc {world.name}".replace(" ", "-")
        if not directory.exists():
            (directory / "dataguard").mkdir(parents=True)
            self.policy(directory / "dataguard" / "policy.toml", world.policy)
            (directory / "dataguard" / "config.toml").write_text(f'home = "{self.home}"\n')
        return str(directory)

    def shell(self, world: World | None, attempt: Attempt | None = None) -> Shell:
        """Return where to give commands; without a world the host has no policy."""
        environment = {} if attempt is None else attempt.environment
        home = self.home if attempt is None or attempt.home is None else attempt.home
        entry = None if world is None else partial(enter_host, self.etc(world))
        return Shell(str(home), environment=tuple(environment.items()), entry=entry)

    def words(self, world: World, attempt: Attempt | None = None) -> list[str]:
        places = {"OUT": self.root / "out", "GOLD": self.gold, "ROOT": self.root}
        words = list(world.gate)
        for name, place in places.items():
            words = [
                str(place) + word.removeprefix(name) if word.startswith(name) else word
                for word in words
            ]
        workspace = world.workspace or ("bare" if attempt and attempt.workspace else None)
        if workspace is not None:
            words += ["-w", str(self.root / workspace)]
        return words if attempt is None else [*words, *attempt.words]

    @contextlib.contextmanager
    def set_up(self, world: World, attempt: Attempt) -> Iterator[None]:
        """Write what the attempt writes into files, and take it back."""
        config = self.home / "config.toml"
        declaration = self.root / (world.workspace or "bare") / "dataguard.toml"
        before = declaration.read_text()
        config.write_text(attempt.home_config)
        declaration.write_text(before + attempt.workspace)
        try:
            yield
        finally:
            config.unlink()
            declaration.write_text(before)

    def attempts(self) -> list[Attempt]:
        weakest, own = str(self.weakest), str(self.own)
        catalog = f"sqlite:///{own}/catalog.db"
        roundabout = f"sqlite+pysqlite:///{self.home}/../own/catalog.db"
        ready = [
            Attempt(f"--policy {name}", ("policy",), ("--policy", name))
            for name in ("default", "research", "regulated", weakest)
        ]
        tuning = {
            "workers": "1",
            "engine": "serial",
            "scheduler": "tcp://127.0.0.1:9",
            "digest": "sha256",
            "color": "never",
            "progress": "never",
        }
        return [
            *ready,
            Attempt("policy by variable", ("policy",), environment={"DATAGUARD_POLICY": weakest}),
            Attempt(
                "policy by workspace", ("policy",), workspace=f'\n[policy]\nfile = "{weakest}"\n'
            ),
            Attempt("policy by home", ("policy",), home_config=f'policy = "{weakest}"\n'),
            Attempt("other home", ("home",), home=own),
            Attempt(
                "platform's home",
                ("home",),
                environment={"DATAGUARD_HOME": "", "XDG_DATA_HOME": own},
            ),
            Attempt("--catalog", ("catalog",), ("--catalog", catalog)),
            Attempt("--catalog roundabout", ("catalog",), ("--catalog", roundabout)),
            Attempt(
                "catalog by variable", ("catalog",), environment={"DATAGUARD_CATALOG": catalog}
            ),
            Attempt("catalog by home", ("catalog",), home_config=f'catalog = "{catalog}"\n'),
            Attempt(
                "other home and catalog", ("home", "catalog"), ("--catalog", catalog), home=own
            ),
            Attempt(
                "all at once",
                ("home", "catalog", "policy"),
                ("--catalog", catalog, "--policy", "research"),
                {"DATAGUARD_POLICY": weakest},
                own,
            ),
            Attempt(
                "outputs by variable",
                ("outputs",),
                environment={"DATAGUARD_OUTPUTS_PLACE": "/allowed/root"},
            ),
            Attempt("outputs by home", ("outputs",), home_config='outputs = "/allowed/root"\n'),
            Attempt(
                "tuning by variables",
                tuple(tuning),
                environment={f"DATAGUARD_{name.upper()}": value for name, value in tuning.items()},
            ),
            Attempt(
                "tuning by home",
                tuple(tuning),
                home_config="".join(f'{name} = "{value}"\n' for name, value in tuning.items()),
            ),
            Attempt(
                "own cache by variable",
                ("cache",),
                environment={"DATAGUARD_CACHE": os.path.join(own, "cache")},
            ),
            Attempt(
                "own cache by home",
                ("cache", "cache.high", "cache.low", "cache.blocks"),
                home_config=f'[cache]\nplace = "{own}/cache"\nhigh = "2G"\nlow = "1G"\n'
                'blocks = "64M"\n',
            ),
            Attempt("flags", ("color", "progress"), ("--color", "never", "--no-progress")),
        ]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    root = tmp_path_factory.mktemp("host")
    with swept(root):
        yield Host(root)


@pytest.fixture(params=WORLDS, ids=[world.name for world in WORLDS])
def world(request):
    return request.param


def gate(host, world, attempt=None, *, policed=True):
    shell = host.shell(world if policed else None, attempt)
    return shell.call("gate", *host.words(world, attempt), "--format", "json")


def failed(done):
    return [check["name"] for check in done.report["checks"] if not check["ok"]]


def test_every_setting_that_doctor_lists_is_tried(host):
    listed = {one["name"] for one in Shell(str(host.home)).ask("doctor")["settings"]}
    tried = {name for attempt in host.attempts() for name in attempt.settings}
    assert listed <= tried


def test_host_refuses(host, world):
    done = gate(host, world)
    assert (done.code, world.refused in failed(done)) == (3, True)


def test_nothing_a_user_sets_lets_a_refused_gate_pass(host, world):
    passed = []
    for attempt in host.attempts():
        with host.set_up(world, attempt):
            done = gate(host, world, attempt)
        if done.code not in REFUSALS:
            passed.append((attempt.name, done))
        elif done.code == 3 and not {world.refused, "catalog", "known"} & set(failed(done)):
            passed.append((attempt.name, failed(done)))
    assert passed == []


def test_the_same_gate_passes_somehow_where_the_host_has_no_policy(host, world):
    assert any(passes_without_policy(host, world, attempt) for attempt in host.attempts())


def passes_without_policy(host, world, attempt):
    with host.set_up(world, attempt):
        return gate(host, world, attempt, policed=False).code == 0


def test_run_starts_no_job_that_the_host_refuses(host, world, tmp_path):
    words = host.words(world)
    mark = tmp_path / "started"
    for more in ((), ("--policy", "research"), ("--policy", str(host.weakest))):
        done = host.shell(world).call("run", *words, *more, "--", "touch", mark)
        assert (done.code, mark.exists()) == (125, False)


def test_mount_that_promises_less_than_the_host_requires_is_refused(host):
    link = next(world for world in WORLDS if world.name == "link")
    words = ("mount", "demo", "-w", host.root / "plain", "--as", "weak")
    for more in ((), ("--best-effort",), ("--policy", "research"), ("--policy", host.weakest)):
        done = host.shell(link).call(*words, "--backend", "symlink", *more, "--format", "json")
        assert (done.code, '"code": "policy"' in done.err) == (2, True)
    assert not os.path.lexists(host.root / "plain" / "data" / "weak")


@pytest.mark.parametrize("more", [(), ("--policy", "research"), ("--policy", "default")])
def test_registration_with_a_weaker_digest_than_the_host_requires_is_refused(host, more):
    weak = next(world for world in WORLDS if world.name == "weak digest")
    shell = host.shell(weak)
    done = shell.call("register", "new", host.gold, "--digest", "xxh3-128", *more)
    assert done.code == 2
    assert Shell(str(host.home)).call("show", "new").code == 10


BROKEN = {
    "no TOML": ("[audit", 3),
    "unknown key": ("[audit]\nmax_agee = '1d'\n", 4),
    "wrong value": ("[inputs]\n\npinned = 'maybe'\n", 5),
}


def broken_host(directory, write):
    (directory / "dataguard").mkdir(parents=True)
    write(directory / "dataguard" / "policy.toml")
    return partial(enter_host, str(directory))


@pytest.mark.parametrize("name", BROKEN)
def test_invalid_host_policy_ends_every_command_with_its_line(host, tmp_path, name):
    text, line = BROKEN[name]
    entry = broken_host(
        tmp_path / "etc", lambda file: file.write_text(HEAD.format(name="x") + text)
    )
    for words in (
        ("gate", "--input", "demo@1"),
        ("run", "--input", "demo@1", "--", "true"),
        ("mount", "demo", "-w", host.root / "plain"),
        ("register", "new", host.gold),
        ("audit",),
        ("gate", "--input", "demo@1", "--policy", "research"),
    ):
        done = Shell(str(host.home), entry=entry).call(*words)
        assert done.code == 2, (words, done)
        assert f"/etc/dataguard/policy.toml` line {line}" in done.err


UNREADABLE = {
    "directory": lambda file: file.mkdir(),
    "dangling link": lambda file: file.symlink_to("nowhere"),
    "link to itself": lambda file: file.symlink_to(file.name),
    "no text": lambda file: file.write_bytes(b"\xff\xfe"),
    "empty": lambda file: file.write_bytes(b""),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_host_policy_is_not_passed_over(host, tmp_path, name):
    entry = broken_host(tmp_path / "etc", UNREADABLE[name])
    done = Shell(str(host.home), entry=entry).call("gate", "--input", "demo@1")
    assert done.code == 2
    assert "/etc/dataguard/policy.toml" in done.err


@pytest.mark.parametrize("closed", ["policy.toml", "config.toml", "."])
def test_host_configuration_that_a_user_may_not_read_is_not_passed_over(tmp_path, closed):
    tmp_path.chmod(0o755)
    directory = tmp_path / "etc"
    entry = broken_host(directory, lambda file: file.write_text(HEAD.format(name="x")))
    (directory / "dataguard" / "config.toml").write_text("")
    os.chmod(directory / "dataguard" / closed, 0)
    as_user = partial(as_ordinary_user, entry, str(tmp_path))
    done = Shell(str(tmp_path / "home"), entry=as_user).call("gate", "--input", "demo@1")
    assert done.code == 2
    assert f"/etc/dataguard/{closed.strip('.')}".rstrip("/") in done.err


def as_ordinary_user(entry, reachable):
    entry()
    become(USER, reachable)


@pytest.mark.parametrize(
    "text", ["home = 3\n", "colour = 'red'\n", "home = \n", "policy = 'no such'\n"]
)
def test_invalid_host_configuration_is_not_passed_over(host, tmp_path, text):
    (tmp_path / "etc" / "dataguard").mkdir(parents=True)
    (tmp_path / "etc" / "dataguard" / "config.toml").write_text(text)
    entry = partial(enter_host, str(tmp_path / "etc"))
    done = Shell(str(host.home), entry=entry).call("gate", "--input", "demo@1")
    assert done.code == 2
    assert "/etc/dataguard/" in done.err
