"""Pages of the documentation that are made from the code are current."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_exit_codes_is_current():
    made = runpy.run_path(str(DOCS / "exit_codes.py"))["page"]()
    assert (DOCS / "reference" / "exit-codes.md").read_text(encoding="utf8") == made, "run python docs/exit_codes.py"
