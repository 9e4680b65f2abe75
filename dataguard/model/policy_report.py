"""What is said about policies: problems of a file, rules in force, the meaning of a code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.finding import Code, Severity
    from dataguard.model.policy import Exemption
    from dataguard.model.settings import PolicySource

__all__ = ["CodeExplanation", "PolicyCheck", "PolicyProblem", "PolicyReport", "PolicyValue"]


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """What is wrong in a policy: line (from 1), key such as `audit.max_age`, what is allowed."""

    line: int
    key: str
    message: str


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """A policy file and everything that is wrong in it; `name` is empty where that is not known."""

    file: str
    name: str
    problems: tuple[PolicyProblem, ...]

    @property
    def valid(self) -> bool:
        """Whether the policy can be used."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """One key of the rules in force, such as `audit.max_age`; `value` is a JSON value.

    `decided_by` are the layers that made the value what it is, the base first where it still
    counts; `overruled` those that asked for something else in vain.
    """

    key: str
    value: object
    decided_by: tuple[PolicySource, ...]
    overruled: tuple[PolicySource, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """The rules in force and the layers they come from, the base first."""

    name: str
    layers: tuple[PolicySource, ...]
    values: tuple[PolicyValue, ...]


@dataclass(frozen=True, slots=True)
class CodeExplanation:
    """What a finding code means under the rules in force; `decided_by` set the severity."""

    code: Code
    severity: Severity
    default_severity: Severity
    decided_by: tuple[PolicySource, ...]
    exemptions: tuple[Exemption, ...]
