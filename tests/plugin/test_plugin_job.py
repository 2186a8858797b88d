"""A model without a pair style as a real LAMMPS job: the job script builds the plugin, on one rank and two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida_phasecal.calculations.lammps import LammpsMdCalculation
from aiida_phasecal.data.model import ModelData

from phasecal.engines import lammps
from phasecal.potentials.moment_network import MomentNetworkModel

TITANIUM = {"prototype": "fcc", "elements": ["Ti"], "a": 4.1}


@pytest.fixture(scope="module")
def network() -> MomentNetworkModel:
    """Small random weights; the guard between atoms and the pressure of the runs hold a crystal together."""
    model = MomentNetworkModel.initial(["Ti"], 4.6, [[3.0]], n_radial=2, n_basis=3, hidden=(4,), seed=2)
    return replace(model, theta=0.02 * model.theta)


@pytest.fixture
def run(codes, network, aiida_profile, plugin_toolchain):
    """Run a task as a job, on some ranks."""
    node = ModelData.from_model(network).store()

    def run_task(task: dict, ranks: int = 1):
        options = {"resources": {"num_machines": 1, "num_mpiprocs_per_machine": ranks}, "withmpi": ranks > 1}
        return run_get_node(
            LammpsMdCalculation,
            code=codes["lmp"],
            model=node,
            task=orm.Dict(task),
            script=orm.SinglefileData(lammps.script_path(task["kind"])),
            metadata={"options": options},
        )

    return run_task


@pytest.fixture
def dense_task(bulk_task) -> dict:
    """Bulk titanium under pressure."""
    steps = {"n_atoms": 108, "equilibration_steps": 20, "production_steps": 40, "timestep_fs": 1.0}
    return bulk_task | steps | {"structure": TITANIUM, "pressure_gpa": 20.0}


def test_a_bulk_job_gives_the_same_on_one_and_two_ranks(run, dense_task):
    energies = {}
    for ranks in (1, 2):
        outputs, node = run(dense_task, ranks)
        assert node.is_finished_ok, node.exit_message
        assert outputs["results"]["finished"] is True
        energies[ranks] = outputs["thermo"].get_array("pe")
    assert np.ptp(energies[1]) > 1e-2
    assert energies[2] == pytest.approx(energies[1], abs=1e-3)  # eV of 108 atoms in float32


def test_a_coexistence_job_runs_to_its_end(run, dense_task):
    common = ("schema", "structure", "pressure_gpa", "timestep_fs", "production_steps", "sample_every", "thermo_every")
    task = {key: dense_task[key] for key in (*common, "restart_every", "seed")} | {
        "kind": "coexistence",
        "phases": ["fcc", "liquid"],
        "n_lateral": 2,
        "n_normal": 6,
        "temperature_k": 900.0,
        "start_temperature_k": 900.0,
        "melt_temperature_k": 3000.0,
        "relax_steps": 20,
        "melt_steps": 20,
        "cool_steps": 10,
        "settle_steps": 10,
    }
    outputs, node = run(task)
    assert node.is_finished_ok, node.exit_message
    assert outputs["sample"].facts["n_frames"] == 3
