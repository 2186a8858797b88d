"""Networks of other packages that pass messages between atoms, as potentials with trainable weights.

The network of a weight file gives each atom an energy that depends on the vectors r_ij along all edges, from an atom
to a neighbour within the cutoff; through several layers an atom feels others at several times the cutoff. It is taken
as it is, a function of its edges (:class:`~phasecal.potentials.local.GraphModel`, with the formulas of forces and
virial), and everything else is phasecal's own: edges, derivatives, files, precision.

``theta`` are the trained weights, one after the other, in float64; all others are frozen, in the precision of the file.
The network itself is its description, JSON that its package turns into code: equal descriptions share compilations.

Precision: energies and their derivatives are float64 throughout, whatever the network was trained in; an artifact may
be float32 (:mod:`~phasecal.potentials.artifact`). Weights come from the user's file and are never fetched.
"""

from __future__ import annotations

import importlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import atomic_masses, atomic_numbers
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray

from phasecal.bounded import printable
from phasecal.errors import DataError, InputError
from phasecal.potentials.artifact import plugin_commands
from phasecal.potentials.base import Arrays, Model
from phasecal.potentials.local import neighbor_vectors

Shapes = tuple[tuple[str, tuple[int, ...]], ...]

_FROZEN = "frozen."
"""Begins the names of frozen weights among the arrays of a model."""


@dataclass(frozen=True)
class Network(ABC):
    """A network without its weights.

    Attributes:
        description: All that its package needs to build it, canonical JSON.
    """

    description: str

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Return the network of some settings; nothing is built yet.

        Raises:
            ValueError: It would be monstrous: the time to build it grows with numbers that take no room in a file.
        """
        cls.check(settings)
        return cls(json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False))

    @property
    def settings(self) -> dict[str, Any]:
        """What the description says."""
        settings: dict[str, Any] = json.loads(self.description)
        return settings

    @classmethod
    @abstractmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Check what the size of a network depends on.

        Raises:
            ValueError: A setting is too large, or of another kind.
        """

    @classmethod
    @abstractmethod
    def read(cls, path: Path) -> tuple[Self, Arrays]:
        """Return the network of a weight file, and its weights by name."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight."""

    @property
    @abstractmethod
    def cutoff(self) -> float:
        """Length of the longest edges, Å."""

    @property
    @abstractmethod
    def elements(self) -> list[str]:
        """Chemical symbols in the order of the network's own numbers."""

    @abstractmethod
    def atom_energies(self, weights: Mapping[str, Array], vectors: Array, kinds: Array, neighbors: Array) -> Array:
        """Return the energy of each atom, eV, shape (n_atoms,).

        Args:
            weights: By name.
            vectors: From each atom to its neighbours, Å, shape (n_atoms, width, 3); padding is longer than the cutoff.
            kinds: The network's number of each atom's element, shape (n_atoms,).
            neighbors: Index of each neighbour, any valid one for padding, shape (n_atoms, width).
        """


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NetworkAtoms:
    """The frozen weights as a pytree that computes energies (a :class:`~phasecal.potentials.local.GraphEnergies`).

    Attributes:
        frozen: By name.
        kinds: The network's number of each of the model's elements, shape (n_elements,).
        network: The network.
        trained: Names and shapes of the trained weights, in the order of θ.
    """

    frozen: dict[str, Array]
    kinds: Array
    network: Network = field(metadata={"static": True})
    trained: Shapes = field(metadata={"static": True})

    def __call__(self, theta: ArrayLike, vectors: ArrayLike, species: ArrayLike, neighbors: ArrayLike) -> Array:
        """Return the energy of each atom, eV."""
        theta, weights, start = jnp.asarray(theta), dict(self.frozen), 0
        for name, shape in self.trained:
            size = int(np.prod(shape))
            weights[name] = theta[start : start + size].reshape(shape)
            start += size
        kinds = self.kinds[jnp.asarray(species)]
        with jax.default_matmul_precision("highest"):  # GPUs would multiply singles with 10 bits
            return self.network.atom_energies(weights, jnp.asarray(vectors), kinds, jnp.asarray(neighbors))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NetworkEnergy:
    """The energy of a configuration (an :class:`~phasecal.potentials.base.EnergyFunction`).

    Attributes:
        atoms: The frozen weights.
        cutoff: Å.
    """

    atoms: NetworkAtoms
    cutoff: float = field(metadata={"static": True})

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
        vectors, other = neighbor_vectors(positions, cell, neighbors, shifts, 2.0 * self.cutoff)
        return jnp.sum(self.atoms(theta, vectors, species, other))


