"""The documentation: pages that are made from the code are current, and the site builds."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]* src="(?:https?:)?//|<link[^>]* href="(?:https?:)?//|url\((?:https?:)?//"""
)
"""What makes a browser ask another server; a link that a reader may follow does not."""


def test_the_page_of_exit_codes_is_current():
    made = runpy.run_path(str(DOCS / "exit_codes.py"))["page"]()
    assert (DOCS / "reference" / "exit-codes.md").read_text(encoding="utf8") == made, "run python docs/exit_codes.py"


def test_the_site_builds_without_warnings_and_needs_no_network(tmp_path):
    pytest.importorskip("sphinx", reason="the extra [docs] is not installed")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-d", str(tmp_path / "cache")]
    done = subprocess.run([*command, str(DOCS), str(site)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pages = {path.relative_to(site).as_posix(): path.read_text(encoding="utf8") for path in site.rglob("*.html")}
    assert not [name for name, text in pages.items() if LOADED.search(text)]
    for name, words in {
        "reference/cli.html": "--since",
        "reference/generated/campaign-keys.html": "verification",
        "reference/generated/processes.html": "phasecal.two_melting_points",
        "reference/generated/show-schema.html": "temperature_k",
        "reference/protocols.html": "twenty times the thermostat",
        "topics/method.html": "</math>",
        "notebooks/phase-diagram.html": "campaigns_with_points",
    }.items():
        assert words in pages[name], name
