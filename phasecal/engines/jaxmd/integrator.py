"""One step of molecular dynamics at constant energy, temperature, or temperature and pressure.

Equations of motion of an orthogonal box with edges L_a (Martyna, Tobias & Klein, J. Chem. Phys. 101, 4177 (1994); split
as in Tuckerman et al., J. Phys. A 39, 5629 (2006)), with v_a = d ln L_a/dt, p_a = w v_a and n = 3N − 3 degrees of
freedom, because the total momentum is zero and stays so:

    dx_a/dt = p_a/m + v_a x_a                    d p_a/dt = F_a − (v_a + Σ_b v_b/n) p_a − (thermostat)
    w dv_a/dt = g_a − (thermostat),              g_a = Σ p_a²/m − ∂U/∂ln L_a − PV + Σ p²/(m n)

The invariant measure is exp(−β(U + PV)) dV dx dp of the N − 1 independent atoms. ``iso`` moves all edges by the mean of
the three g_a, which keeps the shape of the box; ``hexagonal`` moves x and y by the mean of theirs; ``aniso`` moves each
by its own. w = (n + 3) kT τ²/3 per edge in all.
The conserved quantity is U + K + PV + Σ p_a²/2w + that of the two chains, see :func:`conserved_energy`.

The Nosé–Hoover chains are jax-md's. Its own ``npt_nose_hoover`` is not used (jax-md 0.2.29): it scales the box
isotropically only, counts 3N degrees of freedom (temperatures low by 1/N) and computes every gradient twice.

All units are eV, Å, fs; masses are in eV fs²/Å².
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax_md.simulate import NoseHooverChain, nose_hoover_chain

from phasecal.engines.jaxmd.state import CHAIN_LENGTH, Barostat, Ensemble, State
from phasecal.structures import crystals

CHAIN_STEPS, SUZUKI_YOSHIDA = 1, 3
"""How finely a chain is integrated in one step."""

Surface = Callable[[Array, Array], Array]
"""Potential energy (eV) from positions (n_atoms, 3) and edges (3,)."""


def evaluate(surface: Surface, state: State) -> State:
    """Return the state with energy, forces and virial of its positions."""

    def strained(positions: Array, log_strain: Array) -> Array:
        stretch = jnp.exp(log_strain)
        return surface(positions * stretch, state.edges * stretch)

    energy, (slope, strain_slope) = jax.value_and_grad(strained, argnums=(0, 1))(state.positions, jnp.zeros(3))
    return state._replace(energy=energy, forces=-slope, virial=-strain_slope)


def begin_step(masses: Array, ensemble: Ensemble, state: State, *, thermostat: bool, barostat: Barostat) -> State:
    """Return the state with atoms and box where they are one time step later, half-way through the step.

    Args:
        masses: eV fs²/Å², shape (n_atoms, 1).
        ensemble: Temperature, pressure and time constants.
        state: The state now, with its forces.
        thermostat: Keep the temperature; otherwise, without a barostat, the energy is conserved.
        barostat: How the box changes; None keeps it.
    """
    if thermostat:
        state = _couple(state, masses, ensemble, barostat)
    return _drift(_push(state, masses, ensemble, barostat), masses, ensemble)


def end_step(
    surface: Surface, masses: Array, ensemble: Ensemble, state: State, *, thermostat: bool, barostat: Barostat
) -> State:
    """Return the state one time step later, from what :func:`begin_step` returned (its arguments, and the energy)."""
    state = _push(evaluate(surface, state), masses, ensemble, barostat, edges_last=True)
    return _couple(state, masses, ensemble, barostat) if thermostat else state


def edge_mass(state: State, ensemble: Ensemble) -> Array:
    """Inertia of one edge, w = (n + 3) kT τ²/3, eV fs²."""
    return (degrees_of_freedom(state) + 3) / 3 * ensemble.kT * ensemble.barostat_time**2


def degrees_of_freedom(state: State) -> int:
    """Return 3N − 3."""
    return int(state.positions.size) - 3


def kinetic_energies(state: State, masses: Array) -> Array:
    """Kinetic energy along x, y and z, eV, shape (3,)."""
    return jnp.sum(state.momenta**2 / masses, axis=0) / 2


def conserved_energy(state: State, masses: Array, ensemble: Ensemble, barostat: Barostat) -> Array:
    """What the dynamics of thermostat and barostat conserve, eV; without barostat U + K and the thermostat's part."""
    kT = ensemble.kT
    energy = state.energy + kinetic_energies(state, masses).sum()
    energy += _chain_energy(state.thermostat, degrees_of_freedom(state), kT, ensemble.thermostat_time)
    if barostat is None:
        return energy
    energy += ensemble.pressure * jnp.prod(state.edges)
    energy += jnp.sum(state.edge_momenta**2) / (2 * edge_mass(state, ensemble))
    return energy + _chain_energy(state.barostat, _box_freedom(barostat), kT, ensemble.barostat_time)


