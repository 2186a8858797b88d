"""The wheel: an editable install hides what a wheel forgets."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"phasecal": ROOT / "phasecal", "aiida_phasecal": ROOT / "workflows" / "aiida_phasecal"}

LOAD_ENTRY_POINTS = """
import sys
from importlib.metadata import distribution
from pathlib import Path
import phasecal, aiida_phasecal
for package in (phasecal, aiida_phasecal):
    assert Path(package.__file__).is_relative_to(sys.argv[1]), package.__file__
for entry_point in distribution("phasecal").entry_points:
    entry_point.load()
    print(entry_point.group, entry_point.name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Return the wheel, built without network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Return a folder into which the wheel alone is installed."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return target


def test_the_wheel_holds_every_file_of_both_packages_and_nothing_else(wheel):
    expected = {
        f"{name}/{path.relative_to(folder).as_posix()}"
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        content = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert content == expected
    assert {"phasecal/py.typed", "aiida_phasecal/py.typed", "phasecal/campaign/protocols/fast.yaml"} <= content
    assert {Path(name).suffix for name in content} >= {".py", ".yaml", ".in"}


def test_every_entry_point_loads_from_the_installed_wheel(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", LOAD_ENTRY_POINTS, str(installed)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    assert sorted(done.stdout.splitlines()) == sorted(f"{group} {name}" for group in groups for name in groups[group])


def test_the_installed_command_finds_its_protocols_outside_of_the_repository(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    campaign = ROOT / "workflows" / "campaigns" / "copper.yaml"
    command = [sys.executable, "-m", "phasecal.cli", "validate", str(campaign)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_constraints_are_pins_without_addresses():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(line.count("==") == 1 and not set(line) & set(" /@:;#") for line in lines)
    assert len({line.partition("==")[0] for line in lines}) == len(lines)
