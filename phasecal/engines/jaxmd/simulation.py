"""Replicas of one number of atoms that move together: compiled steps, and neighbour lists renewed between them.

On an accelerator as many replicas are vectorised as its memory holds; on a CPU they run one after the other, which is
faster there. The compiled loop stops where a list would no longer be exact, and goes on when the replicas that need
one have a new list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from phasecal.engines.jaxmd import integrator
from phasecal.engines.jaxmd.lists import Lists, exact, lists_of_all_pairs, make_lists, padded, widened
from phasecal.engines.jaxmd.state import CHAIN_LENGTH, COLUMNS, Barostat, Ensemble, State
from phasecal.engines.jaxmd.surface import sampled_energy
from phasecal.engines.lammps.task import SKIN
from phasecal.errors import EngineError
from phasecal.observables.ensemble import AMU_A2_PER_FS2_IN_EV
from phasecal.potentials.base import EnergyFunction, Model
from phasecal.units import EV_PER_A3_IN_GPA, KB

FLOAT = NDArray[np.float64]
MEMORY_SHARE = 0.8
"""Share of an accelerator's memory for what forces need in passing; the rest is for states, lists and the compiler."""


class Mode(NamedTuple):
    """What is compiled in: which motions there are, and how many replicas are vectorised at a time."""

    thermostat: bool
    barostat: Barostat
    together: int


class Atoms(NamedTuple):
    """Potential and atoms of a batch, as compiled functions take them.

    Attributes:
        function: The energy function.
        theta: Its parameters, shape (n_parameters,).
        cutoff: Å.
        species: Index of each atom into the model's elements, shape (n_replicas, n_atoms).
        masses: eV fs²/Å², shape (n_replicas, n_atoms, 1).
    """

    function: EnergyFunction
    theta: Array
    cutoff: Array
    species: Array
    masses: Array


