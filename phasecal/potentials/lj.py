"""The Lennard-Jones family: one kind of atom, truncated at a multiple of σ.

U = ½ Σ_i≠j [u(r_ij) − s u(cσ)] for r_ij < cσ, with u(r) = 4ε[(σ/r)¹² − (σ/r)⁶] (Lennard-Jones, Proc. R. Soc. Lond. A
106, 463 (1924)), c the cutoff in units of σ, and s = 1 (truncated and shifted) or 0 (plain truncation, LAMMPS'
``lj/cut``). The cutoff scales with σ, so that U(x; ε, σ) = ε f(x/σ) exactly: corresponding states.

Parameters are relative logarithms, θ = ln(ε/ε₀) and ln(σ/σ₀) of those that are trained, and 0 for the original model:
dimensionless, of one size, and ε and σ stay positive. Their derivatives are then exact identities (Euler's theorem),

    ∂U/∂ln ε = U,    ∂U/∂ln σ = −Σ x·∂U/∂x = trace of the virial,

from which dT_t/dln ε = T − P dT/dP and dT_t/dln σ = 3P dT/dP follow at ΔG = 0 (docs/topics/lennard-jones.md).

Known limit: molecular dynamics follows forces, and those of plain truncation are the forces of the shifted potential.
A plainly truncated model is therefore *sampled* as the shifted one; its printed energies differ from it by a number of
pairs times u(cσ). Training it would be inconsistent, and campaigns refuse that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from phasecal.errors import InputError
from phasecal.observables.ensemble import AMU_A2_PER_FS2_IN_EV
from phasecal.potentials.base import FLOAT, Model
from phasecal.potentials.local import neighbor_vectors
from phasecal.units import few_bits

TRAINABLE = ("epsilon", "sigma")
"""What can be trained, in the order of ``theta``."""
TIMESTEP = 0.004
"""Time step in units of σ√(m/ε)."""
LIST_MARGIN = 0.015
"""Neighbour lists of a model whose σ is trained are longer by this share: σ may grow by it without new lists."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LjEnergy:
    """A Lennard-Jones potential as a pytree that computes energies.

    Attributes:
        epsilon: ε₀, eV.
        sigma: σ₀, Å.
        cutoff: In units of σ.
        offset: What is taken off every pair inside the cutoff, in units of 4ε.
        train: Names of the trained parameters.
    """

    epsilon: Array
    sigma: Array
    cutoff: Array
    offset: Array
    train: tuple[str, ...] = field(metadata={"static": True})

    def parameters(self, theta: ArrayLike) -> tuple[Array, Array]:
        """Return ε (eV) and σ (Å)."""
        change = dict(zip(self.train, jnp.exp(jnp.asarray(theta)), strict=True))
        return self.epsilon * change.get("epsilon", 1.0), self.sigma * change.get("sigma", 1.0)

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
        reach = self.cutoff * self.parameters(theta)[1]
        vectors, _ = neighbor_vectors(positions, cell, neighbors, shifts, 2.0 * reach)
        return jnp.sum(self.by_atom(theta, vectors))

    def by_atom(self, theta: ArrayLike, vectors: ArrayLike) -> Array:
        """Return half of the pair sum of each atom, eV, from vectors of shape (n_atoms, width, 3)."""
        vectors = jnp.asarray(vectors)
        epsilon, sigma = self.parameters(theta)
        squared = jnp.sum(vectors * vectors, axis=-1)
        reach = self.cutoff * sigma
        inside = squared < reach * reach
        sixth = (sigma * sigma / jnp.where(inside, squared, 1.0)) ** 3
        pairs = jnp.where(inside, sixth * (sixth - 1.0) - self.offset, 0.0)
        return 2.0 * epsilon * jnp.sum(pairs, axis=1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LjAtoms:
    """The same potential as a function of the neighbours of each atom.

    Attributes:
        function: The potential.
    """

    function: LjEnergy

    def __call__(self, theta: ArrayLike, vectors: ArrayLike, species: ArrayLike, neighbor_species: ArrayLike) -> Array:
        """Return the energy of each atom, eV, shape (n_atoms,)."""
        return self.function.by_atom(theta, vectors)


@dataclass(frozen=True, eq=False, kw_only=True)
class LjModel(Model):
    """A Lennard-Jones potential of one kind of atom (see the module).

    Attributes:
        cutoff: Distance beyond which atoms do not interact, Å; with a margin where σ is trained.
        epsilon: ε₀ of the original model, eV.
        sigma: σ₀ of the original model, Å.
        cutoff_sigmas: Cutoff in units of σ.
        shift: Truncated and shifted; otherwise plainly truncated.
        train: The trained parameters, of :data:`TRAINABLE`, in its order.
    """

    family: ClassVar[str] = "lj"

    cutoff: float = field(init=False)
    epsilon: float
    sigma: float
    cutoff_sigmas: float
    shift: bool
    train: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the parameters and set the cutoff.

        Raises:
            InputError: More than one element, or numbers that make no potential.
        """
        if len(self.elements) != 1:
            raise InputError(f"lj describes one kind of atom, got {', '.join(self.elements)}")
        super().__post_init__()
        if not (self.epsilon > 0 and self.sigma > 0 and self.cutoff_sigmas > 1.2):
            raise InputError("lj needs epsilon and sigma above 0 and a cutoff beyond the minimum, above 1.2 sigma")
        margin = 1 + LIST_MARGIN if "sigma" in self.train else 1.0
        object.__setattr__(self, "cutoff", self.reach(self.theta) * margin)

    @classmethod
    def from_parameters(
        cls,
        *,
        element: str,
        mass: float,
        epsilon: float,
        sigma: float,
        cutoff_sigmas: float,
        shift: bool = True,
        train: Sequence[str] = (),
    ) -> Self:
        """Make an original model, all of whose ``theta`` are zero.

        Args:
            element: Name of the atoms.
            mass: Their mass, amu.
            epsilon: Depth of the minimum (before the shift), eV.
            sigma: Where the potential is zero (before the shift), Å.
            cutoff_sigmas: Cutoff in units of σ.
            shift: Truncated and shifted; otherwise plainly truncated.
            train: What to train, of :data:`TRAINABLE`.

        Raises:
            InputError: A name that cannot be trained, or numbers that make no potential.
        """
        if unknown := sorted(set(train) - set(TRAINABLE)):
            raise InputError(f"lj trains {' and '.join(TRAINABLE)}, got {', '.join(unknown)}")
        names = tuple(name for name in TRAINABLE if name in train)
        return cls(
            elements=(element,),
            masses={element: mass},
            theta=np.zeros(len(names)),
            epsilon=epsilon,
            sigma=sigma,
            cutoff_sigmas=cutoff_sigmas,
            shift=shift,
            train=names,
        )

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """``ln(epsilon)`` and ``ln(sigma)``, relative to the original model."""
        return tuple(f"ln({name})" for name in self.train)

    def parameters(self, theta: ArrayLike | None = None) -> tuple[float, float]:
        """Return ε (eV) and σ (Å).

        Args:
            theta: Parameters instead of the model's own.
        """
        values = np.exp(np.asarray(self.theta if theta is None else theta, dtype=np.float64))
        change = dict(zip(self.train, values.tolist(), strict=True))
        return self.epsilon * change.get("epsilon", 1.0), self.sigma * change.get("sigma", 1.0)

    def reach(self, theta: ArrayLike) -> float:
        """Return cσ, Å."""
        return self.cutoff_sigmas * self.parameters(theta)[1]

    @property
    def timestep_fs(self) -> float:
        """Time step, 0.004 σ√(m/ε), fs; rounded in binary only, so that ε × 4 is exactly half of it."""
        epsilon, sigma = self.parameters()
        mass = self.masses[self.elements[0]] * AMU_A2_PER_FS2_IN_EV
        return few_bits(float(TIMESTEP * sigma * np.sqrt(mass / epsilon)))

    @property
    def offset(self) -> float:
        """What is taken off every pair, in units of 4ε."""
        sixth = self.cutoff_sigmas**-6
        return sixth * (sixth - 1.0) if self.shift else 0.0

    @property
    def config(self) -> dict[str, Any]:
        """Everything but the parameters."""
        return {
            "elements": list(self.elements),
            "masses": dict(self.masses),
            "epsilon": self.epsilon,
            "sigma": self.sigma,
            "cutoff_sigmas": self.cutoff_sigmas,
            "shift": self.shift,
            "train": list(self.train),
        }

    def arrays(self) -> dict[str, FLOAT]:
        """Return the parameters."""
        return {"theta": self.theta}

    @classmethod
    def from_arrays(cls, config: Mapping[str, Any], arrays: Mapping[str, FLOAT], parent: str | None = None) -> Self:
        """Rebuild a model from its config and parameters."""
        return cls(
            elements=tuple(config["elements"]),
            masses=config["masses"],
            theta=arrays["theta"],
            parent=parent,
            epsilon=config["epsilon"],
            sigma=config["sigma"],
            cutoff_sigmas=config["cutoff_sigmas"],
            shift=config["shift"],
            train=tuple(config["train"]),
        )

    @cached_property
    def energy_function(self) -> LjEnergy:
        """The original parameters on the device."""
        return LjEnergy(
            epsilon=jnp.asarray(self.epsilon, dtype=jnp.float64),
            sigma=jnp.asarray(self.sigma, dtype=jnp.float64),
            cutoff=jnp.asarray(self.cutoff_sigmas, dtype=jnp.float64),
            offset=jnp.asarray(self.offset, dtype=jnp.float64),
            train=self.train,
        )

    @property
    def atom_energies(self) -> LjAtoms:
        """The energy function by atoms: the model is local."""
        return LjAtoms(self.energy_function)

    def export_lammps(self, folder: Path) -> list[str]:
        """Return the LAMMPS commands; no file is needed."""
        epsilon, sigma = self.parameters()
        reach = self.reach(self.theta)
        return [
            f"pair_style lj/cut {reach!r}",
            *(["pair_modify shift yes"] if self.shift else []),
            f"pair_coeff 1 1 {epsilon!r} {sigma!r} {reach!r}",
            f"mass 1 {self.masses[self.elements[0]]!r}",
        ]
