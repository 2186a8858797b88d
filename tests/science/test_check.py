"""The task with which a computer is tried."""

from __future__ import annotations

import json

import pytest

from phasecal.check import crystal_under
from phasecal.errors import InputError
from phasecal.potentials.lj import LjModel
from phasecal.task import run_task

ARGON = {"prototype": "fcc", "elements": ["Ar"], "a": 5.3}


def test_it_says_what_a_crystal_has_here(tmp_path):
    model = LjModel.from_parameters(
        element="Ar", mass=39.95, epsilon=0.0104, sigma=3.4, cutoff_sigmas=2.5, train=("epsilon",)
    )
    model.save(tmp_path / "m.safetensors")
    task = {"schema": 1, "task": "self-check", "models": ["m.safetensors"], "structure": ARGON}
    (tmp_path / "task.json").write_text(json.dumps(task))
    result = json.loads(run_task(tmp_path / "task.json").read_text())
    assert result.items() >= crystal_under(model, ARGON).items()
    assert result["gradient_ev_atom"] == pytest.approx([result["energy_ev_atom"]])  # dU/dln ε = U


def test_it_needs_a_model_and_a_crystal(tmp_path):
    (tmp_path / "task.json").write_text('{"schema": 1, "task": "self-check", "models": []}')
    with pytest.raises(InputError, match="expected models and structure"):
        run_task(tmp_path / "task.json")
