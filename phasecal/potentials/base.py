"""What a potential is: an immutable, content-hashed model with flat parameters and a pure JAX energy.

The arrays of a model reach compiled code as arguments (an :class:`EnergyFunction` is a pytree), never as
constants: all versions of a model share one compilation. Frames run one after the other: on a CPU a
vectorised batch is 3× slower and needs 30× the memory, and this way any number of frames shares the
compilation.

This module is the one place that switches JAX to float64.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray
from safetensors.numpy import save_file

from phasecal.bounded import MAX_CUTOFF, printable, read_tensors
from phasecal.engines.lammps.task import timestep_fs
from phasecal.errors import DataError, InputError
from phasecal.structures.neighbors import Frames, frames_from_atoms, frames_from_sample

__all__ = [
    "Arrays",
    "EnergyFunction",
    "Frames",
    "Model",
    "energies",
    "energy_change",
    "force_jacobian",
    "forces",
    "frames_from_atoms",
    "frames_from_sample",
    "frozen_array",
    "gradients",
    "load_model",
    "virials",
]

jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]  # not typed in JAX

FAMILIES = {
    "eam": "phasecal.potentials.eam:EamModel",
    "lammps": "phasecal.potentials.frozen:FrozenModel",
    "lj": "phasecal.potentials.lj:LjModel",
    "mace": "phasecal.potentials.mace:MaceModel",
    "moment-network": "phasecal.potentials.moment_network:MomentNetworkModel",
    "nequix": "phasecal.potentials.nequix:NequixModel",
}
"""Where the class of each family lives (imported when a file of that family is loaded)."""


_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")

FLOAT = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]


def frozen_array(values: ArrayLike) -> FLOAT:
    """Return a float64 copy that cannot be written to."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


class EnergyFunction(Protocol):
    """A pytree of a model's arrays that computes energies; equal structure means equal compiled code."""

    def __call__(
        self,
        theta: ArrayLike,
        positions: ArrayLike,
        cell: ArrayLike,
        species: ArrayLike,
        neighbors: ArrayLike,
        shifts: ArrayLike,
    ) -> Array:
        """Return the potential energy of one configuration, eV (arguments as in :meth:`Model.energy`)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Model(ABC):
    """One immutable version of an interatomic potential.

    Attributes:
        complete: Whether energies are whole; otherwise they are what depends on the parameters, and only the engine
            has the rest.
        elements: Chemical symbols; species numbers of frames are indices into them.
        cutoff: Distance beyond which atoms do not interact, Å.
        masses: Atomic mass of each element, amu.
        theta: Trainable parameters, float64, shape (n_parameters,).
        parent: Hash of the model that this one was made from, if any.
    """

    family: ClassVar[str]
    complete: ClassVar[bool] = True

    elements: tuple[str, ...]
    cutoff: float
    masses: Mapping[str, float]
    theta: FLOAT
    parent: str | None = None

    def __post_init__(self) -> None:
        """Copy and freeze the parameters, and check that there is a finite number for each name.

        Raises:
            DataError: ``theta`` has the wrong shape or a number that is not finite; or there is no element, or one that
                is not a plain word with a mass.
        """
        if not self.elements:
            raise DataError("expected at least one element")
        for element in self.elements:
            mass = self.masses.get(element)
            if not (_WORD.fullmatch(element) and isinstance(mass, int | float) and 0 < mass < 1e4):
                raise DataError(f"expected elements that are plain words with a mass in amu, got {element!a}: {mass!a}")
        theta = frozen_array(self.theta)
        object.__setattr__(self, "theta", theta)
        if theta.shape != (self.n_parameters,):
            raise DataError(f"theta has shape {theta.shape}; this model has {self.n_parameters} parameters")
        if not np.isfinite(theta).all():
            raise DataError("theta holds numbers that are not finite")

    @property
    @abstractmethod
    def parameter_names(self) -> tuple[str, ...]:
        """Name of each entry of ``theta``, e.g. ``pair[Cu-Cu][3]``."""

    @property
    def n_parameters(self) -> int:
        """Number of parameters; large families count them without naming them all."""
        return len(self.parameter_names)

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Everything that is not an array and that energies depend on; JSON-able."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return all arrays of the model by name, ``theta`` among them."""

    @classmethod
    @abstractmethod
    def from_arrays(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], parent: str | None = None
    ) -> Self:
        """Rebuild a model from its :attr:`config` and :meth:`arrays`."""

    @cached_property
    @abstractmethod
    def energy_function(self) -> EnergyFunction:
        """The model's arrays on the device, as a pytree that computes energies."""

    @abstractmethod
    def export_lammps(self, folder: Path) -> list[str]:
        """Write the files LAMMPS needs into ``folder``.

        Returns:
            The ``pair_style``, ``pair_coeff`` and ``mass`` commands (units metal; atom types in the order of
            :attr:`elements`); files are named relative to ``folder``.
        """

    @property
    def timestep_fs(self) -> float:
        """Time step of molecular dynamics with this model, fs; by default from the lightest mass."""
        return timestep_fs(self.masses)

    def reach(self, theta: ArrayLike) -> float:
        """Return the distance beyond which atoms do not interact under parameters ``theta``, Å."""
        return self.cutoff

    @cached_property
    def hash(self) -> str:
        """SHA-256 of family, config and arrays; the same in every process and for every parent."""
        digest = hashlib.sha256(_canonical({"family": self.family, "config": self.config}).encode())
        for name, array in sorted(self.arrays().items()):
            digest.update(f"\0{name}{array.dtype.str}{array.shape}\0".encode())
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    def with_theta(self, theta: ArrayLike) -> Self:
        """Return the model with other parameters, whose parent is this one."""
        return replace(self, theta=np.asarray(theta, dtype=np.float64), parent=self.hash)

    def energy(
        self,
        theta: ArrayLike,
        positions: ArrayLike,
        cell: ArrayLike,
        species: ArrayLike,
        neighbors: ArrayLike,
        shifts: ArrayLike,
    ) -> Array:
        """Return the potential energy of one configuration as pure, differentiable JAX.

        Args:
            theta: Parameters, shape (n_parameters,).
            positions: Cartesian positions, Å, shape (n_atoms, 3).
            cell: Cell vectors as rows, Å, shape (3, 3).
            species: Index of each atom into :attr:`elements`, shape (n_atoms,).
            neighbors: Full neighbour list padded with ``n_atoms``, shape (n_atoms, width).
            shifts: Cell images of the neighbours, shape (n_atoms, width, 3).

        Returns:
            Energy of the cell, eV, a scalar.
        """
        return self.energy_function(theta, positions, cell, species, neighbors, shifts)

    def save(self, path: str | Path) -> None:
        """Write the model as one ``.safetensors`` file; its header holds family, config, parent and hash."""
        record = {
            "schema": 1,
            "family": self.family,
            "config": self.config,
            "parent": self.parent,
            "hash": self.hash,
        }
        save_file(dict(self.arrays()), str(path), metadata={"phasecal": _canonical(record)})


