"""Crystals at 0 K under a model: relaxed cell and energy, elastic constants, and the rows that protect them.

Strain is symmetric and acts from the right: rows x of positions and cell become x(1 + ε). Voigt order is xx,
yy, zz, yz, xz, xy with engineering shears. All derivatives are exact derivatives of the model's energy; the
frozen part of a :class:`~phasecal.potentials.frozen.FrozenModel` is expanded by LAMMPS
(:mod:`phasecal.observables.expansion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from phasecal.errors import ConvergenceError
from phasecal.observables.expansion import Expansion, lammps_expansion, strained
from phasecal.observables.symmetry import independent_elastic_constants, independent_stresses, primitive
from phasecal.potentials.base import EnergyFunction, Model, frames_from_atoms
from phasecal.potentials.frozen import FrozenModel
from phasecal.units import EV_PER_A3_IN_GPA

FLOAT = NDArray[np.float64]

MAX_STRAIN = 0.03
"""Largest component of the strain of one Newton step."""

MAX_SHIFT = 0.1
"""Largest component of a displacement of one Newton step, Å."""

MAX_STEPS = 60
"""Newton steps after which a relaxation counts as failed."""

ENERGY_NOISE = 1e-10
"""A rise of the energy that is only rounding, eV."""

FORCELESS = 1e-10
"""Forces below this are rounding: the direction has none by symmetry (eV per unit of strain, eV/Å)."""

TOLERANCE = 1e-8
"""A crystal is at rest when no derivative of its energy is larger: eV per unit of strain and eV/Å, per atom."""

LIST_WIDTH = 64
"""Neighbour rows of crystals are padded to a multiple of this: similar crystals share a compiled function."""

VOIGT_NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")


@dataclass(frozen=True)
class ColdStructure:
    """A named crystal whose cold properties matter.

    Attributes:
        name: E.g. ``fcc``.
        atoms: A periodic cell of it.
    """

    name: str
    atoms: Atoms


@dataclass(frozen=True)
class ColdState:
    """A crystal at rest.

    Attributes:
        atoms: The relaxed primitive cell, oriented like the structure it was made from.
        energy_per_atom_ev: eV.
        volume_per_atom: Å³.
        pressure_gpa: What is left of it, GPa.
    """

    atoms: Atoms
    energy_per_atom_ev: float
    volume_per_atom: float
    pressure_gpa: float


class ProtectedRows(NamedTuple):
    """Cold numbers of one structure and how they depend on the parameters.

    Attributes:
        values: The energy in eV/atom, everything else in GPa, shape (n_rows,).
        jacobian: Their derivatives by θ, shape (n_rows, n_parameters).
        names: ``energy``, ``pressure``, ``stress_zz``, ``C11`` …
    """

    values: FLOAT
    jacobian: FLOAT
    names: tuple[str, ...]

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each value."""
        return tuple("eV/atom" if name == "energy" else "GPa" for name in self.names)


def relax(model: Model, atoms: Atoms, theta: ArrayLike | None = None) -> ColdState:
    """Relax cell and positions to zero pressure within the symmetry of the structure.

    Newton's method with the absolute eigenvalues of the Hessian goes downhill only; a direction that
    breaks the symmetry has no force and is never entered, so that an unstable structure (bcc copper)
    keeps its symmetry.

    Args:
        model: The potential.
        atoms: The structure; it is reduced to its primitive cell.
        theta: Parameters instead of the model's own.

    Raises:
        ConvergenceError: No minimum was found; the model does not bind this structure.
    """
    current = primitive(atoms)
    here = _expand(model, current, theta)
    for _ in range(MAX_STEPS):
        if np.abs(here.gradient).max() < TOLERANCE * len(current):
            if here.hessian[:3, :3].sum() < FORCELESS:
                break  # it does not resist compression: the atoms are too far apart to interact
            return ColdState(
                atoms=current,
                energy_per_atom_ev=here.energy / len(current),
                volume_per_atom=float(current.cell.volume) / len(current),
                pressure_gpa=float(_pressure_and_stress(here, current)[0]),
            )
        step = _newton_step(here)
        trial = strained(current, step)
        there = _expand(model, trial, theta)
        while there.energy > here.energy + ENERGY_NOISE and np.abs(step).max() > TOLERANCE:
            step = step / 2.0
            trial = strained(current, step)
            there = _expand(model, trial, theta)
        current, here = trial, there
    raise ConvergenceError(
        f"{atoms.symbols} ({len(atoms)} atoms) is not at rest after {MAX_STEPS} Newton steps; does the model bind it?"
    )


