"""Fixtures of the tests of the science."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from phasecal.potentials import base


@pytest.fixture(scope="session")
def toy():
    """The module of the exactly solvable toy model, as the family ``toy``."""
    name = "phasecal_toy_model"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("toy_model.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    base.FAMILIES["toy"] = f"{name}:ToyModel"
    yield module
    del base.FAMILIES["toy"], sys.modules[name]


@pytest.fixture(scope="session")
def md():
    """The module of recorded LAMMPS runs, MD tasks and a model of one file."""
    spec = importlib.util.spec_from_file_location("phasecal_md_runs", Path(__file__).with_name("md_runs.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def records():
    """The module that makes the data of reports, and reads their pages."""
    spec = importlib.util.spec_from_file_location(
        "phasecal_report_records", Path(__file__).with_name("report_records.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
