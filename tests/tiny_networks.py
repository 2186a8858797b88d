"""Tiny random networks of the families nequix and mace, written as the weight files that users bring.

Scaled so that a contract with parameters of the size of 0.02 has something to see: forces of the order of 1 eV/Å.
"""

from __future__ import annotations

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phasecal.errors import InputError
from phasecal.potentials.mace import MaceModel, MaceNetwork
from phasecal.potentials.nequix import NequixModel, nequix_module

NEQUIX = {
    "atomic_numbers": [13, 22],
    "hidden_irreps": "3x0e + 2x1o",
    "lmax": 1,
    "cutoff": 4.0,
    "n_layers": 2,
    "radial_basis_size": 3,
    "radial_mlp_size": 4,
    "radial_mlp_layers": 1,
    "radial_polynomial_p": 6.0,
    "mlp_init_scale": 4.0,
    "index_weights": True,
    "layer_norm": True,
    "shift": -0.3,
    "scale": 0.7,
    "avg_n_neighbors": 10.0,
}
MACE = {
    "num_layers": 2,
    "num_channels": 3,
    "l_max": 1,
    "correlation": 2,
    "readout_irreps": ["2x0e", "0e"],
    "num_rbf": 3,
    "radial_mlp_hidden": [4],
}
DATA = {
    "atomic_energies_map": {"13": -1.0, "22": -2.0},
    "graph_cutoff_angstrom": 4.0,
    "avg_num_neighbors": 2.0,
}
TRAIN = {
    "nequix": ["readout", "atom_energies", "layers.0.radial_mlp.layers.0"],
    "mace": ["layers_1.readout_block", "layers_0.interaction_block.radial_mlp.layers_0"],
}
"""Weights of the first and last layers, few enough for finite differences of each."""


def write(family, path):
    """Write a weight file."""
    {"nequix": _write_nequix, "mace": _write_mace}[family](path)


def model(family, path, elements=("Ti", "Al")):
    """Return the model of a weight file that is written first; the elements are not in the network's order."""
    write(family, path)
    kinds = {"nequix": NequixModel, "mace": MaceModel}
    return kinds[family].from_file(path, elements, TRAIN[family])


def _write_nequix(path):
    try:
        nequix = nequix_module()
    except InputError as error:
        pytest.skip(f"{error}; make env brings it")
    settings = {key: value for key, value in NEQUIX.items() if key != "atomic_numbers"}
    with jax.enable_x64(False):
        network = nequix.Nequix(jax.random.key(3), n_species=2, atom_energies=[-1.0, -2.0], **settings)
        nequix.save_model(path, network, {**NEQUIX, "optimizer": "muon"})


def force_field():
    """Return the tiny MACE as mlip's own force field, with random weights (its initialisation takes 15 s)."""
    models = pytest.importorskip("mlip.models", reason="mlip is not installed; make env brings it (phasecal[mlip])")
    data = pytest.importorskip("mlip.data", reason="the same")
    predictors = pytest.importorskip("mlip.models.predictors", reason="the same")
    network = MaceNetwork.of({"config": MACE, "dataset_info": DATA})
    rng, weights = np.random.default_rng(3), {}
    for name, shape in network.shapes().items():
        *parts, last = name.split(".")
        branch = weights
        for part in parts:
            branch = branch.setdefault(part, {})
        branch[last] = jnp.asarray(rng.normal(size=shape), dtype=jnp.float32)
    mace = models.Mace(models.Mace.Config(**MACE), data.DatasetInfo(**DATA))
    properties = importlib.import_module("mlip.typing.properties").Properties(stress=True)
    predictor = predictors.ConservativePredictor(mlip_network=mace, required_properties=properties)
    return models.ForceField(predictor=predictor, params={"params": {"mlip_network": weights}})


def _write_mace(path):
    field = force_field()
    importlib.import_module("mlip.models.model_io").save_model_to_zip(path, field)
