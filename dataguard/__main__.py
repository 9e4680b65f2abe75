"""Run the command line with `python -m dataguard`."""

import sys

from dataguard.cli import main

sys.exit(main())
