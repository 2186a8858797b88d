"""Fixtures of all tests. AiiDA's configuration lives in a temporary folder, never in the home folder."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

from phasecal.engines.lammps.plugin.build import find_toolchain
from phasecal.errors import EngineError

# Before anything imports aiida: its configuration is made where this points.
folder = tempfile.TemporaryDirectory(prefix="phasecal-tests-", ignore_cleanup_errors=True)
(Path(folder.name) / ".aiida").mkdir()
os.environ["AIIDA_PATH"] = folder.name
os.environ["OMP_NUM_THREADS"] = "1"
# Many tests and the programs that they start compile the same functions: once is enough, in the first process's folder.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(folder.name, "jax-compiled")))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

pytest_plugins = ["aiida.tools.pytest_fixtures"]


@pytest.fixture(scope="session")
def plugin_toolchain() -> None:
    """Skip where the pair style that runs JAX models cannot be compiled; the reason names what is missing."""
    try:
        find_toolchain()
    except EngineError as error:
        pytest.skip(f"the plugin cannot be built: {error}")  # a machine without a compiler; CI has one


@pytest.fixture(scope="session")
def load_module():
    """Return a function that loads a module of the tests by its path: they are no package."""

    def load(path: Path) -> ModuleType:
        name = f"phasecal_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look themselves up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def tiny_networks(load_module):
    """The module ``tiny_networks``, which writes weight files of networks of other packages."""
    return load_module(Path(__file__).with_name("tiny_networks.py"))