def load_model(path: str | Path) -> Model:
    """Read a model written by :meth:`Model.save`.

    Raises:
        DataError: The file is not a model of a known family, or its content does not match its hash.
    """
    record, arrays = read_tensors(path, "phasecal")
    try:
        if record["schema"] != 1:
            raise DataError("unknown schema of a model; expected 1")
        module, name = FAMILIES[record["family"]].split(":")
        family: type[Model] = getattr(importlib.import_module(module), name)
        model = family.from_arrays(record["config"], arrays, parent=record["parent"])
        if not 0 <= model.cutoff <= MAX_CUTOFF:
            raise DataError(f"a cutoff of {model.cutoff} Å; expected at most {MAX_CUTOFF:g} Å")
        if model.hash != record["hash"]:
            raise DataError(f"the content has hash {model.hash}, but the file says {record['hash']}")
    except (InputError, DataError) as error:
        raise DataError(f"{path}: {printable(error)}") from error
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise DataError(f"{path}: not a readable phasecal model ({printable(error)})") from error
    return model


def energies(model: Model, frames: Frames, theta: ArrayLike | None = None) -> FLOAT:
    """Return the potential energy of every frame, eV, shape (n_frames,).

    Args:
        model: The potential.
        frames: Configurations with neighbour lists of at least the model's cutoff.
        theta: Parameters instead of the model's own, shape (n_parameters,).
    """
    return _over_frames(_energy, model, frames, theta)


def gradients(model: Model, frames: Frames, theta: ArrayLike | None = None) -> FLOAT:
    """Return ∂U/∂θ of every frame, eV per unit of θ, shape (n_frames, n_parameters)."""
    return _over_frames(_gradient, model, frames, theta)


def forces(model: Model, frames: Frames, theta: ArrayLike | None = None) -> FLOAT:
    """Return the forces −∂U/∂x, eV/Å, shape (n_frames, n_atoms, 3)."""
    return _over_frames(_forces, model, frames, theta)