class Simulation:
    """A batch of replicas under one model.

    Attributes:
        atoms: Potential and atoms.
        width: Width of the neighbour rows; a run that is continued must go on with that of the interrupted one.
    """

    def __init__(
        self, model: Model, species: NDArray[np.int32], *, barostat: Barostat, thermostat: bool = True, width: int = 0
    ) -> None:
        """Prepare a batch.

        Args:
            model: The potential.
            species: Index of each atom into the model's elements, shape (n_replicas, n_atoms).
            barostat: How boxes change; None keeps them.
            thermostat: Keep the temperature.
            width: Width of the neighbour rows to begin with.
        """
        masses = np.array([model.masses[element] for element in model.elements])[species][..., None]
        self.atoms = Atoms(
            function=sampled_energy(model),
            theta=jnp.asarray(model.theta),
            cutoff=jnp.asarray(model.cutoff),
            species=jnp.asarray(species),
            masses=jnp.asarray(masses * AMU_A2_PER_FS2_IN_EV),
        )
        self.width = width
        self._mode = Mode(thermostat, barostat, together=1)
        self._memory = accelerator_memory()
        self._lists: Lists | None = None

    def start(self, positions: FLOAT, edges: FLOAT, momenta: FLOAT) -> State:
        """Return the state of replicas with chains and boxes at rest, and its forces.

        Args:
            positions: Å, shape (n_replicas, n_atoms, 3).
            edges: Å, shape (n_replicas, 3).
            momenta: eV fs/Å, shape (n_replicas, n_atoms, 3).
        """
        n_replicas = len(positions)
        chain = jnp.zeros((n_replicas, 2, CHAIN_LENGTH))
        state = State(
            positions=jnp.asarray(positions),
            momenta=jnp.asarray(momenta),
            edges=jnp.asarray(edges),
            edge_momenta=jnp.zeros((n_replicas, 3)),
            energy=jnp.zeros(n_replicas),
            forces=jnp.zeros(positions.shape),
            virial=jnp.zeros((n_replicas, 3)),
            thermostat=chain,
            barostat=chain,
        )
        self.renew_lists(state)
        self.share_memory(state)
        with_forces: State = _evaluate(self.atoms, state, self._lists, self._mode)
        return with_forces

    def share_memory(self, state: State) -> None:
        """Find how many replicas are vectorised at a time, from what the forces of one of them need."""
        if self._memory is None:
            return
        atoms = self.atoms._replace(species=self.atoms.species[:1], masses=self.atoms.masses[:1])
        one, lists = jax.tree.map(lambda part: part[:1], (state, self._lists))
        compiled = _evaluate.lower(atoms, one, lists, self._mode).compile()
        needed = compiled.memory_analysis().temp_size_in_bytes  # type: ignore[union-attr]  # None on no platform of ours
        self._mode = self._mode._replace(together=fitting(len(state.energy), needed, MEMORY_SHARE * self._memory))

    def renew_lists(self, state: State, stale: NDArray[np.bool_] | None = None) -> None:
        """Make the neighbour lists of all replicas, or of the stale ones, anew.

        Raises:
            EngineError: An atom is nowhere.
        """
        if not (np.isfinite(state.positions).all() and np.isfinite(state.edges).all()):
            raise EngineError("Non-numeric positions: the run blew up; shorten the time step or check the potential")
        if stale is None or self._lists is None:
            stale = np.ones(len(state.energy), dtype=bool)
        reach = float(self.atoms.cutoff) + SKIN
        if self._memory is not None and float(state.edges.min()) > 2 * reach:
            self._lists = self._list_all_pairs(state, stale, reach)
        else:
            self._lists = self._list_cells(state, stale)

    def _list_all_pairs(self, state: State, stale: NDArray[np.bool_], reach: float) -> Lists:
        """Return the lists after the stale ones were made anew on the device."""
        lists: Lists
        lists, longest = lists_of_all_pairs(state.positions, state.edges, jnp.asarray(reach), self.width)
        if int(longest) > self.width:
            self.width = padded(int(longest))
            lists, _ = lists_of_all_pairs(state.positions, state.edges, jnp.asarray(reach), self.width)
        if self._lists is None or stale.all():
            return lists
        kept = widened(self._lists, self.width)
        return Lists(
            *(
                jnp.where(stale.reshape(-1, *[1] * (new.ndim - 1)), new, old)
                for new, old in zip(lists, kept, strict=True)
            )
        )

    def _list_cells(self, state: State, stale: NDArray[np.bool_]) -> Lists:
        """Return the lists after the stale ones were made anew on the host."""
        rows: list[Lists] = []
        positions, edges = np.asarray(state.positions), np.asarray(state.edges)
        for index in range(len(positions)):
            if self._lists is None or stale[index]:
                row, self.width = make_lists(positions[index], edges[index], float(self.atoms.cutoff), self.width)
            else:
                row = Lists(*(part[index] for part in self._lists))
            rows.append(row)
        rows = [widened(row, self.width) for row in rows]
        return Lists(*(jnp.stack(parts) for parts in zip(*rows, strict=True)))

    def advance(self, state: State, ensemble: Ensemble, n_steps: int) -> State:
        """Return the state ``n_steps`` later.

        Raises:
            EngineError: An atom moves by half the skin of the neighbour lists in one step, or is nowhere.
        """
        renewed = False
        while n_steps:
            lists = self._lists
            done, state, fresh = _advance(self.atoms, ensemble, state, lists, n_steps, self._mode)
            if not int(done) and renewed:
                raise EngineError(
                    "Non-numeric or too fast: atoms move half the skin of the neighbour lists in one step"
                )
            n_steps -= int(done)
            if n_steps:
                self.renew_lists(state, ~np.asarray(fresh))
                renewed = True
        return state

    def observe(self, state: State) -> FLOAT:
        """Return the thermodynamic quantities of :data:`COLUMNS`, shape (n_replicas, n_columns)."""
        columns: FLOAT = np.asarray(_observe(state, self.atoms.masses))
        assert columns.shape[1] == len(COLUMNS)
        return columns

    def conserved(self, state: State, ensemble: Ensemble) -> FLOAT:
        """Return what the dynamics conserve, eV, shape (n_replicas,)."""
        conserved = partial(integrator.conserved_energy, barostat=self._mode.barostat)
        energies: FLOAT = np.asarray(jax.vmap(conserved)(state, self.atoms.masses, ensemble))
        return energies


def thermal_momenta(masses: FLOAT, temperature_k: float, seed: int) -> FLOAT:
    """Draw momenta of exactly one temperature, whose sum is zero.

    Args:
        masses: eV fs²/Å², shape (n_atoms, 1).
        temperature_k: K, with 3N − 3 degrees of freedom.
        seed: Of the random numbers.

    Returns:
        eV fs/Å, shape (n_atoms, 3).
    """
    drawn = np.sqrt(masses) * np.random.default_rng(seed).normal(size=(len(masses), 3))
    momenta = at_rest(drawn, masses)
    found = float(np.sum(momenta**2 / masses)) / (3 * len(masses) - 3)
    return momenta * math.sqrt(KB * temperature_k / found)


