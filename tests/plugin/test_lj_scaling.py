"""Corresponding states through the coexistence work chain: ε, T, P × 4 with the same seeds is exactly T × 4."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain

from phasecal.campaign.reduced import EPSILON_EV, MASS_AMU, REFERENCE, SIGMA_A
from phasecal.potentials.lj import LjModel

STAGE = {
    "name": "anchor",
    "n_lateral": 4,
    "n_normal": 12,
    "replicas": 2,
    "relative_spread": 0.01,
    "start_spread_k": None,
    "relax_steps": 1000,
    "melt_steps": 2000,
    "cool_steps": 1000,
    "settle_steps": 500,
    "production_steps": 6000,
    "sample_every": 200,
    "thermo_every": 50,
}


@pytest.mark.slow
def test_four_times_the_energies_give_exactly_four_times_the_temperature(codes):
    analyses = []
    for factor in (1.0, 4.0):
        model = LjModel.from_parameters(
            element="X", mass=MASS_AMU, epsilon=factor * EPSILON_EV, sigma=SIGMA_A, cutoff_sigmas=2.5
        )
        parameters = {
            "phases": ["fcc", "liquid"],
            "structure": {"prototype": "fcc", "elements": ["X"], "a": (4 / 0.97) ** (1 / 3) * SIGMA_A},
            "pressure_gpa": factor * 2.185 * REFERENCE["pressure"],
            "guess_k": factor * 0.8 * REFERENCE["temperature"],
            "timestep_fs": model.timestep_fs,
            "melt_factor": 3.0,
            "restart_every": 5000,
            "seed": 1,
            "label": "scaling",
            "stages": [STAGE],
        }
        _, node = run_get_node(
            CoexistenceWorkChain,
            model=ModelData.from_model(model).store(),
            code=codes["lmp"],
            parameters=orm.Dict(parameters),
            options=orm.Dict({"resources": {"num_machines": 1}}),
        )
        children = sorted((c for c in node.called if isinstance(c, orm.CalcFunctionNode)), key=lambda c: c.pk)
        analyses.append([child.outputs.result.get_dict() for child in children])
    one, four = analyses
    assert len(one) == len(four) >= 1
    for before, after in zip(one, four, strict=True):
        assert after["seeds"] == before["seeds"]
        assert after["accepted"] == before["accepted"]
        assert after["next_guess_k"] == pytest.approx(4 * before["next_guess_k"], rel=1e-9)
        assert (after["temperature_k"] is None) == (before["temperature_k"] is None)
        if before["temperature_k"] is not None:
            assert after["temperature_k"] == pytest.approx(4 * before["temperature_k"], rel=1e-9)
