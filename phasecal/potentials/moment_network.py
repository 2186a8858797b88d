"""The family ``moment-network``: a small local machine-learned potential.

U = Σ_i [ε_s(i) + N_s(i)(arsinh z_i) + g_i]: a reference energy ε of the element, a network N of the element (hidden
layers of tanh, no bias at the end) of the standardised invariants z of the atom's moments, and a fixed guard g against
distances that the training data do not hold (:mod:`~phasecal.potentials.moments`). Neighbours of different elements
have their own radial functions.

In a collision invariants change by hundreds of their standard deviations per Å, and a network that saw them as they are
made walls of 500 eV/Å out of it; the inverse hyperbolic sine leaves those of thermal motion and takes the logarithm of
the others.

``theta`` are the weights of the networks, so that everything of an atom but the network is the same for all versions of
a model in a calibration: invariants are stored once per frame, and energies and ∂U/∂θ come from them
(:mod:`~phasecal.potentials.prepared`). Radial functions, standardisation and reference energies are fitted once
(:mod:`~phasecal.fitting`) and then frozen.

Precision: :meth:`Model.energy` and everything derived from it (reweighting, ∂U/∂θ, forces, virials) is float64
throughout. :attr:`MomentNetworkModel.atom_energies`, which molecular dynamics runs, works per atom in ``dtype``; in
float32 an atom energy is off by about 1e-7 of the network's output, while references are added and atoms summed in
float64.

Known limit: the guard keeps pairs apart, but nothing stops a configuration whose distances are all sampled and whose
coordination is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import atomic_masses, atomic_numbers
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from phasecal.errors import DataError, InputError
from phasecal.potentials.artifact import Precision, plugin_commands
from phasecal.potentials.base import FLOAT, Model, frozen_array
from phasecal.potentials.local import neighbor_vectors
from phasecal.potentials.moments import invariants, moments, n_invariants, radial_basis, repulsion, split

GUARD_EV = 300.0
"""Strength of the guard of new models, eV."""
REVISION = 2
"""Of the formula: in the first one polynomials began at the clamp. Models of another revision are refused."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MomentAtoms:
    """The arrays of a moment-network as a pytree that computes atom energies.

    Attributes:
        radial: Coefficients of the radial functions, by element of the neighbour, shape (n_elements, n_radial,
            n_basis).
        mean: Mean of the invariants, by element of the atom, shape (n_elements, n_invariants).
        scale: Their standard deviations, same shape.
        references: Energy of each element, eV, shape (n_elements,).
        inner: Shortest sampled distance of each pair of elements, Å, shape (n_elements, n_elements).
        cutoff: Å.
        guard: Strength of the guard, eV.
        hidden: Width of each hidden layer.
        dtype: Of all work per atom.
    """

    radial: Array
    mean: Array
    scale: Array
    references: Array
    inner: Array
    cutoff: float = field(metadata={"static": True})
    guard: float = field(metadata={"static": True})
    hidden: tuple[int, ...] = field(metadata={"static": True})
    dtype: str = field(metadata={"static": True})

    def __call__(self, theta: ArrayLike, vectors: ArrayLike, species: ArrayLike, neighbor_species: ArrayLike) -> Array:
        """Return the energy of each atom, eV (see :class:`~phasecal.potentials.local.AtomEnergies`)."""
        species = jnp.asarray(species)
        z, fixed = self.features(vectors, species, neighbor_species)
        return self.network(theta, z, species) + fixed

    def features(self, vectors: ArrayLike, species: ArrayLike, neighbor_species: ArrayLike) -> tuple[Array, Array]:
        """Return what does not depend on θ.

        Returns:
            arsinh of the standardised invariants, shape (n_atoms, n_invariants), and reference energy plus guard of
            each atom, eV, float64, shape (n_atoms,).
        """
        z, fixed = self.standardised(vectors, species, neighbor_species)
        return jnp.arcsinh(z), fixed

    def standardised(self, vectors: ArrayLike, species: ArrayLike, neighbor_species: ArrayLike) -> tuple[Array, Array]:
        """Return the same with the standardised invariants as they are."""
        species, neighbor_species = jnp.asarray(species), jnp.asarray(neighbor_species)
        unit, distance, inside = split(jnp.asarray(vectors).astype(self.dtype), self.cutoff)
        single = self.radial.shape[0] == 1
        inner = self.inner[0, 0] if single else self.inner[species[:, None], neighbor_species]
        inner = inner.astype(self.dtype)
        basis = radial_basis(distance, inside, inner, self.cutoff, self.radial.shape[2])
        kinds = jnp.arange(len(self.radial))
        of_kind = [basis] if single else [basis * (neighbor_species == kind)[..., None] for kind in kinds]
        # moments are linear in the radial functions: their coefficients are applied to sums, not to every neighbour
        parts = [moments(unit, functions) for functions in of_kind]
        raw = invariants(jnp.einsum("enb,eibm->inm", self.radial.astype(self.dtype), jnp.stack(parts)))
        z = (raw - self.mean[species].astype(self.dtype)) / self.scale[species].astype(self.dtype)
        guard = repulsion(distance, inside, inner, self.guard)
        return z, self.references[species] + guard.astype(self.references.dtype)

    def network(self, theta: ArrayLike, z: Array, species: Array) -> Array:
        """Return the networks' part of each atom's energy, eV, float64, shape (n_atoms,).

        Args:
            theta: Parameters, shape (n_parameters,).
            z: arsinh of the standardised invariants, shape (n_atoms, n_invariants).
            species: Element of each atom, shape (n_atoms,).
        """
        n_elements = self.radial.shape[0]
        weights = jnp.asarray(theta).astype(self.dtype).reshape(n_elements, -1)
        outputs = [_network(weights[kind], z, self.hidden) for kind in range(n_elements)]
        if n_elements == 1:
            return outputs[0].astype(self.references.dtype)
        chosen = [jnp.where(species == kind, output, 0.0) for kind, output in enumerate(outputs)]
        return jnp.sum(jnp.stack(chosen), axis=0).astype(self.references.dtype)