def elastic_constants(model: Model, state: ColdState, theta: ArrayLike | None = None) -> FLOAT:
    """Return the elastic constants at the geometry of ``state``, with relaxed internal coordinates.

    Args:
        model: The potential.
        state: A crystal at rest.
        theta: Parameters instead of the model's own.

    Returns:
        Voigt matrix, GPa, shape (6, 6).
    """
    return _elastic(_expand(model, state.atoms, theta), state.atoms)


def protected_rows(
    model: Model, reference: ColdState, kind: Literal["phase", "competitor"], theta: ArrayLike | None = None
) -> ProtectedRows:
    """Return the cold numbers that a calibration must not move, with their derivatives by θ.

    A phase is pinned at the reference geometry: energy, pressure (and further stresses if it is not
    cubic) and independent elastic constants, all linear in pair and embedding parameters. A competitor is
    pinned by the energy of its own relaxed geometry, whose derivative is that of the energy alone
    (Hellmann–Feynman).

    Args:
        model: The potential.
        reference: The structure at rest under the original model.
        kind: ``phase`` or ``competitor``.
        theta: Parameters instead of the model's own.
    """
    if kind == "competitor":
        atoms = relax(model, reference.atoms, theta).atoms
        stresses, constants = None, []
    else:
        atoms = reference.atoms
        stresses, constants = independent_stresses(atoms), independent_elastic_constants(atoms)

    def rows(energy: float, pressure_and_stress: FLOAT, elastic: FLOAT) -> list[float]:
        if stresses is None:
            return [energy]
        chosen = [float(pressure_and_stress[index]) for index in (0, *(1 + i for i in stresses))]
        return [energy, *chosen, *(float(elastic[pair]) for pair in constants)]

    here = _expand(model, atoms, theta)
    values = rows(here.energy / len(atoms), _pressure_and_stress(here, atoms), _elastic(here, atoms))
    columns = []
    for slope in _slopes(model, atoms, theta):
        elastic = _elastic_slope(here, slope, atoms)
        columns.append(rows(slope.energy / len(atoms), _pressure_and_stress(slope, atoms), elastic))
    names = ["energy"]
    if stresses is not None:
        names += ["pressure", *(f"stress_{VOIGT_NAMES[index]}" for index in stresses)]
        names += [f"C{i + 1}{j + 1}" for i, j in constants]
    return ProtectedRows(np.array(values), np.array(columns).reshape(-1, len(values)).T, tuple(names))


def _expand(model: Model, atoms: Atoms, theta: ArrayLike | None) -> Expansion:
    """Return the expansion of the energy around a crystal."""
    return _expand_along(model, atoms, theta, np.zeros(model.theta.size))[0]


def _slopes(model: Model, atoms: Atoms, theta: ArrayLike | None) -> list[Expansion]:
    """Return the derivatives of the expansion by each parameter.

    By one parameter after the other, or by one number of the expansion after the other if those are fewer.
    """
    size = 3 * len(atoms) + 3
    if model.theta.size <= 1 + size + size * size:
        return [_expand_along(model, atoms, theta, unit)[1] for unit in np.eye(model.theta.size)]
    rows = np.asarray(_expansion_rows(*_arguments(model, atoms, theta)))
    return [
        Expansion(float(column[0]), column[1 : 1 + size], column[1 + size :].reshape(size, size)) for column in rows.T
    ]


def _expand_along(model: Model, atoms: Atoms, theta: ArrayLike | None, direction: FLOAT) -> tuple[Expansion, Expansion]:
    """Return the expansion and its derivative by θ along a direction."""
    function, parameters, *frame = _arguments(model, atoms, theta)
    result = _expansion_and_slope(function, parameters, jnp.asarray(direction), *frame)
    value, slope = (Expansion(float(e), np.asarray(g), np.asarray(h)) for e, g, h in result)
    if isinstance(model, FrozenModel):
        value = value.plus(lammps_expansion(model.base, atoms))
    return value, slope


def _arguments(model: Model, atoms: Atoms, theta: ArrayLike | None) -> tuple[Any, ...]:
    """Return energy function, parameters and frame of a crystal."""
    reach = model.cutoff if theta is None else model.reach(theta)
    frames = frames_from_atoms([atoms], model.elements, reach)
    missing = -frames.neighbors.shape[2] % LIST_WIDTH
    return (
        model.energy_function,
        jnp.asarray(model.theta if theta is None else theta, dtype=jnp.float64),
        frames.positions[0],
        frames.cells[0],
        frames.species,
        np.pad(frames.neighbors[0], ((0, 0), (0, missing)), constant_values=len(atoms)),
        np.pad(frames.shifts[0], ((0, 0), (0, missing), (0, 0))),
    )