def at_rest(momenta: FLOAT, masses: FLOAT) -> FLOAT:
    """Return momenta, shape (..., n_atoms, 3), without the motion of the centre of mass."""
    velocity: FLOAT = momenta.sum(axis=-2, keepdims=True) / masses.sum(axis=-2, keepdims=True)
    return momenta - masses * velocity


def accelerator_memory() -> int | None:
    """Return how much memory the accelerator gives this process, bytes; None on a CPU."""
    device = jax.local_devices()[0]
    return None if device.platform == "cpu" else int(device.memory_stats()["bytes_limit"])


def fitting(n_replicas: int, needed: float, memory: float) -> int:
    """Return how many of some replicas that each need so much fit into a memory, in parts of equal size."""
    most = max(1, min(n_replicas, int(memory // max(needed, 1))))
    return -(-n_replicas // -(-n_replicas // most))


def _each(function: Callable[..., Any], mode: Mode) -> Callable[..., Any]:
    """Return a function of all replicas from one of a single replica."""
    if mode.together == 1:
        return lambda *arguments: jax.lax.map(lambda replica: function(*replica), arguments)
    return lambda *arguments: jax.lax.map(lambda replica: function(*replica), arguments, batch_size=mode.together)


def _surface(atoms: Atoms, species: Array, lists: Lists) -> integrator.Surface:
    """Return the potential energy of one replica as a function of positions and edges."""
    return lambda positions, edges: atoms.function(
        atoms.theta, positions, jnp.diag(edges), species, lists.neighbors, lists.shifts
    )


@partial(jax.jit, static_argnums=3)
def _evaluate(atoms: Atoms, state: State, lists: Lists, mode: Mode) -> State:
    """Return the state with the forces of its positions."""

    def evaluated(species: Array, one: State, mine: Lists) -> State:
        return integrator.evaluate(_surface(atoms, species, mine), one)

    result: State = _each(evaluated, mode)(atoms.species, state, lists)
    return result


@partial(jax.jit, static_argnums=5)
def _advance(
    atoms: Atoms, ensemble: Ensemble, state: State, lists: Lists, n_steps: int, mode: Mode
) -> tuple[Array, State, Array]:
    """Step until ``n_steps`` are done or a list ends to be exact.

    Returns:
        Number of steps done, the state after them, and which lists will be exact after one more step.
    """

    def begin(masses: Array, coupling: Ensemble, one: State, mine: Lists) -> tuple[State, Array]:
        moved = integrator.begin_step(masses, coupling, one, thermostat=mode.thermostat, barostat=mode.barostat)
        return moved, exact(mine, moved, atoms.cutoff)

    def end(species: Array, masses: Array, coupling: Ensemble, moved: State, mine: Lists) -> State:
        surface = _surface(atoms, species, mine)
        motion = partial(integrator.end_step, thermostat=mode.thermostat, barostat=mode.barostat)
        return motion(surface, masses, coupling, moved)

    def goes_on(carry: tuple[Array, State, State, Array]) -> Array:
        return (carry[0] < n_steps) & carry[3].all()

    def one_step(carry: tuple[Array, State, State, Array]) -> tuple[Array, State, State, Array]:
        after = _each(end, mode)(atoms.species, atoms.masses, ensemble, carry[2], lists)
        return carry[0] + 1, after, *_each(begin, mode)(atoms.masses, ensemble, after, lists)

    first = (jnp.zeros((), dtype=int), state, *_each(begin, mode)(atoms.masses, ensemble, state, lists))
    done, state, _, fresh = jax.lax.while_loop(goes_on, one_step, first)
    return done, state, fresh


@jax.jit
def _observe(state: State, masses: Array) -> Array:
    """Return :data:`COLUMNS` of all replicas."""

    def observed(one: State, mass: Array) -> Array:
        kinetic = integrator.kinetic_energies(one, mass)
        volume = jnp.prod(one.edges)
        stress = (2 * kinetic + one.virial) / volume
        energy = one.energy + kinetic.sum()
        temperature = 2 * kinetic.sum() / (integrator.degrees_of_freedom(one) * KB)
        force_sq = jnp.sum(one.forces**2 / mass) * AMU_A2_PER_FS2_IN_EV
        head = jnp.stack([temperature, one.energy, kinetic.sum(), energy, energy + stress.mean() * volume, volume])
        pressures = jnp.concatenate([stress.mean()[None], stress]) * EV_PER_A3_IN_GPA
        return jnp.concatenate([head, one.edges, pressures, force_sq[None]])

    return jax.vmap(observed)(state, masses)