def _network(weights: Array, z: Array, hidden: Sequence[int]) -> Array:
    """Return the output of one network, eV, shape (n_atoms,); its weights are laid out as :func:`layers` says."""
    start, h = 0, z
    for n_in, n_out in pairwise((z.shape[1], *hidden)):
        matrix = weights[start : start + n_in * n_out].reshape(n_in, n_out)
        bias = weights[start + n_in * n_out : start + (n_in + 1) * n_out]
        h = jnp.tanh(h @ matrix + bias)
        start += (n_in + 1) * n_out
    return h @ weights[start:]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MomentEnergy:
    """The whole energy of a configuration, in float64, from atom energies (an :class:`EnergyFunction`).

    Attributes:
        atoms: The arrays of the model, with ``dtype`` float64.
    """

    atoms: MomentAtoms

    def __call__(
        self,
        theta: ArrayLike,
        positions: ArrayLike,
        cell: ArrayLike,
        species: ArrayLike,
        neighbors: ArrayLike,
        shifts: ArrayLike,
    ) -> Array:
        """Return the energy of one configuration, eV (arguments as in :meth:`Model.energy`)."""
        features = self.features(positions, cell, species, neighbors, shifts)
        return self.from_features(theta, features, species)

    def features(
        self, positions: ArrayLike, cell: ArrayLike, species: ArrayLike, neighbors: ArrayLike, shifts: ArrayLike
    ) -> tuple[Array, Array]:
        """Return the invariants of each atom, and the energy of the cell that does not depend on θ, eV."""
        species = jnp.asarray(species)
        vectors, other = neighbor_vectors(positions, cell, neighbors, shifts, 2.0 * self.atoms.cutoff)
        z, fixed = self.atoms.features(vectors, species, species[other])
        return z, jnp.sum(fixed)

    def from_features(self, theta: ArrayLike, features: tuple[Array, Array], species: ArrayLike) -> Array:
        """Return the energy of a configuration from its features, eV."""
        z, fixed = features
        return jnp.sum(self.atoms.network(theta, z, jnp.asarray(species))) + fixed


