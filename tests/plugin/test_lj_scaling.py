"""Corresponding states through a whole transition: ε, T and P × 4 with the same seeds is exactly T × 4."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.workchains.transition import TransitionWorkChain

from phasecal.campaign.load import load_campaign
from phasecal.campaign.model import build_model

CAMPAIGN = """\
schema: 1
title: Lennard-Jones
units: lj
model: {{family: lj, epsilon: {epsilon}, sigma: 1.0, cutoff: 2.5}}
phases: {{fcc: {{prototype: fcc, elements: [X], density: 0.97}}, liquid: {{melt: fcc}}}}
boundaries: [{{phases: [fcc, liquid], pressures: [{pressure}], guess: {guess}}}]
protocol:
  name: fast
  melt_factor: 3.0
  bulk: {{n_atoms: 108, melt_steps: 2000, equilibration_steps: 500, production_steps: 3000}}
  transition:
    {{n_lateral: 4, n_normal: 12, replicas: 2, relative_spread: 0.01, relax_steps: 1000, melt_steps: 2000,
      cool_steps: 1000, settle_steps: 500, production_steps: 4000, sample_every: 200, thermo_every: 50}}
"""
SEEDS = "scaling"
"""What seeds are made from; usually the hash of the model and the pressure are in it."""


def transition(folder, codes, factor):
    """Measure the melting point of the potential with ε times a factor."""
    path = folder / f"lj{factor}.yaml"
    path.write_text(CAMPAIGN.format(epsilon=factor, pressure=factor * 2.185, guess=factor * 0.8))
    campaign = load_campaign(path, task="transition")
    (boundary,) = campaign.to_dict()["boundaries"]
    state = {
        "phases": boundary["phases"],
        "pressure_gpa": boundary["pressures_gpa"][0],
        "guess_k": boundary["guess_k"],
        "method": "coexistence",
        "stages": ["transition"],
        "label": SEEDS,
    }
    results, node = run_get_node(
        TransitionWorkChain,
        model=ModelData.from_model(build_model(campaign)).store(),
        code=codes["lmp"],
        campaign=orm.Dict(campaign.to_dict()),
        state=orm.Dict(state),
        options=orm.Dict({"resources": {"num_machines": 1}}),
    )
    assert node.is_finished_ok, node.exit_message
    return results["transition"].get_dict(), results["anchor"].get_dict()


@pytest.mark.slow
def test_four_times_the_energies_give_exactly_four_times_the_temperature(codes, tmp_path):
    (one, anchor), (four, anchor_four) = (transition(tmp_path, codes, factor) for factor in (1.0, 4.0))
    assert anchor_four["seeds"] == anchor["seeds"]
    powers = {"temperature_k": 4, "sigma_k": 4, "delta_h_ev": 4, "delta_s_ev_k": 1, "delta_v_a3": 1, "slope_k_gpa": 1}
    for name, factor in powers.items():
        assert four[name] == pytest.approx(factor * one[name], rel=1e-9), name
    assert 0.7 < one["temperature_k"] / 1000 < 0.9
