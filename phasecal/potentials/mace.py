"""The family ``mace``: MACE networks of the package mlip, from a weight file (``.zip``).

MACE: I. Batatia et al., Adv. Neural Inf. Process. Syst. 35, 11423 (2022). Of the package (mlip 0.2.5, Apache-2.0) only
the network is used, as a function of edges. Its free atoms' energies are settings of a file and not weights.

A weight file holds ``hyperparams.json`` and ``params.npz`` (``mlip.models.model_io.save_model_to_zip``); nothing in it
is executed. Files of mace-torch are pickles of another program's classes and are not read. jax-md's own wrapper of MACE
needs the package mace_jax, which PyPI does not have (ADR 0023).
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self
from zipfile import ZipFile

import jax
import jax.numpy as jnp
from ase.data import chemical_symbols
from jax import Array

from phasecal.bounded import ARRAY_BYTES, checked_file, plain_members, read_json, read_npz
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

INSTALL = "pip install 'phasecal[mlip]'"

REFUSED = {"predict_partial_charges": False, "use_coulomb_term": False, "use_total_charge_embedding": False}
"""Settings that make energies depend on more than the edges, or on charges that phasecal does not carry."""

DEFAULTS = {"l_max": 3, "correlation": 3}
"""The package's own."""
LIMITS = {
    "l_max": MAX_DEGREE,
    "node_symmetry": MAX_DEGREE,
    "correlation": 6,
    "num_layers": MAX_LAYERS,
    "num_channels": MAX_CHANNELS,
    "num_rbf": MAX_CHANNELS,
}
MAX_COUPLINGS = 2_000_000
"""Numbers in the table of couplings of (l_max + 1)² components, correlation + 1 at a time; published: 16⁴."""

_PREFIX = "params#mlip_network#"
"""Begins the names of weights in a file."""


@dataclass(frozen=True)
class MaceNetwork(Network):
    """A MACE network of the package mlip."""

    @classmethod
    def read(cls, path: Path) -> tuple[Self, Arrays]:
        """Return the network of a weight file, and its weights by name.

        Raises:
            ValueError: It has charges, or several heads or data sets.
        """
        checked_file(path, ARRAY_BYTES)
        with ZipFile(path) as archive:
            content = {member.filename: archive.read(member) for member in plain_members(archive)}
        header = read_json(content["hyperparams.json"], name="hyperparams.json")
        arrays = read_npz(io.BytesIO(content["params.npz"]))
        weights = {name.removeprefix(_PREFIX).replace("#", "."): array for name, array in arrays.items()}
        config, info = header["config"], header["dataset_info"]
        if any(config.get(key, value) != value for key, value in REFUSED.items()):
            raise ValueError("a network with charges; expected one of short range")
        if config.get("num_readout_heads", 1) != 1 or not isinstance(info["atomic_energies_map"], dict):
            raise ValueError("a network of several heads; expected one")
        return cls.of({"config": config, "dataset_info": info}), weights

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Check what the size of a network depends on (see :class:`Network`)."""
        config, info = settings["config"], settings["dataset_info"]
        check_elements_and_cutoff(_numbers(info), info["graph_cutoff_angstrom"])
        check_whole(config, LIMITS)
        sizes, readouts = config.get("radial_mlp_hidden", []), config.get("readout_irreps", [])
        if not all(isinstance(items, list) and len(items) <= MAX_LAYERS for items in (sizes, readouts)):
            raise ValueError(f"expected lists of at most {MAX_LAYERS} as radial_mlp_hidden and readout_irreps")
        for size in sizes:
            check_whole({"radial_mlp_hidden": size}, {"radial_mlp_hidden": MAX_CHANNELS})
        for text in readouts:
            check_irreps(text)
        degree, order = (config.get(key, DEFAULTS[key]) for key in ("l_max", "correlation"))
        if (degree + 1) ** (2 * (order + 1)) > MAX_COUPLINGS:
            raise ValueError(f"an l_max of {degree} with a correlation of {order} needs tables that are too large")

    @property
    def cutoff(self) -> float:
        """Length of the longest edges, Å."""
        return float(self.settings["dataset_info"]["graph_cutoff_angstrom"])

    @property
    def elements(self) -> list[str]:
        """Chemical symbols in the order of the network's own numbers."""
        return [chemical_symbols[number] for number in _numbers(self.settings["dataset_info"])]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each weight."""
        return dict(_shapes(self.description))

    def atom_energies(self, weights: Mapping[str, Array], vectors: Array, kinds: Array, neighbors: Array) -> Array:
        """Return the energy of each atom, eV (see :class:`Network`); an edge points from sender to receiver."""
        graph = package_module("mlip", "mlip.graph", INSTALL)
        n_atoms, width = neighbors.shape
        edges = jax.tree_util.Partial(lambda given, *_: given, vectors.reshape(-1, 3))  # type: ignore[no-untyped-call]  # not typed in JAX
        described = graph.Graph(
            nodes=graph.GraphNodes(
                atomic_numbers=jnp.asarray(_numbers(self.settings["dataset_info"]))[kinds],
                positions=jnp.zeros((n_atoms, 3), vectors.dtype),
            ),
            edges=graph.GraphEdges(displ_fun=edges),
            globals=graph.GraphGlobals(cell=jnp.eye(3, dtype=vectors.dtype)[None], weight=jnp.ones(1, vectors.dtype)),
            n_node=jnp.asarray([n_atoms]),
            n_edge=jnp.asarray([n_atoms * width]),
            senders=jnp.repeat(jnp.arange(n_atoms), width),
            receivers=neighbors.ravel(),
            ordering=graph.EdgeOrdering.SENDER,
        )
        with _quiet_table():
            result = _mace(self.description).apply({"params": _nested(weights)}, described)
        energies: Array = result.nodes.features["energy"]
        return energies


def _numbers(info: Mapping[str, Any]) -> list[int]:
    """Return the atomic numbers of a network, in its own order."""
    return sorted(int(number) for number in info["atomic_energies_map"])


@lru_cache(maxsize=8)
def _mace(description: str) -> Any:
    """Return the network as the package's module."""
    models = package_module("mlip", "mlip.models", INSTALL)
    data = package_module("mlip", "mlip.data", INSTALL)
    settings = json.loads(description)
    return models.Mace(models.Mace.Config(**settings["config"]), data.DatasetInfo(**settings["dataset_info"]))


@lru_cache(maxsize=8)
def _shapes(description: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight, by tracing the network's initialisation: some seconds."""
    dummy = package_module("mlip", "mlip.data.helpers.dummy_init_graph", INSTALL).get_dummy_graph_for_model_init()
    with _quiet_table():
        tree = jax.eval_shape(_mace(description).init, jax.random.key(0), dummy)
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree["params"])
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape for path, leaf in leaves}


def _nested(weights: Mapping[str, Array]) -> dict[str, Any]:
    """Return weights as a tree of mappings."""
    tree: dict[str, Any] = {}
    for name, array in weights.items():
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = array
    return tree


@contextmanager
def _quiet_table() -> Iterator[None]:
    """Silence what JAX says in float64 mode of mlip's table of elements: int64 numbers go into an int32 table."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "scatter inputs have incompatible types", FutureWarning)  # see above
        yield


@dataclass(frozen=True, eq=False, kw_only=True)
class MaceModel(MessagePassingModel):
    """A MACE network with some of its weights trained (see the module)."""

    family: ClassVar[str] = "mace"
    network_type: ClassVar[type[Network]] = MaceNetwork