@dataclass(frozen=True, eq=False, kw_only=True)
class MessagePassingModel(Model):
    """A network of another package with some of its weights trained (see the module).

    Attributes:
        network: The network.
        trained: Names and shapes of the trained weights, in the order of ``theta``.
        frozen: All other weights by name.
    """

    network_type: ClassVar[type[Network]]

    network: Network
    trained: Shapes
    frozen: Arrays

    def __post_init__(self) -> None:
        """Freeze the weights and check elements and numbers.

        Raises:
            DataError: A weight is not finite, or the network does not know an element.
        """
        frozen = {name: np.array(array) for name, array in self.frozen.items()}
        for name, array in frozen.items():
            array.setflags(write=False)
            if not (np.issubdtype(array.dtype, np.floating) and np.isfinite(array).all()):
                raise DataError(f"the weight {name} holds numbers that are not finite, or no real ones")
        object.__setattr__(self, "frozen", frozen)
        if missing := [element for element in self.elements if element not in self.network.elements]:
            raise DataError(f"the network knows no {', '.join(missing)}")
        super().__post_init__()

    @classmethod
    def from_file(cls, path: str | Path, elements: Sequence[str], train: Sequence[str]) -> Self:
        """Read a user's weight file.

        Args:
            path: The file.
            elements: Chemical symbols of the model, of those that the network knows.
            train: Names of weights, or their beginnings up to a dot (``readout`` is all that begins with ``readout.``).

        Raises:
            InputError: The package is missing, the file is not one of its weight files, the network does not know an
                element, or a name is that of no weight.
            DataError: A weight is not finite.
        """
        try:
            network, weights = cls.network_type.read(Path(path))
            _check_shapes(network.shapes(), weights)
            known, cutoff = network.elements, network.cutoff
        except InputError:
            raise
        except Exception as error:  # whatever packages make of a file or of settings that are not theirs
            raise InputError(
                f"{path}: not a weight file of family {cls.family} ({printable(error, 300) or type(error).__name__})"
            ) from error
        if missing := [element for element in elements if element not in known]:
            raise InputError(f"{path}: the network knows no {', '.join(missing)}; expected some of {', '.join(known)}")
        chosen = chosen_weights(weights, train)
        return cls(
            elements=tuple(elements),
            cutoff=cutoff,
            masses={element: float(atomic_masses[atomic_numbers[element]]) for element in elements},
            theta=np.concatenate([np.zeros(0), *(weights[name].astype(np.float64).ravel() for name in chosen)]),
            network=network,
            trained=tuple((name, weights[name].shape) for name in chosen),
            frozen={name: array for name, array in weights.items() if name not in chosen},
        )

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of weights with an index, e.g. ``readout._weights.w[0,0] 8x0e,1x0e[3,0]``."""
        return tuple(
            f"{name}[{','.join(map(str, index))}]" for name, shape in self.trained for index in np.ndindex(shape)
        )

    @property
    def n_parameters(self) -> int:
        """Number of trained weights."""
        return sum(math.prod(shape) for _, shape in self.trained)

    @property
    def config(self) -> dict[str, Any]:
        """Everything but the weights."""
        return {
            "elements": list(self.elements),
            "masses": dict(self.masses),
            "network": self.network.settings,
            "trained": [[name, list(shape)] for name, shape in self.trained],
        }

    def arrays(self) -> Arrays:
        """Return the parameters and the frozen weights."""
        return {"theta": self.theta, **{_FROZEN + name: array for name, array in self.frozen.items()}}

    @classmethod
    def from_arrays(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], parent: str | None = None
    ) -> Self:
        """Rebuild a model from its config and arrays."""
        network = cls.network_type.of(config["network"])
        return cls(
            elements=tuple(config["elements"]),
            cutoff=network.cutoff,
            masses=config["masses"],
            theta=arrays["theta"],
            parent=parent,
            network=network,
            trained=tuple((name, tuple(shape)) for name, shape in config["trained"]),
            frozen={name.removeprefix(_FROZEN): array for name, array in arrays.items() if name != "theta"},
        )

    @cached_property
    def graph_energies(self) -> NetworkAtoms:
        """The frozen weights on the device, in float64."""
        kinds = [self.network.elements.index(element) for element in self.elements]
        return NetworkAtoms(
            frozen={name: jnp.asarray(array, dtype=jnp.float64) for name, array in self.frozen.items()},
            kinds=jnp.asarray(kinds, dtype=jnp.int32),
            network=self.network,
            trained=self.trained,
        )

    @cached_property
    def energy_function(self) -> NetworkEnergy:
        """The whole energy, in float64 throughout."""
        return NetworkEnergy(self.graph_energies, self.cutoff)

    def export_lammps(self, folder: Path) -> list[str]:
        """Write the model as an artifact in double precision; it runs in LAMMPS through the plugin, on one process."""
        return plugin_commands(self, folder, "float64")


def chosen_weights(names: Iterable[str], train: Sequence[str]) -> list[str]:
    """Return the names that entries of ``train`` are, or begin up to a dot; in the order of ``names``.

    Raises:
        InputError: An entry chooses nothing.
    """
    names = list(names)
    for entry in train:
        if not any(_begins(name, entry) for name in names):
            heads = dict.fromkeys(".".join(name.split(".")[:2]) for name in names)
            raise InputError(f"no weight is, or begins with, {entry!r}; expected names among {', '.join(heads)}")
    return [name for name in names if any(_begins(name, entry) for entry in train)]


def _begins(name: str, entry: str) -> bool:
    return name == entry or name.startswith(f"{entry}.")


def _check_shapes(shapes: Mapping[str, tuple[int, ...]], weights: Arrays) -> None:
    """Check that weights are those of a network.

    Raises:
        ValueError: They are not.
    """
    if wrong := sorted(shapes.keys() ^ weights.keys()):
        raise ValueError(f"the network that it describes has other weights: {', '.join(wrong[:4])}")
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise ValueError(f"{name} has shape {weights[name].shape}, where the network needs {shape}")


def package_module(package: str, module: str, how: str) -> Any:
    """Import a module of an optional package.

    Args:
        package: Its name.
        module: The module.
        how: Command that installs it.

    Raises:
        InputError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"the package {package} is not installed ({error}); expected what `{how}` brings") from error
