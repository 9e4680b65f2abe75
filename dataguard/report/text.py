"""Results as lines for people: understandable without colour, one token for each name."""

from __future__ import annotations

from dataguard.report import (
    text_administration,
    text_datasets,
    text_rules,
    text_seals,
    text_work,
)
from dataguard.report.lines import lines_of, painted, plain, size_words

__all__ = ["SUBJECTS", "lines_of", "painted", "plain", "size_words"]

SUBJECTS = (text_administration, text_datasets, text_rules, text_seals, text_work)
"""The modules that hold the forms; importing them makes `lines_of` know these."""