def _expansion(
    function: EnergyFunction, theta: Array, positions: Array, cell: Array, *rest: Array
) -> tuple[Array, Array, Array]:
    """Return energy, gradient and Hessian by strain and internal coordinates."""

    def energy(q: Array) -> Array:
        deformation = jnp.eye(3) + _strain(q)
        shifts = jnp.concatenate([jnp.zeros((1, 3)), q[6:].reshape(-1, 3)])
        return function(theta, (positions + shifts) @ deformation, cell @ deformation, *rest)

    origin = jnp.zeros(3 * positions.shape[0] + 3)
    (value, gradient), (_, hessian) = jax.lax.map(
        lambda unit: jax.jvp(jax.value_and_grad(energy), (origin,), (unit,)), jnp.eye(origin.size)
    )
    return value[0], gradient[0], hessian


@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def _expansion_and_slope(
    function: EnergyFunction, theta: Array, direction: Array, *frame: Array
) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    """Return energy, gradient and Hessian, and their derivatives by θ along a direction.

    One function for all uses, compiled without optimisation: crystals are so small that compiling is what
    costs.
    """
    value, slope = jax.jvp(lambda t: _expansion(function, t, *frame), (theta,), (direction,))
    return value, slope


@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def _expansion_rows(function: EnergyFunction, theta: Array, *frame: Array) -> Array:
    """Return the derivatives by θ of energy, gradient and Hessian, one row for each of their numbers."""

    def numbers(t: Array) -> Array:
        value, gradient, hessian = _expansion(function, t, *frame)
        return jnp.concatenate([value[None], gradient, hessian.ravel()])

    values, pullback = jax.vjp(numbers, theta)
    rows: Array = jax.lax.map(lambda unit: pullback(unit)[0], jnp.eye(values.size))
    return rows


def _pressure_and_stress(expansion: Expansion, atoms: Atoms) -> FLOAT:
    """Return the pressure and the six stresses, GPa, shape (7,)."""
    stress = expansion.gradient[:6] * EV_PER_A3_IN_GPA / atoms.cell.volume
    return np.array([-stress[:3].mean(), *stress])


def _elastic(expansion: Expansion, atoms: Atoms) -> FLOAT:
    """Return the elastic constants with relaxed internal coordinates, GPa, shape (6, 6)."""
    strain, mixed, internal = _blocks(expansion)
    relaxed = strain - mixed @ np.linalg.solve(internal, mixed.T)
    return np.asarray(relaxed * EV_PER_A3_IN_GPA / atoms.cell.volume)


def _elastic_slope(expansion: Expansion, slope: Expansion, atoms: Atoms) -> FLOAT:
    """Return the derivative of :func:`_elastic`, GPa per unit of θ, shape (6, 6)."""
    _, mixed, internal = _blocks(expansion)
    strain_slope, mixed_slope, internal_slope = _blocks(slope)
    response = np.linalg.solve(internal, mixed.T)
    cross = mixed_slope @ response
    relaxed = strain_slope - cross - cross.T + response.T @ internal_slope @ response
    return np.asarray(relaxed * EV_PER_A3_IN_GPA / atoms.cell.volume)


def _blocks(expansion: Expansion) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Return the strain–strain, strain–internal and internal–internal blocks of the Hessian."""
    hessian = expansion.hessian
    return hessian[:6, :6], hessian[:6, 6:], hessian[6:, 6:]


def _newton_step(expansion: Expansion) -> FLOAT:
    """Return the step −Σ g/|λ| over eigenvectors that have a force, of limited length, shape (3 n + 3,)."""
    eigenvalues, vectors = np.linalg.eigh(expansion.hessian)
    along = vectors.T @ expansion.gradient
    curvature = np.maximum(np.abs(eigenvalues), FORCELESS)
    step = -vectors @ np.where(np.abs(along) > FORCELESS, along / curvature, 0.0)
    strain, shift = np.abs(step[:6]).max(), np.abs(step[6:]).max(initial=0.0)
    return np.asarray(step / max(1.0, strain / MAX_STRAIN, shift / MAX_SHIFT))


def _strain(q: ArrayLike) -> Array:
    """Return the symmetric strain tensor of the first six (Voigt) coordinates."""
    xx, yy, zz, yz, xz, xy = jnp.asarray(q)[:6]
    return jnp.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]])
