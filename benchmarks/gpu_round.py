"""What a round of calibration costs on an accelerator: 24 states of up to 500 atoms, sampled by the jax-md engine.

    python benchmarks/gpu_round.py FOLDER [MODEL …] [--states 24] [--atoms 500] [--steps 100]

MODEL is a file of `Model.save`, or `nequix`, the default: a NequIP network of 0.7 million random weights (four layers,
to l = 3, 6 Å), whose energies are made so small that atoms move like a gas; at the pressure of a gas it keeps the
density of titanium. A network's cost does not depend on its weights. Of each model:

- sampling: bcc titanium at the states of a calibration, all in one batch; the rate is the median of those between
  checkpoints of the production, so that compilations are not in it;
- gradients: ∂U/∂θ of frames of that run, in double precision, as the step of a calibration needs them, after one that
  compiles;
- a round: both, for 30 000 steps and 100 frames of every state.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from phasecal.engines import jaxmd
from phasecal.engines.jaxmd import runs
from phasecal.engines.jaxmd.job import LOG_FILE
from phasecal.potentials.base import Model, frames_from_sample, gradients, load_model
from phasecal.potentials.message_passing import MessagePassingModel, Network, chosen_weights
from phasecal.potentials.nequix import NequixModel, NequixNetwork
from phasecal.units import EV_PER_A3_IN_GPA, KB

ROUND_STEPS, ROUND_FRAMES = 30_000, 100
CHECKPOINT = 20
"""Steps between two lines with the time."""
SETTINGS = {
    "atomic_numbers": list(range(1, 90)),
    "hidden_irreps": "128x0e + 64x1o + 32x2e + 32x3o",
    "lmax": 3,
    "cutoff": 6.0,
    "n_layers": 4,
    "radial_basis_size": 8,
    "radial_mlp_size": 64,
    "radial_mlp_layers": 2,
    "radial_polynomial_p": 6.0,
    "mlp_init_scale": 4.0,
    "index_weights": False,
    "layer_norm": True,
    "shift": 0.0,
    "scale": 1e-3,
    "avg_n_neighbors": 50.0,
}
TRAIN = ["readout", "layers.3.linear_1._weights.w[1,1] 64x1o,64x1o", "layers.3.linear_1._weights.w[2,2] 32x2e,32x2e"]


def random_network(
    kind: type[MessagePassingModel], network: Network, train: Sequence[str], size: float = 1.0
) -> MessagePassingModel:
    """Return a network of titanium with random weights, some of them trained."""
    rng = np.random.default_rng(1)
    weights = {name: size * rng.normal(size=shape).astype(np.float32) for name, shape in network.shapes().items()}
    chosen = chosen_weights(weights, train)
    return kind(
        elements=("Ti",),
        cutoff=network.cutoff,
        masses={"Ti": 47.867},
        theta=np.concatenate([weights[name].astype(np.float64).ravel() for name in chosen]),
        network=network,
        trained=tuple((name, weights[name].shape) for name in chosen),
        frozen={name: array for name, array in weights.items() if name not in chosen},
    )


def gas_pressure(temperature_k: float) -> float:
    """Return the pressure, GPa, at which a gas is as dense as bcc titanium."""
    return 2 / 3.3**3 * KB * temperature_k * EV_PER_A3_IN_GPA


def states(model: Model, n_states: int, n_atoms: int, steps: int) -> list[dict]:
    """Return the tasks: temperatures of 1000 to 2100 K, pressures of 0 to 5 GPa, and a gas's for the random network."""
    every = {"thermo_every": 20, "sample_every": 20, "restart_every": CHECKPOINT, "production_steps": steps}
    common = {"schema": 1, "kind": "bulk", "phase": "bcc", "melt": False, "melt_temperature_k": None, "melt_steps": 0}
    common |= {"structure": {"prototype": "bcc", "elements": ["Ti"], "a": 3.3}, "barostat": "iso", "n_atoms": n_atoms}
    common |= {"equilibration_steps": CHECKPOINT, "timestep_fs": model.timestep_fs}
    tasks = []
    for index in range(n_states):
        temperature, pressure = 1000.0 + 1100.0 * index / max(n_states - 1, 1), float(index % 6)
        if isinstance(model, NequixModel):
            pressure = gas_pressure(temperature)
        tasks.append(common | every | {"temperature_k": temperature, "pressure_gpa": pressure, "seed": index + 1})
    return tasks


def measure(model: Model, folder: Path, n_states: int, n_atoms: int, steps: int) -> None:
    """Run the states of a model together, differentiate some of their frames, and print what both took."""
    tasks = states(model, n_states, n_atoms, steps)
    folders = [folder / f"{index:02d}" for index in range(n_states)]
    for place, task in zip(folders, tasks, strict=True):
        place.mkdir(parents=True)
        jaxmd.write_inputs(place, task, model)
    started = time.perf_counter()
    runs.run(folders)
    whole = time.perf_counter() - started
    log = (folders[0] / LOG_FILE).read_text()
    walls = [float(wall) for wall in re.findall(r"wall ([\d.]+) s", log.split("stage: production")[1])]
    read = [jaxmd.read_output(*run, model.hash, model.elements) for run in zip(folders, tasks, strict=True)]
    atoms = read[0].sample.positions.shape[1]
    step_s = float(np.median(np.diff(walls))) / CHECKPOINT
    first, second = (frames_from_sample(output.sample, model.cutoff) for output in read[:2])
    gradients(model, first)
    started = time.perf_counter()
    found = gradients(model, second)
    frame_s = (time.perf_counter() - started) / len(found)
    assert np.isfinite(found).all()
    memory = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**30
    means = [round(float(np.mean(output.thermo["temp"]))) for output in read]
    rate = f"{1e6 * step_s / n_states / atoms:.3f} µs/atom/step, {n_states * atoms / step_s:.3g} atom-steps/s"
    print(log.splitlines()[1])
    print(f"  {model.family}, {model.n_parameters} trained; mean T of the states {means} K")
    print(f"  {1e3 * step_s:.1f} ms per step of all: {rate}")
    print(
        f"  the whole run of {CHECKPOINT + steps} steps, with compilation: {whole:.0f} s; peak memory {memory:.1f} GiB"
    )
    print(f"  a gradient: {1e3 * frame_s:.0f} ms")
    sampling, step = ROUND_STEPS * step_s, ROUND_FRAMES * n_states * frame_s
    print(f"  a round: {sampling / 60:.1f} min of sampling and {step / 60:.1f} min of gradients", flush=True)


def main() -> None:
    """Measure each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", default=["nequix"])
    parser.add_argument("--states", type=int, default=24)
    parser.add_argument("--atoms", type=int, default=500)
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    for index, name in enumerate(given.models):
        model = random_network(NequixModel, NequixNetwork.of(SETTINGS), TRAIN) if name == "nequix" else load_model(name)
        measure(model, given.folder / str(index), given.states, given.atoms, given.steps)


if __name__ == "__main__":
    main()
