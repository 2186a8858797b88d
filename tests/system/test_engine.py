"""A real transition whose bulk states jax-md samples: the codes of `phasecal init`, the daemon, both engines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SMALL = Path(__file__).parent / "small-jaxmd.yaml"
pytestmark = [pytest.mark.daemon, pytest.mark.slow]

JOBS = """
from aiida import load_profile, orm
import json, sys
load_profile()
node = orm.load_node(int(sys.argv[1]))
jobs = [n for n in node.called_descendants if isinstance(n, orm.CalcJobNode)]
print(json.dumps([[n.process_label, n.inputs.code.label, n.inputs.task["kind"], n.exit_status] for n in jobs]))
"""


def test_bulk_states_come_from_jaxmd_and_interfaces_from_lammps(installation):
    installation.run("phasecal", "launch", SMALL, "--task", "transition", "--wait", timeout=1800)
    (campaign,) = (entry for entry in installation.json("query") if entry["title"] == "small jax-md")
    summary = installation.json("show", campaign["pk"])
    (entry,) = summary["boundaries"]
    assert (summary["state"], entry["method"]) == ("finished", "coexistence")
    assert entry["temperature"] == pytest.approx(0.800, abs=4 * entry["sigma"])  # docs/topics/lennard-jones.md
    done = subprocess.run(
        [sys.executable, "-c", JOBS, str(campaign["pk"])],
        env=installation.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    jobs = Counter(map(tuple, json.loads(done.stdout)))
    assert jobs.pop(("JaxMdCalculation", "jax-md", "bulk", 0)) == 2
    assert set(jobs) == {("LammpsMdCalculation", "lmp", "coexistence", 0)}
