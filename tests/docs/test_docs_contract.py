from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dataguard import errors
from dataguard.model.confinement import Mode, Step
from dataguard.model.diversion import WRITES_SENTENCES
from dataguard.model.finding import Code
from dataguard.model.mount import BACKEND_SENTENCES, Backend, Guarantee
from dataguard.model.policy import Seal

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ERRORS = [getattr(errors, name) for name in errors.__all__]

REPORTED = [
    *(f"DG{n}" for n in range(101, 110)),
    *(f"DG{n}" for n in range(201, 205)),
    *("DG301", "DG302", "DG303", "DG304", "DG401", "DG402", "DG403"),
    *(f"DG{n}" for n in range(501, 505)),
    *(f"DG{n}" for n in range(601, 606)),
    *(f"DG{n}" for n in range(901, 905)),
]


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text):
    """Cells of all table rows of a page."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]


def docstrings(path):
    """The docstrings of a module's tests, as one line each, by the tests' names."""
    module = ast.parse((DOCS.parent / path).read_text(encoding="utf-8"))
    return {
        node.name: " ".join((ast.get_docstring(node) or "").split())
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_findings_page_has_a_section_for_every_code_in_order():
    headings = re.findall(r"^### (DG\d+) (.*)$", page("findings.md"), re.MULTILINE)
    assert [(code.name, code.title) for code in Code] == headings


def test_every_findings_section_has_meaning_cause_and_remedy():
    sections = re.split(r"^### ", page("findings.md"), flags=re.MULTILINE)[1:]
    parts = [re.findall(r"^(\w+): \S", section, re.MULTILINE) for section in sections]
    assert [["Meaning", "Arises", "Remedy"]] * len(Code) == parts


def test_findings_page_says_which_codes_are_reserved():
    sections = re.split(r"^### ", page("findings.md"), flags=re.MULTILINE)[1:]
    reported = [section[:5] for section in sections if "Reserved" not in section]
    assert REPORTED == reported


def test_findings_page_names_the_codes_that_are_warnings():
    by_severity = dict(row[:2] for row in rows(page("findings.md")))
    warnings = [c.name for c in Code if c.default_severity.value == "warning"]
    assert ", ".join(warnings) == by_severity["warning"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.code)
def test_exit_code_of_every_error_is_documented(error):
    documented = {cells[0]: cells[1] for cells in rows(page("exit-codes.md"))}
    number = str(error(2).exit_code if error is errors.InterruptError else error.exit_code)
    assert f"`{error.code}`" in documented[number].split(", ")


def test_mount_table_quotes_the_sentences_that_commands_print():
    promised = {
        Backend.BIND: Guarantee.ENFORCED,
        Backend.CAS: Guarantee.ENFORCED,
        Backend.CONTAINER: Guarantee.ENFORCED,
        Backend.DECLARED: Guarantee.DECLARED,
        Backend.FUSE: Guarantee.ENFORCED,
        Backend.OVERLAY: Guarantee.ENFORCED,
        Backend.SYMLINK: Guarantee.NONE,
    }
    expected = {(f"`{b}`", str(g), BACKEND_SENTENCES[b]) for b, g in promised.items()}
    assert set(Backend) == set(promised)
    assert expected <= {(c[0], c[1], c[-1]) for c in rows(page("guarantees.md"))}


def test_every_sentence_of_the_mount_table_has_a_test_of_its_name():
    tests = docstrings("tests/mounts/test_guarantees.py")
    assert {f"test_guarantee_of_{b}": BACKEND_SENTENCES[b] for b in Backend} == tests


def test_steps_of_confinement_are_quoted_as_commands_print_them():
    found = {row[0]: row[2] for row in rows(page("guarantees.md")) if len(row) == 3}
    assert {f"`{step}`": step.guarantee for step in Step}.items() <= found.items()


def guaranteed_by_tests(*files):
    """The docstrings of the tests `test_guarantee_of_NAME` in files, by the name."""
    return {
        node.name.removeprefix("test_guarantee_of_"): " ".join(
            (ast.get_docstring(node) or "").split()
        )
        for file in files
        for node in ast.parse((DOCS.parent / "tests" / file).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_guarantee_of_")
    }


def test_every_sentence_about_steps_modes_and_seals_has_a_test_of_its_name():
    text = page("guarantees.md")
    tested = guaranteed_by_tests("sandbox/test_confined_job.py", "cli/test_seal_guarantees.py")
    steps = {str(step): step.guarantee for step in Step}
    modes = {row[0].strip("`"): row[1] for row in rows(text) if len(row) == 2}
    seals = {f"seal_{row[0].strip('`')}": row[2] for row in rows(text) if len(row) == 4}
    modes = {name: said for name, said in modes.items() if name in set(Mode)}
    seals = {name: said for name, said in seals.items() if name.removeprefix("seal_") in set(Seal)}
    assert (set(Mode), 2) == (set(modes), len(seals))
    assert {**steps, **modes, **seals} == tested


def test_sentences_about_writes_into_inputs_are_quoted_and_have_tests_of_their_names():
    found = {row[0]: row[2] for row in rows(page("guarantees.md")) if len(row) == 3}
    assert {f"`{one}`": said for one, said in WRITES_SENTENCES.items()}.items() <= found.items()
    tests = docstrings("tests/sandbox/test_routed_writes.py")
    assert {f"test_guarantee_of_{one}": said for one, said in WRITES_SENTENCES.items()} == {
        name: said for name, said in tests.items() if name.startswith("test_guarantee_of_")
    }


def test_guarantees_page_has_six_guarantees_with_their_limits():
    sections = re.split(r"^## ", page("guarantees.md"), flags=re.MULTILINE)[1:]
    assert [str(n) for n in range(1, 7)] == [section.split(".")[0] for section in sections]
    assert [] == [section for section in sections if "Not covered" not in section]
    assert [] == [
        section for section in sections if not re.search(r"^\*\*.*\*\*$", section, re.MULTILINE)
    ]


def test_every_decision_is_in_the_index():
    decisions = sorted(path.name for path in (DOCS / "decisions").glob("0*.md"))
    assert decisions == sorted(re.findall(r"\((0\d+-[\w-]+\.md)\)", page("decisions/README.md")))


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_links_between_pages_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#:]+?)(?:#[\w-]+)?\)", path.read_text(encoding="utf-8"))
    assert [] == [target for target in targets if not (path.parent / target).exists()]
