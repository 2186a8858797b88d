"""Fixtures of the tests of the science."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from phasecal.cli import main
from phasecal.potentials import base

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def toy(load_module):
    """The module of the exactly solvable toy model, as the family ``toy``."""
    module = load_module(HERE / "toy_model.py")
    base.FAMILIES["toy"] = f"{module.__name__}:ToyModel"
    yield module
    del base.FAMILIES["toy"]


@pytest.fixture(scope="session")
def md(load_module):
    """The module of recorded LAMMPS runs, MD tasks and a model of one file."""
    return load_module(HERE / "md_runs.py")


@pytest.fixture(scope="session")
def records(load_module):
    """The module that makes the data of reports, and reads their pages."""
    return load_module(HERE / "report_records.py")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a campaign file."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "campaign.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture(scope="session")
def validate():
    """Return a function that runs `phasecal validate`: exit code, and the lines that the user reads."""

    def run(path: Path, *options: str) -> tuple[int, list[str]]:
        result = CliRunner().invoke(main, ["validate", str(path), *options])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output.splitlines()

    return run
