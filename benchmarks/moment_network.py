"""A moment-network on one core: energy and forces per atom, and ∂U/∂θ from positions against stored invariants.

Usage: OMP_NUM_THREADS=1 XLA_FLAGS=--xla_cpu_multi_thread_eigen=false python benchmarks/moment_network.py [REPEATS]

500 atoms of hcp titanium, shaken; cutoff 5.5 Å and neighbours to 6 Å, as in molecular dynamics; 90-32-32-1, random
weights (the time does not depend on them). CPU time, the smallest and the median of the repeats, so that a busy machine
disturbs little. Also printed: how far float32 and the order of the atoms move the energy of the cell.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from ase.build import bulk

from phasecal.potentials.base import Frames, energies, frames_from_atoms, gradients
from phasecal.potentials.local import neighbor_vectors
from phasecal.potentials.moment_network import MomentNetworkModel
from phasecal.potentials.prepared import prepare

REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 15


def cpu_time(call: Callable[[], object]) -> tuple[float, float]:
    """Return smallest and median CPU time of a call, s, after one that compiles."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times), float(np.median(times))


def show(what: str, n_atoms: int, times: tuple[float, float]) -> None:
    """Print a line."""
    print(f"{what:<44} {1e6 * times[0] / n_atoms:6.1f} (median {1e6 * times[1] / n_atoms:.1f}) µs/atom", flush=True)


def molecular_dynamics(model: MomentNetworkModel, frames: Frames) -> tuple[Callable[[], object], Callable[[], float]]:
    """Return a call that computes energy and forces from vectors, and one that returns the energy of the cell, eV."""
    vectors, other = neighbor_vectors(frames.positions[0], frames.cells[0], frames.neighbors[0], frames.shifts[0], 12.0)
    species = jnp.asarray(frames.species)
    atoms, theta, kinds = model.atom_energies, jnp.asarray(model.theta), species[other]
    step = jax.jit(jax.value_and_grad(lambda v, a, t: jnp.sum(a(t, v, species, kinds))))
    vectors = vectors.astype(model.dtype)
    return (
        lambda: jax.block_until_ready(step(vectors, atoms, theta)),
        lambda: float(step(vectors, atoms, theta)[0]),
    )


def main() -> None:
    """Measure."""
    titanium = bulk("Ti", "hcp", a=2.95, c=4.68, orthorhombic=True) * (5, 5, 5)
    titanium.rattle(0.15, seed=1)
    double = replace(
        MomentNetworkModel.initial(["Ti"], 5.5, [[2.0]], dtype="float64", seed=1),
        mean=np.full((1, 90), 10.0),
        scale=np.full((1, 90), 20.0),
        references=np.array([-7.8]),
    )
    frames = frames_from_atoms([titanium], ["Ti"], 6.0)
    n, energy = frames.n_atoms, {}
    for model in (replace(double, dtype="float32"), double):
        call, value = molecular_dynamics(model, frames)
        show(f"energy and forces, {model.dtype}, {frames.neighbors.shape[2]} places", n, cpu_time(call))
        energy[model.dtype] = value()
    ready = prepare(double, frames)
    plain, stored = cpu_time(lambda: gradients(double, frames)), cpu_time(lambda: ready.gradients(double.theta))
    show("dU/dtheta from positions", n, plain)
    show("dU/dtheta from stored invariants", n, stored)
    print(f"ratio {plain[0] / stored[0]:.1f}; {1e3 * plain[0]:.2f} and {1e3 * stored[0]:.2f} ms per frame")
    whole = energies(double, frames)[0]
    order = np.random.default_rng(0).permutation(n)
    other = energies(double, frames_from_atoms([titanium[order]], ["Ti"], 6.0))[0]
    print(f"float32 minus float64: {energy['float32'] - energy['float64']:.2e} eV per cell of {n} atoms")
    print(f"other order of atoms, float64: {other - whole:.2e} eV per cell")


if __name__ == "__main__":
    main()
