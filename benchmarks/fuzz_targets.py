"""The parsers that `fuzz.py` attacks, each with valid examples, and as `tests/science/test_hostile.py` runs them.

A parser reads the files of a folder as the product does; what it imports is imported when it runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fuzz_models
import numpy as np

Files = dict[str, bytes]
ROOT = Path(__file__).parents[1]
RUNS = ROOT / "fixtures" / "lammps"
ELEMENTS = ("Cu",)
HASH = "0" * 64

CAMPAIGN = b"""\
schema: 1
title: copper
model: {family: eam, source: tiny.eam.alloy, train: {pair: 2}, cutoff: 5 A}
phases:
  fcc:    {prototype: fcc, elements: [Cu], a: 3.615 A}
  liquid: {melt: fcc}
boundaries:
  - phases: [fcc, liquid]
    guess: 1330 K
    method: coexistence
    verify: pinning
    targets:
      - {pressure: 0 GPa, temperature: 1357.77 K, sigma: 0.5 K, source: "SGTE, Dinsdale 1991"}
      - {pressure: 10 GPa, temperature: 1700 K, sigma: 20 K, source: "x"}
protect: [fcc, bcc, hcp]
tolerance: 2 K
seed: 7
engine: lammps
step: adam
protocol:
  name: fast
  bulk: {n_atoms: 256, production_steps: 5000}
resources: {computer: localhost, slots: 2}
"""
FROZEN = b"""\
schema: 1
title: titanium
model:
  family: lammps
  files: [tiny.eam.alloy]
  commands:
    - pair_style hybrid/overlay zbl 3.5 4.0 eam/alloy
    - pair_coeff 1 1 zbl 29 29
    - pair_coeff * * eam/alloy tiny.eam.alloy Cu
    - mass 1 63.5
  correction: {family: eam, pair: 4, density: 2, embedding: 2, cutoff: 5 A}
"""
REDUCED = b"""\
schema: 1
title: lj
units: lj
model: {family: lj, epsilon: 1.0, sigma: 1.0, cutoff: 2.5, shift: true, train: [epsilon]}
phases:
  fcc:    {prototype: fcc, elements: [X], density: 0.95}
  liquid: {melt: fcc}
boundaries:
  - phases: [fcc, liquid]
    guess: 0.7
    targets: [{pressure: 0, temperature: 0.69, sigma: 0.01, source: "a"}]
