"""What the jax-md engine computes: atoms in single precision, lists of all pairs, and as many replicas as fit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_networks
from ase.build import bulk
from jax.extend.core import jaxprs_in_params

from phasecal.engines import jaxmd
from phasecal.engines.jaxmd import runs, simulation
from phasecal.engines.jaxmd.lists import lists_of_all_pairs, make_lists
from phasecal.engines.jaxmd.simulation import fitting
from phasecal.engines.jaxmd.surface import sampled_energy
from phasecal.engines.lammps.task import SKIN
from phasecal.potentials.lj import LjModel
from phasecal.potentials.moment_network import MomentNetworkModel


def argon():
    return LjModel.from_parameters(element="Ar", mass=39.95, epsilon=0.1, sigma=2.4, cutoff_sigmas=2.5, shift=True)


MODELS = {
    "lj": lambda path: argon(),
    "moment-network": lambda path: MomentNetworkModel.initial(["Ti"], 5.0, [[2.6]], seed=1),
    "nequix": lambda path: tiny_networks.model("nequix", path),
    "mace": lambda path: tiny_networks.model("mace", path),
}


@pytest.mark.parametrize("family", MODELS)
def test_atoms_are_single_and_their_sum_is_the_energy_of_the_model(family, tmp_path):
    model = MODELS[family](tmp_path / "weights")
    atoms = bulk(model.elements[0], "fcc", a=4.0, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=3)
    edges = atoms.cell.lengths()
    lists, _ = make_lists(atoms.positions, edges, model.cutoff, 0)
    frame = (jnp.asarray(atoms.positions), jnp.diag(edges), jnp.zeros(len(atoms), jnp.int32))
    arguments = (jnp.asarray(model.theta), *frame, lists.neighbors, lists.shifts)
    ours, exact = (
        jax.jit(jax.value_and_grad(f, argnums=1))(*arguments) for f in (sampled_energy(model), model.energy_function)
    )
    scale = float(jnp.abs(exact[1]).max())
    assert scale > 1e-3
    assert ours[1].dtype == ours[0].dtype == jnp.float64  # what is summed over atoms and steps
    assert float(jnp.abs(ours[1] - exact[1]).max()) < 2e-4 * scale
    assert float(ours[0]) == pytest.approx(float(exact[0]), abs=1e-6 * len(atoms))
    assert float(jnp.abs(ours[1] - exact[1]).max()) > 0  # they are not doubles by accident
    single, double = (
        jax.make_jaxpr(lambda *given, f=f: f(*given))(*arguments).jaxpr
        for f in (sampled_energy(model), model.energy_function)
    )
    assert not doubles(single)
    assert doubles(double, inside=True)


def test_a_moment_network_made_for_double_precision_is_sampled_in_it():
    """In JAX's single mode it would be single, with a warning."""
    model = MomentNetworkModel.initial(["Ti"], 5.0, [[2.6]], seed=1, dtype="float64")
    atoms = bulk("Ti", "fcc", a=4.0, cubic=True)
    atoms.rattle(0.1, seed=3)
    lists, _ = make_lists(atoms.positions, atoms.cell.lengths(), model.cutoff, 0)
    frame = (jnp.asarray(atoms.positions), jnp.asarray(atoms.cell[:]), jnp.zeros(len(atoms), jnp.int32))
    arguments = (jnp.asarray(model.theta), *frame, lists.neighbors, lists.shifts)
    sampled, exact = (float(f(*arguments)) for f in (sampled_energy(model), model.energy_function))
    assert sampled == pytest.approx(exact, rel=1e-14)


def doubles(jaxpr, inside=False):
    """Operations with real numbers in double precision between the vectors and the energies of atoms."""
    found = set()
    for equation in jaxpr.eqns:
        within = inside or equation.primitive.name == "custom_vjp_call"
        for inner in jaxprs_in_params(equation.params):
            found |= doubles(inner, within)
        if within and any(str(v.aval.dtype) == "float64" for v in equation.outvars):
            found.add(equation.primitive.name)
    return found - {"custom_vjp_call", "convert_element_type", "reduce_sum", "pjit", "jit"}


