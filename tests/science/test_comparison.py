"""Two models side by side: the shift of a boundary against an exact one, forces, sizes of parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from phasecal.difftre.comparison import boundary_shift, groups, rms_force_difference
from phasecal.errors import DataError, OverlapError
from phasecal.potentials.base import energies, frames_from_sample
from phasecal.potentials.frozen import FrozenModel
from phasecal.potentials.lj import LjModel
from phasecal.sample import Sample

T = 80.0
LJ = LjModel.from_parameters(element="Ar", mass=39.95, epsilon=0.0103, sigma=3.4, cutoff_sigmas=2.5, train=["epsilon"])


def sample(phase: str, spread: float, seed: int) -> Sample:
    """Forty frames of 32 atoms around their sites, at the energies of the model."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True) * 2
    made = Sample(
        positions=(atoms.positions + spread * rng.normal(size=(40, 32, 3))).astype(np.float32),
        cells=np.tile(atoms.cell.array, (40, 1, 1)),
        energies=np.zeros(40),
        steps=np.arange(40),
        species=np.zeros(32, dtype=np.int32),
        elements=("Ar",),
        phase=phase,
        temperature_k=T,
        pressure_gpa=0.0,
        timestep_fs=2.0,
        model_hash=LJ.hash,
    )
    return replace(made, energies=energies(LJ, frames_from_sample(made, LJ.cutoff)))


LOW, HIGH = sample("fcc", 0.10, 1), sample("liquid", 0.25, 2)
DELTA_H = float(HIGH.energies.mean() - LOW.energies.mean()) / 32


def scaled(factor: float) -> LjModel:
    """The model with another ε."""
    return LJ.with_theta([np.log(factor)])


@pytest.mark.parametrize("factor", [0.9999, 1.0001])
def test_at_no_pressure_a_boundary_moves_as_epsilon_does(factor):
    """T_B/T_A = ε_B/ε_A exactly, by corresponding states; here ΔH is the mean energy difference of the frames."""
    found = boundary_shift(LJ, scaled(factor), LOW, HIGH, T, (DELTA_H, 0.001))
    assert found.value_k == pytest.approx(T * (factor - 1), rel=0.005)
    assert 0 < found.sigma_k < 0.1


def test_frames_taken_for_each_other_do_not_give_the_exact_shift():
    wrong = boundary_shift(LJ, scaled(1.0001), HIGH, LOW, T, (DELTA_H, 0.001))
    assert wrong.value_k == pytest.approx(-T * 0.0001, rel=0.005)


def test_the_same_model_moves_nothing():
    found = boundary_shift(LJ, LJ, LOW, HIGH, T, (DELTA_H, 0.001))
    assert (found.value_k, found.sigma_k) == (0.0, 0.0)


def test_a_change_that_frames_do_not_carry_is_refused():
    with pytest.raises(OverlapError, match="effective fraction"):
        boundary_shift(LJ, scaled(2.0), LOW, HIGH, T, (DELTA_H, 0.001))


def test_phases_that_are_swapped_are_refused():
    with pytest.raises(DataError, match="does not carry"):
        boundary_shift(LJ, scaled(1.001), LOW, HIGH, T, (-DELTA_H, 0.001))


def test_forces_scale_with_epsilon():
    whole = rms_force_difference(scaled(1.0), scaled(2.0), HIGH)
    assert rms_force_difference(LJ, scaled(1.1), HIGH) == pytest.approx(0.1 * whole, rel=1e-6)
    assert rms_force_difference(LJ, LJ, HIGH) == 0.0


def test_models_of_other_elements_or_bases_are_refused():
    other = LjModel.from_parameters(element="Kr", mass=83.8, epsilon=0.014, sigma=3.6, cutoff_sigmas=2.5)
    with pytest.raises(DataError, match="no frames in common"):
        rms_force_difference(LJ, other, HIGH)
    frozen = FrozenModel.from_commands(["Ar"], ["pair_style lj/cut 8.5", "pair_coeff * * 0.0103 3.4"], {})
    with pytest.raises(DataError, match="versions of itself only"):
        rms_force_difference(LJ, frozen, HIGH)


def test_parameters_are_sized_by_group():
    (entry,) = groups(LJ, scaled(1.1))
    assert entry["n_parameters"] == 1
    assert entry["change_rms"] == entry["b_rms"] == pytest.approx(np.log(1.1))
    assert entry["a_rms"] == 0.0
    frozen = FrozenModel.from_commands(["Ar"], ["pair_style lj/cut 8.5", "pair_coeff * * 0.0103 3.4"], {})
    assert groups(LJ, frozen) == []
