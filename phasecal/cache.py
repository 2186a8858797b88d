"""What is kept from job to job of a user: compiled plugins, and which modules were read before."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder: ``$XDG_CACHE_HOME/phasecal``, by default in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "phasecal"
