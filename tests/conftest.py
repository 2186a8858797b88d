"""Fixtures of all tests. AiiDA's configuration lives in a temporary folder, never in the home folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Before anything imports aiida: its configuration is made where this points.
folder = tempfile.TemporaryDirectory(prefix="phasecal-tests-", ignore_cleanup_errors=True)
(Path(folder.name) / ".aiida").mkdir()
os.environ["AIIDA_PATH"] = folder.name
os.environ["OMP_NUM_THREADS"] = "1"

pytest_plugins = ["aiida.tools.pytest_fixtures"]
