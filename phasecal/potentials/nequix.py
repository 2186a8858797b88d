"""The family ``nequix``: NequIP networks of the package nequix, from a weight file (``.nqx``).

NequIP: S. Batzner et al., Nat. Commun. 13, 2453 (2022). Of the package (nequix 0.4.5, MIT) only the network is used, as
a function of edges; its energy of free atoms, which it does not differentiate, is added here, so that all weights can
be trained.

A weight file is one line of JSON, then the weights one after the other as ``.npy``; nothing in it is executed.

The package lists CUDA and training tools among its requirements and uses none of them here: it is installed without
(``pip install --no-deps nequix``). Importing it sets JAX's precision of matrix products for the whole process; that is
undone, because it would change what other models export.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
from ase.data import chemical_symbols
from jax import Array
from numpy.typing import NDArray

from phasecal.bounded import ARRAY_BYTES, MAX_ARRAYS, MAX_LINE, checked_file, read_json, read_npy
from phasecal.potentials.base import Arrays
from phasecal.potentials.message_passing import MessagePassingModel, Network, package_module
from phasecal.potentials.network_limits import (
    MAX_CHANNELS,
    MAX_DEGREE,
    MAX_LAYERS,
    check_elements_and_cutoff,
    check_irreps,
    check_whole,
)

SETTINGS = (
    *("atomic_numbers", "hidden_irreps", "lmax", "cutoff", "n_layers", "radial_basis_size", "radial_mlp_size"),
    *("radial_mlp_layers", "radial_polynomial_p", "mlp_init_scale", "index_weights", "layer_norm", "shift", "scale"),
    "avg_n_neighbors",
)
"""What of the first line fixes the network; the rest is about its training."""
LIMITS = {
    "lmax": MAX_DEGREE,
    "n_layers": MAX_LAYERS,
    "radial_basis_size": MAX_CHANNELS,
    "radial_mlp_size": MAX_CHANNELS,
    "radial_mlp_layers": MAX_LAYERS,
}


@dataclass(frozen=True)
class NequixNetwork(Network):
    """A network of the package nequix."""

    @classmethod
    def read(cls, path: Path) -> tuple[Self, Arrays]:
        """Return the network of a weight file, and its weights by name."""
        network, arrays = cls.read_file(path)
        names = list(network.shapes())
        if len(names) != len(arrays):
            raise ValueError(f"{len(arrays)} weights, where the network of its first line has {len(names)}")
        return network, dict(zip(names, arrays, strict=True))

    @classmethod
    def read_file(cls, path: Path) -> tuple[Self, list[NDArray[Any]]]:
        """Return the network of a weight file, which is not built, and its weights in their order."""
        size = checked_file(path, ARRAY_BYTES).stat().st_size
        with path.open("rb") as file:
            header = read_json(file.readline(MAX_LINE), name="its first line")
            network = cls.of({key: header[key] for key in SETTINGS})
            arrays: list[NDArray[Any]] = []
            while (left := size - file.tell()) > 0:
                if len(arrays) == MAX_ARRAYS:
                    raise ValueError(f"more than {MAX_ARRAYS} weights")
                arrays.append(read_npy(file, left))
        return network, arrays

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Check what the size of a network depends on (see :class:`Network`)."""
        check_elements_and_cutoff(settings["atomic_numbers"], settings["cutoff"])
        check_irreps(settings["hidden_irreps"])
        check_whole(settings, LIMITS)

    @property
    def cutoff(self) -> float:
        """Length of the longest edges, Å."""
        return float(self.settings["cutoff"])

    @property
    def elements(self) -> list[str]:
        """Chemical symbols in the order of the network's own numbers."""
        return [chemical_symbols[number] for number in self.settings["atomic_numbers"]]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight, in the order of the file."""
        return dict(_skeleton(self.description)[0])

    def atom_energies(self, weights: Mapping[str, Array], vectors: Array, kinds: Array, neighbors: Array) -> Array:
        """Return the energy of each atom, eV (see :class:`Network`); an edge points from receiver to sender."""
        shapes, structure = _skeleton(self.description)
        free = weights["atom_energies"]
        without = {**weights, "atom_energies": jnp.zeros_like(free)}
        network = jax.tree_util.tree_unflatten(structure, [without[name] for name in shapes])
        n_atoms, width = neighbors.shape
        receivers = jnp.repeat(jnp.arange(n_atoms), width)
        bound: Array = network.node_energies(vectors.reshape(-1, 3), kinds, neighbors.ravel(), receivers)
        energies: Array = bound[:, 0] + free[kinds]
        return energies


@lru_cache(maxsize=8)
def _skeleton(description: str) -> tuple[dict[str, tuple[int, ...]], jax.tree_util.PyTreeDef]:
    """Return names and shapes of the weights and the structure that holds them."""
    settings = json.loads(description)
    n_species = len(settings.pop("atomic_numbers"))
    build = nequix_module().Nequix
    skeleton = jax.eval_shape(lambda key: build(key, n_species=n_species, **settings), jax.random.key(0))
    leaves, structure = jax.tree_util.tree_flatten_with_path(skeleton)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape for path, leaf in leaves}, structure


def nequix_module() -> Any:
    """Return the package's module of networks (see the module for why a setting is restored)."""
    before = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]  # options are set at run time
    try:
        return package_module("nequix", "nequix.model", "pip install 'phasecal[mlip]' && pip install --no-deps nequix")
    finally:
        jax.config.update("jax_default_matmul_precision", before)  # type: ignore[no-untyped-call]  # not typed in JAX


@dataclass(frozen=True, eq=False, kw_only=True)
class NequixModel(MessagePassingModel):
    """A NequIP network with some of its weights trained (see the module)."""

    family: ClassVar[str] = "nequix"
    network_type: ClassVar[type[Network]] = NequixNetwork
