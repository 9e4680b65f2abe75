"""Configuration for other programs: true to their formats, and to every name it can hold."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.emit import UNDOING, emission
from dataguard.core.yamltext import to_yaml
from dataguard.errors import ConflictError
from dataguard.model.emit import Dialect, Exposure

SCHEMAS = Path(__file__).resolve().parents[1] / "golden" / "schemas"
NAMES = st.text(
    st.characters(categories=("L", "N", "P", "S", "Zs"), exclude_characters="/"), min_size=1
).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
EVIL = ["/a b", "/a,b", "/a:b", '/it\'s "it"', "/$HOME $$", "/%i %%", "/a\\b \\", "/é 😀", "/-x"]


def exposure(source="/gold/faces", *targets):
    return Exposure("faces", "faces", 1, "dg1:0", source, targets or (source, "/ws/data/faces"))


def checked(schema, document):
    jsonschema = pytest.importorskip("jsonschema")
    content = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(content)(content).validate(document)


def read_docker(words):
    """Source and target of each `--mount`, as the engine reads them: one record of CSV each."""
    assert {"--mount"} == set(words[::2])
    for word in words[1::2]:
        [fields] = csv.reader([word], strict=True)
        values = dict(field.split("=", 1) if "=" in field else (field, "") for field in fields)
        assert {
            "type": "bind",
            "readonly": "",
            "bind-propagation": "rprivate",
            "bind-recursive": "readonly",
        } == {key: values[key] for key in values.keys() - {"source", "target"}}
        yield values["source"], values["target"]


def read_unit(line):
    r"""Paths of a setting as systemd.syntax(7) and systemd.exec(5) say: `\` and `%%` undone."""
    words = re.findall(r"(?:\\.|[^\\: ])+", line.split("=", 1)[1])
    assert not any("%" in word.replace("%%", "") for word in words)
    return [re.sub(r"\\(.)", r"\1", word).replace("%%", "%") for word in words]


@given(PATHS, PATHS)
def test_docker_arguments_mean_the_paths(source, target):
    made = emission(Dialect.DOCKER, [exposure(source, target)])
    assert [(source, target)] == list(read_docker(made.configuration))
    assert list(made.configuration) == shlex.split(made.text)


@given(PATHS, PATHS)
def test_bwrap_arguments_mean_the_paths(source, target):
    words = shlex.split(emission(Dialect.BWRAP, [exposure(source, target)]).text)
    at = words.index("--ro-bind")
    assert [source, target] == words[at + 1 : at + 3]
    assert ("bwrap", "--") == (words[0], words[-1])


@given(PATHS, PATHS)
def test_systemd_settings_mean_the_paths(source, target):
    bound = emission(Dialect.SYSTEMD, [exposure(source, target)]).configuration[0]
    own = emission(Dialect.SYSTEMD, [exposure(source, source)]).configuration[0]
    assert [source] == read_unit(own)
    assert source == target or [source, target, "rbind"] == read_unit(bound)


@given(PATHS, PATHS)
def test_oci_document_means_the_paths(source, target):
    made = emission(Dialect.OCI, [exposure(source, target)])
    [mount] = json.loads(made.text)["mounts"]
    assert (source, target) == (mount["source"], mount["destination"])
    assert {"rbind", "rprivate", "ro", "rro"} <= set(mount["options"])


@given(PATHS, PATHS)
def test_compose_document_means_the_paths_after_interpolation(source, target):
    yaml = pytest.importorskip("yaml")
    made = emission(Dialect.COMPOSE, [exposure(source, target)])
    [volume] = yaml.safe_load(made.text)["services"]["job"]["volumes"]
    assert re.fullmatch(r"([^$]|\$\$)*", volume["source"])
    assert (source, target) == tuple(volume[k].replace("$$", "$") for k in ("source", "target"))


@pytest.mark.parametrize("path", EVIL)
def test_documents_fit_the_schemas_of_their_formats(path):
    exposures = [exposure(path, path, f"/ws{path}"), exposure()]
    checked("compose-volumes.json", emission(Dialect.COMPOSE, exposures).configuration)
    checked("oci-mounts.json", emission(Dialect.OCI, exposures).configuration)
    if ":" not in path:
        checked("kubernetes-pod.json", emission(Dialect.K8S, exposures).configuration)


def test_schemas_refuse_what_is_misspelt():
    jsonschema = pytest.importorskip("jsonschema")
    document = json.dumps(emission(Dialect.K8S, [exposure()]).configuration)
    wrong = json.loads(document.replace("recursiveReadOnly", "recursiveReadonly"))
    with pytest.raises(jsonschema.ValidationError):
        checked("kubernetes-pod.json", wrong)


def test_text_of_documents_is_the_document():
    yaml = pytest.importorskip("yaml")
    for dialect in (Dialect.COMPOSE, Dialect.K8S):
        made = emission(dialect, [exposure(path) for path in EVIL if ":" not in path])
        assert made.configuration == yaml.safe_load(made.text)


def test_pod_has_one_volume_for_all_places_of_a_version():
    spec = emission(Dialect.K8S, [exposure(), exposure("/gold/cats")]).configuration["spec"]
    mounts = spec["containers"][0]["volumeMounts"]
    assert ["gold-1", "gold-2"] == [volume["name"] for volume in spec["volumes"]]
    assert ["gold-1", "gold-1", "gold-2", "gold-2"] == [mount["name"] for mount in mounts]
    assert {(True, "Enabled", "None")} == {
        (m["readOnly"], m["recursiveReadOnly"], m["mountPropagation"]) for m in mounts
    }


def test_nothing_keeps_a_capability_that_undoes_a_mount():
    spec = emission(Dialect.K8S, [exposure()]).configuration["spec"]
    dropped = spec["containers"][0]["securityContext"]["capabilities"]["drop"]
    assert {"SYS_ADMIN", "SYS_PTRACE", "MKNOD"} <= set(dropped)
    assert len(UNDOING) == len(dropped)
    assert f"CapabilityBoundingSet=~{' '.join(UNDOING)}" in (
        emission(Dialect.SYSTEMD, [exposure()]).configuration
    )
    assert "--cap-drop CAP_SYS_ADMIN" in emission(Dialect.BWRAP, [exposure()]).text


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("path", ["/a\nb", "/a\tb", "/a\x1bb", "/\udcff", "/a\u2028b", "/a\rb"])
def test_name_that_cannot_be_written_is_refused(dialect, path):
    for shown in (exposure(path, "/x"), exposure("/x", path)):
        with pytest.raises(ConflictError, match="cannot be written"):
            emission(dialect, [shown])


def test_colon_in_a_mount_path_of_kubernetes_is_refused():
    with pytest.raises(ConflictError, match="Kubernetes"):
        emission(Dialect.K8S, [exposure("/a:b")])


SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(categories=("L", "Zs")))


@given(
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.from_regex(r"[a-z]{3,9}", fullmatch=True), inner, max_size=3)
        ),
    )
)
def test_yaml_reads_back_as_it_was(value):
    yaml = pytest.importorskip("yaml")
    document = {"values": value}
    assert document == yaml.safe_load(to_yaml(document))
