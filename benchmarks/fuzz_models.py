"""Models, artifacts and weight files of networks, as targets of `fuzz.py` (see `fuzz_targets.py`)."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fuzz_reader import forked

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # tiny_networks

if TYPE_CHECKING:
    from phasecal.artifact import Artifact
    from phasecal.potentials.base import Model
    from phasecal.potentials.message_passing import Network

Files = dict[str, bytes]
WEIGHTS = {"layers_0#linear": (3, 2), "layers_1#linear": (4,), "readout": ()}
"""Names and shapes of weights; those of a true network are checked after its package has built it."""
FOREIGN = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    NotImplementedError,
    *(ValueError, LookupError, TypeError),
    AttributeError,
)
"""What reading a weight file may raise; the product takes any error, because packages raise what they like."""


def saved(model: Model, home: Path) -> bytes:
    """Content of a model file."""
    model.save(home / "model.safetensors")
    return (home / "model.safetensors").read_bytes()


def models(home: Path, table: bytes) -> list[Files]:
    """A model of each family; the network is not built."""
    from tiny_networks import NEQUIX

    from phasecal.potentials.eam import EamModel
    from phasecal.potentials.frozen import FrozenModel
    from phasecal.potentials.moment_network import MomentNetworkModel, layers
    from phasecal.potentials.moments import n_invariants
    from phasecal.potentials.nequix import SETTINGS, NequixModel, NequixNetwork

    (home / "table").write_bytes(table)
    eam = EamModel.from_file(home / "table", {"pair": 3, "density": 2, "embedding": 2})
    commands = ["pair_style eam/alloy", "pair_coeff * * tiny.eam.alloy Cu"]
    frozen = FrozenModel.from_commands(["Cu"], commands, {"tiny.eam.alloy": table}, eam)
    features, hidden = n_invariants(2), (3,)
    moments = MomentNetworkModel(
        elements=("Cu",),
        masses={"Cu": 63.5},
        cutoff=4.0,
        theta=np.full(sum(int(np.prod(shape)) for _, shape in layers(features, hidden)), 0.1),
        radial=np.ones((1, 2, 4)),
        mean=np.zeros((1, features)),
        scale=np.ones((1, features)),
        references=np.zeros(1),
        inner=np.full((1, 1), 2.0),
        hidden=hidden,
    )
    network = NequixModel(
        elements=("Ti",),
        masses={"Ti": 47.9},
        cutoff=4.0,
        theta=np.ones(6),
        network=NequixNetwork.of({key: NEQUIX[key] for key in SETTINGS}),
        trained=(("layers_0", (3, 2)),),
        frozen={"readout": np.ones(4, np.float32)},
    )
    return [{"model.safetensors": saved(model, home)} for model in (lennard_jones(), eam, frozen, moments, network)]


def lennard_jones() -> Model:
    """The model with the smallest artifact."""
    from phasecal.potentials.lj import LjModel

    return LjModel.from_parameters(
        element="Ar", mass=39.95, epsilon=0.1, sigma=2.4, cutoff_sigmas=2.5, train=["epsilon", "sigma"]
    )


def parse_model(folder: Path) -> object:
    """As every task begins, and a node of a model."""
    from phasecal.potentials.base import load_model

    model = load_model(folder / "model.safetensors")
    return model.timestep_fs, model.n_parameters


@cache
def artifact() -> Artifact:
    """An artifact."""
    from phasecal.potentials.artifact import export_artifact

    return export_artifact(lennard_jones(), "float32")


def artifacts(home: Path) -> list[Files]:
    """An artifact."""
    artifact().save(home / "artifact.safetensors")
    return [{"artifact.safetensors": (home / "artifact.safetensors").read_bytes()}]


def parse_artifact(folder: Path) -> object:
    """As the plugin of LAMMPS begins."""
    from phasecal.artifact import read_artifact

    return read_artifact(folder / "artifact.safetensors").passes_messages


def parse_module(folder: Path) -> object:
    """As a job goes on with a module whose hash somebody made anew: in another process."""
    from phasecal.errors import EngineError
    from phasecal.module import try_module

    try:
        return try_module((folder / "module.bin").read_bytes(), "float32", forked)
    except EngineError as error:
        raise AssertionError("an error that is neither a refusal nor a signal") from error


def nequix_files(home: Path) -> list[Files]:
    """A weight file of nequix."""
    from tiny_networks import NEQUIX

    with (home / "network.nqx").open("wb") as file:
        file.write(json.dumps(NEQUIX | {"optimizer": "muon"}).encode() + b"\n")
        for shape in WEIGHTS.values():
            np.save(file, np.ones(shape, np.float32))
    return [{"network.nqx": (home / "network.nqx").read_bytes()}]


def parse_nequix(folder: Path) -> object:
    """As a model of family nequix begins, up to where its package builds the network."""
    from phasecal.potentials.nequix import NequixNetwork

    return described(lambda: NequixNetwork.read_file(folder / "network.nqx")[0])


def mace_files(home: Path) -> list[Files]:
    """A weight file of mace."""
    from tiny_networks import DATA, MACE

    settings = {"config": MACE | {"node_symmetry": None}, "dataset_info": DATA}
    with (home / "params.npz").open("wb") as file:
        arrays = {f"params#mlip_network#{name}": np.ones(shape, np.float32) for name, shape in WEIGHTS.items()}
        np.savez(file, **arrays)
    with zipfile.ZipFile(home / "network.zip", "w") as archive:
        archive.writestr("hyperparams.json", json.dumps(settings))
        archive.write(home / "params.npz", "params.npz")
    return [{"network.zip": (home / "network.zip").read_bytes()}]


def parse_mace(folder: Path) -> object:
    """As a model of family mace begins, up to where its package builds the network."""
    from phasecal.potentials.mace import MaceNetwork

    return described(lambda: MaceNetwork.read(folder / "network.zip")[0])


def described(read: Callable[[], Network]) -> object:
    """Return what a campaign asks of a network."""
    from phasecal.bounded import printable
    from phasecal.errors import InputError

    try:
        network = read()
        return network.elements, network.cutoff
    except FOREIGN as error:
        raise InputError(printable(error, 300) or type(error).__name__) from error