def test_all_pairs_are_those_of_the_cells():
    """Atoms far outside of their box as well; a box in which a second image is in reach is for the cells alone."""
    rng = np.random.default_rng(4)
    edges = np.array([13.0, 14.0, 15.0])
    positions = rng.uniform(0, 1, (120, 3)) * edges + rng.integers(-3, 4, (120, 3)) * edges
    cutoff = 5.0
    expected, width = make_lists(positions, edges, cutoff, 0)
    batch = jnp.asarray(np.stack([positions, positions[::-1]])), jnp.asarray(np.stack([edges, edges]))
    lists, longest = lists_of_all_pairs(*batch, jnp.asarray(cutoff + SKIN), width)
    assert pairs(lists.neighbors[0], lists.shifts[0]) == pairs(expected.neighbors, expected.shifts)
    assert int(longest) == int((expected.neighbors < 120).sum(axis=1).max())
    short, _ = lists_of_all_pairs(batch[0], batch[1] / 2, jnp.asarray(cutoff + SKIN), width)
    half, _ = make_lists(positions, edges / 2, cutoff, width)
    assert pairs(short.neighbors[0], short.shifts[0]) < pairs(half.neighbors, half.shifts)


def pairs(neighbors, shifts):
    return {
        (i, int(j), *map(int, shift))
        for i, row in enumerate(np.asarray(neighbors))
        for j, shift in zip(row, np.asarray(shifts)[i], strict=True)
        if j < len(neighbors)
    }


@pytest.mark.parametrize(
    ("replicas", "needed", "memory", "expected"),
    [
        (24, 1.0, 100.0, 24),
        (24, 1.0, 10.0, 8),
        (24, 7.0, 10.0, 1),
        (24, 20.0, 10.0, 1),
        (5, 1.0, 3.0, 3),
        (1, 0.0, 1.0, 1),
    ],
)
def test_replicas_share_the_memory_in_equal_parts(replicas, needed, memory, expected):
    assert fitting(replicas, needed, memory) == expected


def test_an_accelerator_gives_what_a_cpu_gives(tmp_path, monkeypatch):
    """The way of an accelerator (lists of all pairs, replicas in parts), taken on the CPU."""
    task = {
        **{"schema": 1, "kind": "bulk", "phase": "fcc", "melt": False, "melt_temperature_k": None, "melt_steps": 0},
        **{"structure": {"prototype": "fcc", "elements": ["Ar"], "a": 3.75}, "barostat": "iso", "n_atoms": 256},
        **{"pressure_gpa": 0.0, "timestep_fs": 2.0, "equilibration_steps": 20, "production_steps": 60},
        **{"thermo_every": 20, "sample_every": 20, "restart_every": 40},
    }
    found, together, made = {}, [], []
    monkeypatch.setattr(simulation, "fitting", lambda *given: together.append(fitting(*given)) or together[-1])
    monkeypatch.setattr(simulation, "lists_of_all_pairs", lambda *given: made.append(1) or lists_of_all_pairs(*given))
    for place, memory in (("cpu", None), ("accelerator", 12e6)):
        monkeypatch.setattr(simulation, "accelerator_memory", lambda memory=memory: memory)
        folders = [tmp_path / place / str(seed) for seed in range(3)]
        tasks = [task | {"seed": seed + 1, "temperature_k": 300.0 + 100 * seed} for seed in range(3)]
        for folder, one in zip(folders, tasks, strict=True):
            folder.mkdir(parents=True)
            jaxmd.write_inputs(folder, one, argon())
        runs.run(folders)
        read = [jaxmd.read_output(*run, argon().hash, ("Ar",)) for run in zip(folders, tasks, strict=True)]
        found[place] = np.array([output.thermo["pe"] for output in read])
    assert together == [2]  # of three, once for the batch: the forces of one replica need 4 MB of these 12
    assert made
    assert np.abs(found["cpu"] - found["accelerator"]).max() < 1e-3  # of 256 atoms, eV
    assert np.abs(found["cpu"][0] - found["cpu"][1]).max() > 0.1
