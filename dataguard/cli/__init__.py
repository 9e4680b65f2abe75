"""The command line: parses, calls one action, shows one report."""

from dataguard.cli.application import app
from dataguard.cli.main import main

__all__ = ["app", "main"]