def _chain_energy(chain: Array, freedom: int, kT: Array, tau: Array) -> Array:
    """Σ p²/2Q + kT (n ξ_1 + ξ_2 + …), eV."""
    weights = jnp.ones(CHAIN_LENGTH).at[0].set(freedom)
    return jnp.sum(chain[1] ** 2 / (2 * weights * kT * tau**2)) + kT * jnp.sum(weights * chain[0])


def _box_freedom(barostat: crystals.Barostat) -> int:
    """Number of independent edges."""
    return {"iso": 1, "hexagonal": 2, "aniso": 3}[barostat]


def _couple(state: State, masses: Array, ensemble: Ensemble, barostat: Barostat) -> State:
    """Half a step of both chains."""
    kinetic = kinetic_energies(state, masses).sum()
    n = degrees_of_freedom(state)
    momenta, chain = _half_chain(state.momenta, state.thermostat, kinetic, n, ensemble, ensemble.thermostat_time)
    state = state._replace(momenta=momenta, thermostat=chain)
    if barostat is None:
        return state
    kinetic = jnp.sum(state.edge_momenta**2) / (2 * edge_mass(state, ensemble))
    n = _box_freedom(barostat)
    momenta, chain = _half_chain(state.edge_momenta, state.barostat, kinetic, n, ensemble, ensemble.barostat_time)
    return state._replace(edge_momenta=momenta, barostat=chain)


def _half_chain(
    momenta: Array, chain: Array, kinetic: Array, freedom: int, ensemble: Ensemble, tau: Array
) -> tuple[Array, Array]:
    """Half a step of one chain and the momenta it scales; jax-md's chain, whose masses are those of ``tau``."""
    functions = nose_hoover_chain(ensemble.timestep, CHAIN_LENGTH, CHAIN_STEPS, SUZUKI_YOSHIDA, tau)
    links = NoseHooverChain(chain[0], chain[1], jnp.zeros(CHAIN_LENGTH), tau, kinetic, freedom)
    momenta, links = functions.half_step(momenta, functions.update_mass(links, ensemble.kT), ensemble.kT)
    return momenta, jnp.stack([links.position, links.momentum])


def _push(state: State, masses: Array, ensemble: Ensemble, barostat: Barostat, *, edges_last: bool = False) -> State:
    """Half a step of all momenta; in the second half of a step the edges come last, as time reversal asks."""
    if barostat is None:
        return state._replace(momenta=state.momenta + state.forces * ensemble.timestep / 2)
    if edges_last:
        return _push_edges(_push_atoms(state, ensemble), masses, ensemble, barostat)
    return _push_atoms(_push_edges(state, masses, ensemble, barostat), ensemble)


def _push_edges(state: State, masses: Array, ensemble: Ensemble, barostat: Barostat) -> State:
    """Half a step of the edges' momenta (g_a in the module)."""
    twice_kinetic = 2 * kinetic_energies(state, masses)
    work = ensemble.pressure * jnp.prod(state.edges)
    force = twice_kinetic + state.virial - work + twice_kinetic.sum() / degrees_of_freedom(state)
    if barostat == "iso":
        force = jnp.full(3, force.mean())
    elif barostat == "hexagonal":
        force = force.at[:2].set(force[:2].mean())
    return state._replace(edge_momenta=state.edge_momenta + force * ensemble.timestep / 2)


def _push_atoms(state: State, ensemble: Ensemble) -> State:
    """Half a step of the atoms' momenta: forces, and the drag of a changing box."""
    rate = state.edge_momenta / edge_mass(state, ensemble)
    half = ensemble.timestep / 2
    x = (rate + rate.sum() / degrees_of_freedom(state)) * half
    momenta = state.momenta * jnp.exp(-x) + state.forces * half * jnp.exp(-x / 2) * _sinhc(x / 2)
    return state._replace(momenta=momenta)


def _drift(state: State, masses: Array, ensemble: Ensemble) -> State:
    """A step of positions and edges."""
    x = state.edge_momenta / edge_mass(state, ensemble) * ensemble.timestep
    velocities = state.momenta / masses
    positions = state.positions * jnp.exp(x) + velocities * ensemble.timestep * jnp.exp(x / 2) * _sinhc(x / 2)
    return state._replace(positions=positions, edges=state.edges * jnp.exp(x))


def _sinhc(x: Array) -> Array:
    """sinh(x)/x for small x, by its series."""
    square = x * x
    return 1 + square / 6 * (1 + square / 20 * (1 + square / 42))
