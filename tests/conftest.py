"""Fixtures of all tests. AiiDA's configuration lives in a temporary folder, never in the home folder."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

import pytest

from phasecal.engines.lammps.plugin.build import find_toolchain
from phasecal.errors import EngineError

# Before anything imports aiida: its configuration is made where this points.
folder = tempfile.TemporaryDirectory(prefix="phasecal-tests-", ignore_cleanup_errors=True)
(Path(folder.name) / ".aiida").mkdir()
os.environ["AIIDA_PATH"] = folder.name
os.environ["OMP_NUM_THREADS"] = "1"

pytest_plugins = ["aiida.tools.pytest_fixtures"]


@pytest.fixture(scope="session")
def plugin_toolchain() -> None:
    """Skip where the pair style that runs JAX models cannot be compiled; the reason names what is missing."""
    try:
        find_toolchain()
    except EngineError as error:
        pytest.skip(f"the plugin cannot be built: {error}")


@pytest.fixture(scope="session")
def tiny_networks():
    """The module ``tiny_networks``, which writes weight files of networks of other packages."""
    spec = importlib.util.spec_from_file_location(
        "phasecal_tiny_networks", Path(__file__).with_name("tiny_networks.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