tolerance: 0.01
protocol: fast
"""
FIT = b"""\
schema: 1
title: a student
data: [frames.extxyz, more.extxyz]
output: out/student.safetensors
model: {family: moment-network, elements: [Cu], cutoff: 4.2 A, inner: 2.3 A, radial: 3, basis: 5, hidden: [8, 8]}
split: {validation: 0.15, test: 0.2}
accuracy: {energy: 5 meV, force: 50 meV/A, stress: 0.5 GPa}
training: {epochs: 12, batch: 6, learning_rate: 0.01, patience: 3}
seed: 3
"""


@dataclass(frozen=True)
class Target:
    """A parser: ``parse(folder)`` reads files that ``examples(folder)`` made; those named ``fixed`` are not changed."""

    examples: Callable[[Path], list[Files]]
    parse: Callable[[Path], object]
    fixed: tuple[str, ...] = ()

    def changeable(self, files: Files) -> list[str]:
        """Names of the files that may be changed."""
        return [name for name in files if name not in self.fixed]


# --- text of users


def tiny_setfl(home: Path, elements: tuple[str, ...] = ELEMENTS, style: str = "alloy") -> bytes:
    """A small table of an embedded-atom potential."""
    from phasecal.potentials.setfl import Lattice, Setfl, write_setfl

    n, r = len(elements), 0.25 * np.arange(25)
    density = np.exp(-r) * (6.0 - r)
    setfl = Setfl(
        style=style,
        elements=elements,
        masses=(63.5,) * n,
        lattices=(Lattice(29, 3.615, "fcc"),) * n,
        drho=0.1,
        dr=0.25,
        cutoff=6.0,
        embedding=np.tile(-np.sqrt(0.1 * np.arange(20)), (n, 1)),
        density=np.tile(density, (n * n if style == "fs" else n, 1)),
        pair=np.tile(r * density, (n * (n + 1) // 2, 1)),
    )
    write_setfl(home / "tiny.eam", setfl, "tiny")
    return (home / "tiny.eam").read_bytes()


def campaigns(home: Path) -> list[Files]:
    """An EAM, a frozen base and Lennard-Jones."""
    rest = CAMPAIGN[CAMPAIGN.index(b"phases:") :]
    tiny = tiny_setfl(home)
    return [{"campaign.yaml": text, "tiny.eam.alloy": tiny} for text in (CAMPAIGN, FROZEN + rest, REDUCED)]


def parse_campaign(folder: Path) -> object:
    """As `phasecal validate` does."""
    from phasecal.campaign.consistency import contradictions
    from phasecal.campaign.load import load_campaign

    return contradictions(load_campaign(folder / "campaign.yaml").to_dict())


def parse_fit(folder: Path) -> object:
    """As `phasecal fit` begins."""
    from phasecal.fitting.schema import load_fit

    return load_fit(folder / "fit.yaml")


def tables(home: Path) -> list[Files]:
    """Tables of one element, and of two in both styles."""
    two = ("Cu", "Ni")
    kinds = [tiny_setfl(home), tiny_setfl(home, two), tiny_setfl(home, two, "fs")]
    return [{"tiny.eam": content} for content in kinds]


def parse_setfl(folder: Path) -> object:
    """As a model of family eam begins."""
    from phasecal.potentials.eam_tables import crystal_density, neighbor_distance
    from phasecal.potentials.setfl import read_setfl

    setfl = read_setfl(folder / "tiny.eam")
    return [(neighbor_distance(setfl, i), crystal_density(setfl, i)) for i in range(len(setfl.elements))]


def frames(home: Path) -> list[Files]:
    """Two labelled frames."""
    from ase.build import bulk

    from phasecal.fitting.data import Labelled, write_labelled

    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.rattle(0.1, seed=1)
    stress = 0.01 * np.eye(3)
    write_labelled(home / "frames.extxyz", [Labelled(atoms, -1.0, np.ones((4, 3)), s) for s in (stress, None)])
    return [{"frames.extxyz": (home / "frames.extxyz").read_bytes()}]


def parse_frames(folder: Path) -> object:
    """As `phasecal fit` and `phasecal label` do."""
    from phasecal.fitting.data import read_labelled

    return read_labelled([folder / "frames.extxyz"], ["Cu", "H", "W"])


def parse_commands(folder: Path) -> object:
    """As a model of family lammps does."""
    from phasecal.engines.lammps.commands import check_commands, overlay

    commands = (folder / "commands").read_bytes().decode(errors="surrogateescape").split("\n")[:-1]
    check_commands(commands, {"a.snap", "tiny.eam.alloy"}, ("Cu", "Ni"))
    text = "\n".join(overlay(commands, ["pair_style eam/alloy", "pair_coeff * * c.eam Cu Ni"]))
    assert not set(text) & set("$'\"#&`;<>|\\\t\r\x0b\x85\u2028"), f"a character with a meaning: {text!a}"
    return text


# --- what comes back from a computer


def runs(home: Path) -> list[Files]:
    """Recorded runs of LAMMPS, the shorter ones, with few atoms, frames and lines."""
    return [shortened(RUNS / name) for name in ("complete", "continued", "interrupted", "crashed")]


def shortened(run: Path) -> Files:
    """Return a run as if it had four atoms: its first and last frames, their lines of the log, all lines about it."""
    task, log = json.loads((run / "task.json").read_text()), (run / "log.lammps").read_bytes()
    dump = (run / "production.dump").read_bytes() if (run / "production.dump").exists() else b""
    frames, steps = [], {b"0", b"100"}
    found = dump.split(b"ITEM: TIMESTEP\n")[1:]
    for frame in found[:2] + found[-3:]:
        lines = frame.splitlines(keepends=True)
        atoms = lines[8:11] + (lines[-1:] if not lines[-1].endswith(b"\n") else lines[11:12])
        frames.append(b"".join([*lines[:2], b"4\n", *lines[3:8], *atoms]))
        steps.add(lines[0].strip())
    kept = []
    for line in log.splitlines(keepends=True):
        row = re.match(rb"  - \[(\d+),", line)
        if row[1] in steps if row else re.match(rb"phasecal|keywords|data:|\.\.\.|Loop|ERROR|LAMMPS|  \d+ atoms", line):
            kept.append(line)
    files = {"task.json": json.dumps(task | {"n_atoms": 4}).encode(), "log.lammps": b"".join(kept)}
    return files | ({"production.dump": b"".join(b"ITEM: TIMESTEP\n" + frame for frame in frames)} if frames else {})


def parse_run(folder: Path) -> object:
    """As the parser of LAMMPS runs does, and the status of a running one."""
    from phasecal.engines.lammps.output import read_output
    from phasecal.engines.lammps.progress import read_progress

    task = json.loads((folder / "task.json").read_text())
    read_progress(folder, task)
    return read_output(folder, task, HASH, ELEMENTS)


def jax_runs(home: Path) -> list[Files]:
    """A run of jax-md in two parts."""
    from phasecal.engines.jaxmd.state import COLUMNS

    task = json.loads((RUNS / "complete" / "task.json").read_text())
    task |= {"n_atoms": 4, "production_steps": 40, "thermo_every": 10, "sample_every": 10, "restart_every": 20}
    log = (
        b"phasecal stage: start\nphasecal stage: production\nstep 20 of 40: T 300 K, wall 1.5 s\nphasecal stage: done\n"
    )
    files = {"task.json": json.dumps(task).encode(), "md.log": log}
    for i in range(2):
        steps = 20 * i + np.array([10, 20])
        thermo = np.column_stack([steps, np.ones((2, len(COLUMNS)))])
        np.savez(
            home / "part.npz",
            thermo=thermo,
            steps=steps,
            positions=np.ones((2, 4, 3), np.float32),
            edges=np.ones((2, 3)),
        )
        files[f"production.0.{20 * i:010d}.npz"] = (home / "part.npz").read_bytes()
    return [files]


def parse_jax_run(folder: Path) -> object:
    """As the parser of jax-md runs does, and the status of a running one."""
    from phasecal.engines.jaxmd.output import read_output
    from phasecal.engines.jaxmd.progress import read_progress

    task = json.loads((folder / "task.json").read_text())
    read_progress(folder, task)
    return read_output(folder, task, HASH, ELEMENTS)


def samples(home: Path) -> list[Files]:
    """A sample."""
    from phasecal.sample import Sample

    sample = Sample(
        positions=np.ones((3, 4, 3), np.float32),
        cells=np.tile(3.6 * np.eye(3), (3, 1, 1)),
        energies=np.arange(3.0),
        steps=np.arange(3),
        species=np.zeros(4, np.int32),
        elements=ELEMENTS,
        phase="fcc",
        temperature_k=300.0,
        pressure_gpa=0.0,
        timestep_fs=2.0,
        model_hash=HASH,
    )
    sample.save(home / "sample.npz")
    return [{"sample.npz": (home / "sample.npz").read_bytes()}]


def parse_sample(folder: Path) -> object:
    """As a calibration step does."""
    from phasecal.sample import Sample

    return Sample.load(folder / "sample.npz").volumes


def results(home: Path) -> list[Files]:
    """A result of a calibration step and an error."""
    found = {"schema": 1, "task": "calibration-step", "model_file": "next_model.safetensors", "converged": True}
    found |= {"targets": [{"phases": ["fcc", "liquid"], "temperature_k": 1357.7, "sigma_k": 2.0, "n": 3}]}
    error = {"schema": 1, "error": {"kind": "overlap", "message": "two states share too few configurations"}}
    return [{"result.json": json.dumps(content, indent=1).encode()} for content in (found, error)]


def parse_result(folder: Path) -> object:
    """As the parser of tasks begins."""
    from phasecal.bounded import read_json

    return json.dumps(read_json(folder / "result.json"), allow_nan=False)


def tasks(_: Path) -> list[Files]:
    """A task of molecular dynamics and one of a calibration step."""
    boundary = {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "temperature_k": 1300.0, "sigma_k": 5.0}
    samples = [{"file": f"sample_{i}.npz", "model": i} for i in range(2)]
    structure = {"prototype": "fcc", "elements": ["Cu"], "a": 3.6}
    step = {
        "schema": 1,
        "task": "calibration-step",
        "models": ["model_0.safetensors", "model_1.safetensors"],
        "samples": samples,
        "anchors": [{**boundary, "model": 0}],
        "targets": [boundary],
        "protect": [{"name": "fcc", "kind": "phase", "structure": structure}],
        "step": {"method": "gauss-newton", "max_sd": 2.0},
        "tolerance_k": 2.0,
    }
    run = (RUNS / "complete" / "task.json").read_bytes()
    return [{"task.json": content} for content in (run, json.dumps(step, indent=1).encode())]


def parse_task(folder: Path) -> object:
    """As a job begins on its node."""
    from phasecal.bounded import read_json
    from phasecal.calibration.schema import read_task
    from phasecal.engines.lammps.progress import total_steps
    from phasecal.errors import InputError

    task = read_json(folder / "task.json", InputError)
    return total_steps(task) if "kind" in task else read_task(task)


COMMANDS = [
    b"pair_style hybrid/overlay zbl 3.5 4.0 snap\npair_coeff 1 2 zbl 29 29\npair_coeff * * snap a.snap a.snap Cu Ni\n",
    b"pair_style lj/cut 5.0\npair_coeff * * 0.1 2.5\npair_modify shift yes\nmass 1 63.5\nmass 2 58.7\n",
    b"pair_style hybrid/overlay lj/cut 5 lj/cut 6\npair_coeff 1 1 lj/cut 1 0.1 2\npair_coeff * * lj/cut 2 0.1 2\n",
]
TARGETS = {
    "campaign": Target(campaigns, parse_campaign, fixed=("tiny.eam.alloy",)),
    "fit": Target(lambda _: [{"fit.yaml": FIT}], parse_fit),
    "setfl": Target(tables, parse_setfl),
    "extxyz": Target(frames, parse_frames),
    "commands": Target(lambda _: [{"commands": text} for text in COMMANDS], parse_commands),
    "lammps-run": Target(runs, parse_run, fixed=("task.json",)),
    "jaxmd-run": Target(jax_runs, parse_jax_run, fixed=("task.json",)),
    "sample": Target(samples, parse_sample),
    "result": Target(results, parse_result),
    "task": Target(tasks, parse_task),
    "model": Target(lambda home: fuzz_models.models(home, tiny_setfl(home)), fuzz_models.parse_model),
    "artifact": Target(fuzz_models.artifacts, fuzz_models.parse_artifact),
    "module": Target(lambda _: [{"module.bin": fuzz_models.artifact().module}], fuzz_models.parse_module),
    "nequix": Target(fuzz_models.nequix_files, fuzz_models.parse_nequix),
    "mace": Target(fuzz_models.mace_files, fuzz_models.parse_mace),
}