def virials(model: Model, frames: Frames, theta: ArrayLike | None = None) -> FLOAT:
    """Return −∂U/∂ε at zero strain, eV, shape (n_frames, 3, 3).

    Rows x of positions and cell become x(1 + ε). The potential part of the pressure is trace(virial)/(3V).
    """
    return _over_frames(_virial, model, frames, theta)


def force_jacobian(
    model: Model, frames: Frames, theta: ArrayLike | None = None, *, n_components: int | None = None
) -> FLOAT:
    """Return ∂F/∂θ of the forces in some frames: the mean square of J δθ is that of the change of a force component.

    Args:
        model: The model.
        frames: Where the forces are taken.
        theta: Its parameters, if not the model's own.
        n_components: Components of the forces of each frame, chosen at random; all if not given, or where there are
            fewer parameters than components, when all cost the same.

    Returns:
        J, eV/Å per unit of θ, shape (n_frames · n_components, n_parameters).
    """
    every = 3 * frames.n_atoms
    n_chosen = every if n_components is None or model.theta.size <= every else n_components
    chosen = np.random.default_rng(0).permutation(every)[:n_chosen]
    return np.concatenate(_over_frames(partial(_force_rows, chosen), model, frames, theta))


def energy_change(before: Model, after: Model, frames: Frames) -> FLOAT:
    """Return the change of the potential energy from one model to another, eV/atom, shape (n_frames,)."""
    return (energies(after, frames) - energies(before, frames)) / frames.n_atoms


def _over_frames(function: Callable[..., Array], model: Model, frames: Frames, theta: ArrayLike | None) -> FLOAT:
    """Run a compiled function of (energy function, θ, frame) over all frames and stack the results.

    Raises:
        DataError: The neighbour lists are shorter than the model's cutoff.
    """
    cutoff = model.reach(model.theta if theta is None else theta)
    if frames.cutoff < cutoff:
        raise DataError(f"neighbour lists to {frames.cutoff} Å are too short for a cutoff of {cutoff} Å")
    energy_function = model.energy_function
    theta = jnp.asarray(model.theta if theta is None else theta, dtype=jnp.float64)
    species = jnp.asarray(frames.species)
    results = [
        function(energy_function, theta, positions, cell, species, neighbors, shifts)
        for positions, cell, neighbors, shifts in zip(
            frames.positions, frames.cells, frames.neighbors, frames.shifts, strict=True
        )
    ]
    return np.stack([np.asarray(result) for result in results])


@jax.jit
def _energy(function: EnergyFunction, theta: Array, *frame: Array) -> Array:
    """Return the energy of one frame, eV."""
    return function(theta, *frame)


@jax.jit
def _gradient(function: EnergyFunction, theta: Array, *frame: Array) -> Array:
    """Return ∂U/∂θ of one frame, shape (n_parameters,)."""
    gradient: Array = jax.grad(function)(theta, *frame)
    return gradient


@jax.jit
def _forces(function: EnergyFunction, theta: Array, *frame: Array) -> Array:
    """Return −∂U/∂x of one frame, eV/Å, shape (n_atoms, 3)."""
    gradient: Array = jax.grad(function, argnums=1)(theta, *frame)
    return -gradient


@jax.jit
def _virial(function: EnergyFunction, theta: Array, positions: Array, cell: Array, *rest: Array) -> Array:
    """Return −∂U/∂ε of one frame, eV, shape (3, 3)."""

    def strained(strain: Array) -> Array:
        return function(theta, positions + positions @ strain, cell + cell @ strain, *rest)

    gradient: Array = jax.grad(strained)(jnp.zeros((3, 3)))
    return -gradient


@jax.jit
def _force_rows(chosen: Array, function: EnergyFunction, theta: Array, positions: Array, *rest: Array) -> Array:
    """Return ∂F/∂θ of the chosen force components of one frame, shape (n_chosen, n_parameters).

    Forward mode over θ, or reverse mode over the force components if those are fewer.
    """

    def force(t: Array) -> Array:
        gradient: Array = jax.grad(function, argnums=1)(t, positions, *rest).ravel()[chosen]
        return gradient

    if theta.shape[0] <= chosen.shape[0]:
        columns: Array = jax.lax.map(lambda tangent: jax.jvp(force, (theta,), (tangent,))[1], jnp.eye(theta.shape[0]))
        return columns.T
    _, pullback = jax.vjp(force, theta)
    rows: Array = jax.lax.map(lambda component: pullback(component)[0], jnp.eye(chosen.shape[0]))
    return rows


def _canonical(record: Mapping[str, Any]) -> str:
    """Return JSON that depends on the content only."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