@dataclass(frozen=True, eq=False, kw_only=True)
class MomentNetworkModel(Model):
    """A moment-network (see the module).

    Attributes:
        radial: See :class:`MomentAtoms`, also the following.
        mean: …
        scale: …
        references: …
        inner: …
        hidden: Width of each hidden layer.
        dtype: Precision of the work per atom in molecular dynamics.
        guard: Strength of the guard, eV.
    """

    family: ClassVar[str] = "moment-network"

    radial: FLOAT
    mean: FLOAT
    scale: FLOAT
    references: FLOAT
    inner: FLOAT
    hidden: tuple[int, ...]
    dtype: Precision = "float32"
    guard: float = GUARD_EV

    def __post_init__(self) -> None:
        """Freeze the arrays and check that they belong together.

        Raises:
            DataError: They do not.
        """
        n, features = len(self.elements), n_invariants(self.radial.shape[1])
        shapes = {
            "radial": (n, *self.radial.shape[1:]),
            "mean": (n, features),
            "scale": (n, features),
            "references": (n,),
            "inner": (n, n),
        }
        for name, shape in shapes.items():
            array = frozen_array(getattr(self, name))
            if array.shape != shape or not np.isfinite(array).all():
                raise DataError(f"{name} has shape {array.shape} or is not finite; expected finite numbers {shape}")
            object.__setattr__(self, name, array)
        if self.dtype not in ("float32", "float64") or not (self.scale > 0).all():
            raise DataError("expected dtype float32 or float64 and scales above 0")
        if not (
            (self.inner > 0).all() and (self.inner < self.cutoff).all() and np.array_equal(self.inner, self.inner.T)
        ):
            raise DataError(f"expected symmetric inner distances between 0 and the cutoff, {self.cutoff} Å")
        super().__post_init__()

    @classmethod
    def initial(
        cls,
        elements: Sequence[str],
        cutoff: float,
        inner: ArrayLike,
        *,
        n_radial: int = 6,
        n_basis: int = 8,
        hidden: Sequence[int] = (32, 32),
        dtype: Precision = "float32",
        seed: int,
    ) -> Self:
        """Return a model with random weights (variance 1/n_in), identity standardisation and zero references.

        Args:
            elements: Chemical symbols; masses are theirs.
            cutoff: Å.
            inner: Shortest distance of each pair of elements, Å, shape (n_elements, n_elements).
            n_radial: Radial functions.
            n_basis: Chebyshev polynomials that they are made of.
            hidden: Width of each hidden layer.
            dtype: Precision of molecular dynamics.
            seed: Of the weights.
        """
        rng = np.random.default_rng(seed)
        n, features = len(elements), n_invariants(n_radial)
        theta = [
            np.zeros(shape) if layer.startswith("bias") else rng.normal(0.0, shape[0] ** -0.5, shape)
            for _ in elements
            for layer, shape in layers(features, hidden)
        ]
        start = np.eye(n_radial, n_basis) + rng.normal(0.0, 0.1, (n, n_radial, n_basis))
        return cls(
            elements=tuple(elements),
            cutoff=cutoff,
            masses={element: float(atomic_masses[atomic_numbers[element]]) for element in elements},
            theta=np.concatenate([part.ravel() for part in theta]),
            radial=start,
            mean=np.zeros((n, features)),
            scale=np.ones((n, features)),
            references=np.zeros(n),
            inner=np.asarray(inner, dtype=np.float64),
            hidden=tuple(hidden),
            dtype=dtype,
        )

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names in the order of ``theta``: ``weight1[Ti][0,0]``, ``bias1[Ti][0]`` …."""
        return tuple(
            f"{layer}[{element}][{','.join(map(str, index))}]"
            for element in self.elements
            for layer, shape in layers(self.mean.shape[1], self.hidden)
            for index in np.ndindex(shape)
        )

    @property
    def n_parameters(self) -> int:
        """Number of weights of the networks of all elements."""
        return len(self.elements) * sum(math.prod(shape) for _, shape in layers(self.mean.shape[1], self.hidden))

    @property
    def config(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {
            "elements": list(self.elements),
            "masses": dict(self.masses),
            "cutoff": self.cutoff,
            "hidden": list(self.hidden),
            "dtype": self.dtype,
            "guard": self.guard,
            "revision": REVISION,
        }

    def arrays(self) -> dict[str, FLOAT]:
        """Return the weights and everything that is fitted once."""
        names = ("theta", "radial", "mean", "scale", "references", "inner")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], parent: str | None = None
    ) -> Self:
        """Rebuild a model from its config and arrays.

        Raises:
            DataError: It is of another revision, or its parts do not belong together.
        """
        if config.get("revision") != REVISION:
            raise DataError(f"a moment-network whose formula is not revision {REVISION}, this version's: fit it again")
        return cls(
            elements=tuple(config["elements"]),
            masses=config["masses"],
            cutoff=config["cutoff"],
            hidden=tuple(config["hidden"]),
            dtype=config["dtype"],
            guard=config["guard"],
            parent=parent,
            **{name: arrays[name] for name in ("theta", "radial", "mean", "scale", "references", "inner")},
        )

    @cached_property
    def atom_energies(self) -> MomentAtoms:
        """What molecular dynamics computes, in :attr:`dtype` per atom."""
        return MomentAtoms(
            radial=jnp.asarray(self.radial),
            mean=jnp.asarray(self.mean),
            scale=jnp.asarray(self.scale),
            references=jnp.asarray(self.references),
            inner=jnp.asarray(self.inner),
            cutoff=self.cutoff,
            guard=self.guard,
            hidden=self.hidden,
            dtype=self.dtype,
        )

    @property
    def native(self) -> tuple[str, dict[str, NDArray[Any]]]:
        """What the LAMMPS plugin needs to compute the model without JAX (:mod:`phasecal.native`)."""
        sizes = {"hidden": np.array(self.hidden, dtype=np.int32), "guard": np.array([self.guard])}
        return f"{self.family} {REVISION}", {**self.arrays(), **sizes}

    @cached_property
    def energy_function(self) -> MomentEnergy:
        """The whole energy, in float64 throughout."""
        return MomentEnergy(replace(self.atom_energies, dtype="float64"))

    def select(self, elements: Sequence[str]) -> Self:
        """Return the model of some of its elements, in this order, with this model as parent.

        Raises:
            InputError: It does not describe one of them.
        """
        missing = [element for element in elements if element not in self.elements]
        if missing:
            raise InputError(f"the model has no {', '.join(missing)}; its elements are {', '.join(self.elements)}")
        if tuple(elements) == self.elements:
            return self
        rows = [self.elements.index(element) for element in elements]
        return replace(
            self,
            elements=tuple(elements),
            masses={element: self.masses[element] for element in elements},
            theta=self.theta.reshape(len(self.elements), -1)[rows].ravel(),
            radial=self.radial[rows],
            mean=self.mean[rows],
            scale=self.scale[rows],
            references=self.references[rows],
            inner=self.inner[np.ix_(rows, rows)],
            parent=self.hash,
        )

    def export_lammps(self, folder: Path) -> list[str]:
        """Write the model as an artifact in :attr:`dtype`; it runs in LAMMPS through the plugin."""
        return plugin_commands(self, folder, self.dtype)


def layers(n_features: int, hidden: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
    """Return name and shape of the weights of one network, in the order in which they lie in ``theta``."""
    parts: list[tuple[str, tuple[int, ...]]] = []
    for index, (n_in, n_out) in enumerate(pairwise((n_features, *hidden)), start=1):
        parts += [(f"weight{index}", (n_in, n_out)), (f"bias{index}", (n_out,))]
    return [*parts, (f"weight{len(hidden) + 1}", (hidden[-1],))]
