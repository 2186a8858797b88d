"""Cold crystals: published numbers, finite differences, and rows that hold what they protect."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phasecal.campaign.sources import potentials_folder
from phasecal.errors import ConvergenceError, InputError
from phasecal.observables.cold import elastic_constants, protected_rows, relax
from phasecal.observables.symmetry import independent_elastic_constants, independent_stresses, primitive
from phasecal.potentials.base import energies, forces, frames_from_atoms
from phasecal.potentials.eam import EamModel
from phasecal.units import EV_PER_A3_IN_GPA


@pytest.fixture(scope="module")
def copper():
    path = potentials_folder() / "Cu_mishin1.eam.alloy"
    return EamModel.from_file(path, {"pair": 8, "density": 3, "embedding": 3})


@pytest.fixture(scope="module")
def fcc(copper):
    return relax(copper, bulk("Cu", a=3.7, cubic=True))


@pytest.fixture(scope="module")
def hcp(copper):
    return relax(copper, bulk("Cu", "hcp", a=2.5, c=4.2))


def test_published_numbers_of_mishins_copper(copper, fcc):
    """Mishin et al., PRB 63, 224106, table of EAM 1: a 3.615 Å, E −3.54 eV, C 169.9, 122.6, 76.2 GPa."""
    assert len(fcc.atoms) == 1
    assert (4.0 * fcc.volume_per_atom) ** (1 / 3) == pytest.approx(3.615, abs=5e-4)
    assert fcc.energy_per_atom_ev == pytest.approx(-3.54, abs=5e-4)
    assert fcc.pressure_gpa == pytest.approx(0.0, abs=1e-6)
    elastic = elastic_constants(copper, fcc)
    assert elastic[0, 0] == pytest.approx(169.9, abs=0.1)
    assert elastic[0, 1] == pytest.approx(122.6, abs=0.1)
    assert elastic[3, 3] == pytest.approx(76.2, abs=0.1)
    assert elastic == pytest.approx(elastic.T, abs=1e-9)


def test_competitors_keep_their_symmetry(copper, fcc, hcp):
    """Published differences to fcc: bcc 46, hcp 8 meV/atom; bcc is unstable and must not slide into fcc."""
    bcc = relax(copper, bulk("Cu", "bcc", a=3.0))
    assert bcc.energy_per_atom_ev - fcc.energy_per_atom_ev == pytest.approx(0.046, abs=1e-3)
    assert hcp.energy_per_atom_ev - fcc.energy_per_atom_ev == pytest.approx(0.008, abs=1e-3)
    assert bcc.atoms.cell.angles() == pytest.approx([109.4712] * 3, abs=1e-4)
    elastic = elastic_constants(copper, bcc)
    assert elastic[0, 0] < elastic[0, 1]  # unstable, and told so


def relaxed_energy(model, atoms):
    """Energy with the second atom of hcp where it wants to be (steepest descent: its curvature is isotropic)."""
    atoms = atoms.copy()
    for _ in range(200):
        frames = frames_from_atoms([atoms], model.elements, model.cutoff)
        force = forces(model, frames)[0, 1]
        if np.abs(force).max() < 1e-7:
            break
        atoms.positions[1] += 0.07 * force
    return energies(model, frames)[0]


@pytest.mark.parametrize("voigt", [(0, 0), (1, 1), (5, 0)], ids=["C11", "C22", "C66"])
def test_elastic_constants_of_hcp_by_strain_with_relaxed_internal_coordinates(copper, hcp, voigt):
    step = 2e-3
    shear = voigt[0] == 5

    def at(size):
        strain = np.zeros((3, 3))
        i, j = (0, 1) if shear else (voigt[0], voigt[0])
        strain[i, j] = strain[j, i] = size / (2.0 if shear else 1.0)
        atoms = hcp.atoms.copy()
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        return relaxed_energy(copper, atoms)

    second = (at(step) - 2.0 * at(0.0) + at(-step)) / step**2
    measured = second / hcp.atoms.cell.volume * EV_PER_A3_IN_GPA
    elastic = elastic_constants(copper, hcp)
    assert elastic[voigt[0], voigt[0]] == pytest.approx(measured, rel=2e-3)
    assert elastic[5, 5] == pytest.approx((elastic[0, 0] - elastic[0, 1]) / 2.0, rel=1e-6)


def test_frozen_internal_coordinates_would_be_noticed(copper, hcp):
    """Negative control: without relaxation of the second atom C11 of hcp is wrong."""
    frames = frames_from_atoms([hcp.atoms], copper.elements, copper.cutoff)
    step, values = 2e-3, []
    for size in (step, 0.0, -step):
        strain = np.eye(3)
        strain[0, 0] += size
        values.append(
            energies(copper, frames._replace(positions=frames.positions @ strain, cells=frames.cells @ strain))[0]
        )
    frozen = (values[0] - 2 * values[1] + values[2]) / step**2 / hcp.atoms.cell.volume * EV_PER_A3_IN_GPA
    assert frozen > elastic_constants(copper, hcp)[0, 0] + 1.0


@pytest.mark.parametrize("kind", ["phase", "competitor"])
@pytest.mark.parametrize("crystal", ["fcc", "hcp"])
def test_jacobian_of_protected_rows(copper, kind, crystal, request):
    reference = request.getfixturevalue(crystal)
    theta = np.random.default_rng(1).normal(0.0, 0.02, copper.theta.size)  # away from Mishin's kink of F at ρ = 1
    rows = protected_rows(copper, reference, kind, theta)
    expected = {"fcc": ("C11", "C12", "C44"), "hcp": ("stress_zz", "C11", "C12", "C13", "C33", "C44")}[crystal]
    assert rows.names == (("energy", "pressure", *expected) if kind == "phase" else ("energy",))
    assert rows.units == ("eV/atom", *["GPa"] * (len(rows.names) - 1))
    step = 1e-5
    for index, unit in enumerate(np.eye(copper.theta.size)):
        up, down = (protected_rows(copper, reference, kind, theta + s * step * unit).values for s in (1.0, -1.0))
        # F″ of the spline jumps between intervals of the table: its slope is good to 1e-3 of the row
        scale = np.abs(rows.jacobian).max(axis=1)
        assert np.all(np.abs(rows.jacobian[:, index] - (up - down) / (2 * step)) < 1e-3 * scale)


def test_rows_of_a_phase_are_linear_in_pair_parameters_and_can_be_held(copper, fcc, hcp):
    """A direction in the null space of the rows leaves a, E and C as they are, and still changes the potential."""
    bcc = relax(copper, bulk("Cu", "bcc", a=2.9))
    references = ((fcc, "phase"), (hcp, "competitor"), (bcc, "competitor"))
    everything = np.vstack([protected_rows(copper, state, kind).jacobian for state, kind in references])
    jacobian = everything[:, :8]
    assert np.linalg.matrix_rank(everything, tol=1e-6) == 7
    assert np.linalg.matrix_rank(jacobian, tol=1e-6) == 6  # Cauchy: pair forces move C12 − C44 only with P
    free = np.linalg.svd(jacobian)[2][6:]
    theta = np.zeros(copper.theta.size)
    theta[:8] = 0.02 * free[0]
    before, after = (protected_rows(copper, fcc, "phase", t).values for t in (None, theta))
    assert after == pytest.approx(before, abs=1e-8)
    moved = relax(copper, fcc.atoms, theta)
    assert moved.volume_per_atom == pytest.approx(fcc.volume_per_atom, rel=1e-8)
    hot = bulk("Cu", a=3.7, cubic=True) * 2
    hot.positions += np.random.default_rng(0).normal(0.0, 0.2, hot.positions.shape)
    frames = frames_from_atoms([hot], ["Cu"], copper.cutoff)
    assert np.abs(energies(copper, frames, theta) - energies(copper, frames)).max() / 32 > 1e-4


def test_relaxation_of_internal_coordinates_within_symmetry(copper):
    """Perturbed by hand, the atoms of a cell return to their sites; the primitive cell is found again."""
    atoms = bulk("Cu", "hcp", a=2.6, c=4.1)
    atoms.positions[1] += [0.0, 0.0, 0.05]  # keeps a mirror: the force along z is allowed
    state = relax(copper, atoms)
    assert state.energy_per_atom_ev == pytest.approx(relax(copper, bulk("Cu", "hcp", a=2.55)).energy_per_atom_ev)
    assert len(relax(copper, bulk("Cu", a=3.6) * (2, 1, 2)).atoms) == 1


def test_binary_crystal(request):
    model = EamModel.from_file(potentials_folder() / "CuZr_mm.eam.fs", {"pair": 2})
    state = relax(model, bulk("CuZr", "cesiumchloride", a=3.3))
    assert state.pressure_gpa == pytest.approx(0.0, abs=1e-6)
    assert state.atoms.cell.lengths()[0] == pytest.approx(3.26, abs=0.1)
    assert protected_rows(model, state, "phase").names == ("energy", "pressure", "C11", "C12", "C44")


def test_what_does_not_bind_is_refused(copper):
    with pytest.raises(ConvergenceError, match="does the model bind it"):
        relax(copper, bulk("Cu", "sc", a=5.6))  # no neighbour within the cutoff: no force, no curvature
    with pytest.raises(InputError, match="spglib"):
        primitive(Atoms("Cu2", positions=[[0, 0, 0]] * 2, cell=[3.6] * 3, pbc=True))


TETRAGONAL = Atoms("Cu", cell=[3.0, 3.0, 4.0], pbc=True)
TRIGONAL = bulk("Bi", "rhombohedral", a=4.7, alpha=57.0)
ORTHORHOMBIC = Atoms("Cu", cell=[3.0, 3.3, 4.0], pbc=True)


@pytest.mark.parametrize(
    ("atoms", "stresses", "constants"),
    [
        (bulk("Cu"), "", "11 12 44"),
        (bulk("Si"), "", "11 12 44"),
        (bulk("Ti"), "zz", "11 12 13 33 44"),
        (TETRAGONAL, "zz", "11 12 13 33 44 66"),
        (ORTHORHOMBIC, "zz xx", "11 12 13 22 23 33 44 55 66"),
        (
            Atoms(
                "CuAgAu",
                positions=[[0, 0, 0], [1, 0.7, 0.2], [0.3, 1.9, 2.2]],
                cell=[[3, 0, 0], [0.4, 3.2, 0], [0.3, 0.8, 4]],
                pbc=True,
            ),
            "zz xx yz xz xy",
            "all",
        ),
    ],
    ids=["fcc", "diamond", "hcp", "tetragonal", "orthorhombic", "triclinic"],
)
def test_independent_components(atoms, stresses, constants):
    names = "xx yy zz yz xz xy".split()
    assert " ".join(names[i] for i in independent_stresses(atoms)) == stresses
    found = [f"{i + 1}{j + 1}" for i, j in independent_elastic_constants(atoms)]
    assert len(found) == 21 if constants == "all" else " ".join(found) == constants


def test_trigonal_has_six_elastic_constants():
    assert len(independent_elastic_constants(TRIGONAL)) == 6
