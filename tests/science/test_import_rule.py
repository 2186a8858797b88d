"""The science runs where AiiDA is not installed; what every job waits for is imported in a second."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import phasecal

IMPORT_ALL = """
import importlib, sys
for name in ("aiida", "aiida_lammps", "aiida_phasecal"):
    sys.modules[name] = None  # importing it is a ModuleNotFoundError, as if it were not installed
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_module_of_the_science_imports_without_aiida():
    modules = [module.name for module in pkgutil.walk_packages(phasecal.__path__, "phasecal.")]
    assert "phasecal.campaign.load" in modules
    done = python(IMPORT_ALL, *(name for name in modules if not name.endswith("__main__")))
    assert done.returncode == 0, done.stderr


def test_the_test_above_would_notice_an_import_of_aiida():
    assert python(IMPORT_ALL, "aiida_phasecal.cli").returncode != 0


def test_the_command_line_works_without_aiida_and_says_what_is_missing():
    code = "import sys; sys.modules['aiida'] = None; from phasecal.cli import main; main(sys.argv[1:])"
    done = python(code, "--help")
    assert done.returncode == 0, done.stderr
    assert "validate" in done.stdout
    assert "launch" not in done.stdout
    done = python(code, "launch", "copper.yaml")
    assert done.returncode == 2
    assert "AiiDA is not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_running_a_task_does_not_import_aiida():
    code = (
        "import sys; from phasecal.cli import main; main(['run', 'none.json'], standalone_mode=False); "
        "sys.exit('aiida' in sys.modules)"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "none.json: no such task file\n")


def test_preparing_a_run_of_lammps_does_not_wait_for_scipy():
    code = "import sys, phasecal.engines.lammps.plugin.__main__; sys.exit('scipy' in sys.modules)"
    done = python(code)
    assert done.returncode == 0, done.stderr
