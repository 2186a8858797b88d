"""Frozen LAMMPS potentials with a correction: against LAMMPS itself, and against a base that JAX knows too."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from ase.build import bulk
from safetensors import safe_open
from safetensors.numpy import save_file
from titanium_models import TITANIUM

from phasecal.campaign.load import load_campaign
from phasecal.campaign.model import build_model
from phasecal.campaign.sources import potentials_folder
from phasecal.engines import lammps
from phasecal.engines.lammps.static import PairPotential, static_points
from phasecal.errors import DataError, InputError
from phasecal.observables.cold import elastic_constants, protected_rows, relax
from phasecal.observables.expansion import lammps_expansion
from phasecal.potentials.base import _canonical, energies, forces, frames_from_atoms, gradients, load_model, virials
from phasecal.potentials.correction import eam_correction
from phasecal.potentials.eam import EamModel
from phasecal.potentials.frozen import FrozenModel

BASES = {
    "meam/spline": ("Ti", "bcc", 3.272, ["pair_style meam/spline", "pair_coeff * * Ti.meam.spline Ti"]),
    "sw": ("Si", "diamond", 5.43, ["pair_style sw", "pair_coeff * * Si.sw Si"]),
    "snap": (
        "Cu",
        "fcc",
        3.63,
        ["pair_style snap", "pair_coeff * * Cu_Zuo_JPCA2020.snapcoeff Cu_Zuo_JPCA2020.snapparam Cu"],
    ),
    "eam/alloy": ("Cu", "fcc", 3.615, ["pair_style eam/alloy", "pair_coeff * * Cu_mishin1.eam.alloy Cu"]),
    "hybrid/overlay": (
        "Cu",
        "fcc",
        3.615,
        [
            "pair_style hybrid/overlay zbl 2.0 3.0 eam/alloy",
            "pair_coeff * * zbl 29 29",
            "pair_coeff * * eam/alloy Cu_mishin1.eam.alloy Cu",
        ],
    ),
}


def frozen(name: str, **train: int) -> FrozenModel:
    """A base of the wheel, with a correction when something is trained."""
    element, lattice, a, commands = BASES[name]
    words = [word for command in commands for word in command.split() if "." in word and word[0].isalpha()]
    files = {word: (potentials_folder() / word).read_bytes() for word in words}
    correction = eam_correction([bulk(element, lattice, a=a)], [element], train, 5.5) if train else None
    return FrozenModel.from_commands([element], commands, files, correction)


def changed(model: FrozenModel, size: float = 0.02) -> FrozenModel:
    return model.with_theta(np.random.default_rng(4).normal(0.0, size, model.theta.size))


def shaken(model: FrozenModel, name: str):
    """A small hot crystal in a skew cell."""
    element, lattice, a, _ = BASES[name]
    atoms = bulk(element, lattice, a=a, cubic=True) * (2, 1, 1)
    cell = atoms.cell.array + np.array([[0, 0.3, -0.2], [0.1, 0, 0.4], [0.2, -0.3, 0]])
    atoms.set_cell(cell, scale_atoms=True)
    atoms.rattle(0.1, seed=2)
    return atoms


def point(model: FrozenModel, atoms, commands=None, files=None):
    """LAMMPS' energy, forces and virial of one configuration."""
    masses = tuple(model.masses.values())
    return static_points(PairPotential(model.elements, masses, tuple(commands), files), [atoms])[0]


def exported(model: FrozenModel, folder):
    """Commands and files of a model, as a run has them."""
    commands = [line for line in model.export_lammps(folder) if not line.startswith("mass")]
    return commands, tuple((path.name, path.read_bytes()) for path in folder.iterdir())


@pytest.mark.parametrize("name", BASES)
def test_base_and_correction_add_up_in_lammps(name, tmp_path):
    bare, trained = frozen(name), frozen(name, pair=5, density=2, embedding=3)
    atoms = shaken(bare, name)
    results = {}
    for label, model in {"bare": bare, "zero": trained, "changed": changed(trained)}.items():
        folder = tmp_path / label
        folder.mkdir()
        results[label] = point(model, atoms, *exported(model, folder))
    assert results["zero"].energy == pytest.approx(results["bare"].energy, abs=1e-10)
    assert results["zero"].forces == pytest.approx(results["bare"].forces, abs=1e-10)
    model = changed(trained)
    frames = frames_from_atoms([atoms], model.elements, model.cutoff)
    difference = results["changed"].energy - results["bare"].energy
    assert abs(difference) > 0.01
    assert energies(model, frames)[0] == pytest.approx(difference, abs=1e-9)
    assert forces(model, frames)[0] == pytest.approx(results["changed"].forces - results["bare"].forces, abs=1e-9)
    assert virials(model, frames)[0] == pytest.approx(results["changed"].virial - results["bare"].virial, abs=1e-8)


def test_hennigs_corrected_titanium_has_the_energies_on_record(tmp_path):
    record = json.loads((TITANIUM / "hennig-corrected.json").read_text())
    campaign = load_campaign(TITANIUM.parents[2] / record["campaign"])
    model = build_model(campaign).with_theta(np.array(record["theta"]))
    commands, files = exported(model, tmp_path)
    cells = {"hcp": bulk("Ti", "hcp", a=2.947, c=4.703), "bcc": bulk("Ti", "bcc", a=3.272)}
    assert list(record["energy_per_atom_ev"]) == list(cells)
    for crystal, energy in record["energy_per_atom_ev"].items():
        found = point(model, cells[crystal], commands, files).energy / len(cells[crystal])
        assert found == pytest.approx(energy, abs=2e-6)


def test_static_points_are_those_of_a_base_that_jax_knows():
    model = frozen("eam/alloy")
    known = EamModel.from_file(potentials_folder() / "Cu_mishin1.eam.alloy", {})
    atoms = shaken(model, "eam/alloy")
    found = point(model, atoms, model.commands, tuple(model.files.items()))
    frames = frames_from_atoms([atoms], ("Cu",), known.cutoff)
    assert found.energy == pytest.approx(energies(known, frames)[0], abs=1e-8)
    assert found.forces == pytest.approx(forces(known, frames)[0], abs=1e-8)
    assert found.virial == pytest.approx(virials(known, frames)[0], abs=1e-7)


@pytest.mark.parametrize(("lattice", "a"), [("fcc", 3.6), ("hcp", 2.55)])
def test_cold_numbers_of_a_frozen_base_are_those_of_the_same_base_in_jax(lattice, a):
    """hcp has an internal coordinate: its elastic constants need the base's own response."""
    model = frozen("eam/alloy", pair=3, embedding=2)
    known = EamModel.from_file(potentials_folder() / "Cu_mishin1.eam.alloy", {})
    found, expected = relax(model, bulk("Cu", lattice, a=a)), relax(known, bulk("Cu", lattice, a=a))
    assert found.energy_per_atom_ev == pytest.approx(expected.energy_per_atom_ev, abs=1e-9)
    assert found.volume_per_atom == pytest.approx(expected.volume_per_atom, abs=1e-6)
    assert elastic_constants(model, found) == pytest.approx(elastic_constants(known, expected), abs=1e-2)


def test_the_correction_adds_to_the_expansion_of_the_base(tmp_path):
    """Everything from LAMMPS, base and corrected table in one overlay, against LAMMPS' base plus JAX' correction."""
    model = changed(frozen("eam/alloy", pair=3, embedding=2))
    state = relax(model, bulk("Cu", "hcp", a=2.55), np.zeros_like(model.theta))
    commands, files = exported(model, tmp_path)
    whole = lammps_expansion(PairPotential(("Cu",), (63.546,), tuple(commands), files), state.atoms)
    rows = protected_rows(model, state, "phase")
    assert rows.values[0] == pytest.approx(whole.energy / 2, abs=1e-9)
    assert rows.values[1] == pytest.approx(-whole.gradient[:3].mean() * 160.2176634 / state.atoms.cell.volume, abs=1e-6)
    step = 1e-5 * np.eye(model.theta.size)[1]
    up, down = (protected_rows(model, state, "phase", model.theta + sign * step).values for sign in (1, -1))
    assert rows.jacobian[:, 1] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-4)


def test_a_base_without_a_correction_has_nothing_to_train():
    model = frozen("sw")
    assert (model.parameter_names, model.theta.shape, model.cutoff) == ((), (0,), 0.0)
    frames = frames_from_atoms([bulk("Si")], ("Si",), 3.0)
    for function in (energies, gradients):
        with pytest.raises(InputError, match="cannot compute or train its energies; give it a correction"):
            function(model, frames)


def test_density_only_measures_how_crowded_an_atom_is():
    crystals = [bulk("Ti", "bcc", a=3.27), bulk("Al", "fcc", a=4.05)]
    correction = eam_correction(crystals, ["Al", "Ti"], {"pair": 2, "embedding": 2}, 5.0)
    assert max(correction.crystal_densities) == 1.0
    assert correction.pair_starts[0] == pytest.approx(0.75 * 4.05 / 2**0.5)
    assert correction.pair_starts[2] == pytest.approx(0.75 * 3.27 * 3**0.5 / 2)
    assert correction.pair_starts[1] == pytest.approx(0.75 * min(4.05 / 2**0.5, 3.27 * 3**0.5 / 2))  # never met
    frames = frames_from_atoms([crystals[0]], correction.elements, 5.0)
    assert energies(correction, frames)[0] == 0.0
    with pytest.raises(InputError, match="does not reach the neighbours of Al"):
        eam_correction(crystals, ["Al", "Ti"], {"pair": 2}, 2.85)


# --- the file of a model


def test_masses_are_those_of_the_elements_unless_the_commands_say_otherwise():
    files = {"Si.sw": (potentials_folder() / "Si.sw").read_bytes()}
    commands = BASES["sw"][3]
    assert FrozenModel.from_commands(["Si"], commands, files).masses["Si"] == pytest.approx(28.085, abs=1e-3)
    heavy = FrozenModel.from_commands(["Si"], [*commands, "mass 1 30.0"], files)
    assert (heavy.masses, heavy.commands) == ({"Si": 30.0}, tuple(commands))


def test_files_are_part_of_the_model(tmp_path):
    model = changed(frozen("sw", pair=4))
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert (loaded.hash, loaded.files, loaded.commands) == (model.hash, dict(model.files), model.commands)
    assert loaded.parent == model.parent
    other = FrozenModel.from_commands(["Si"], model.commands, {"Si.sw": model.files["Si.sw"] + b"\n"})
    assert other.hash != FrozenModel.from_commands(["Si"], model.commands, model.files).hash
    commands = loaded.export_lammps(tmp_path)
    assert commands[0] == "pair_style hybrid/overlay sw eam/alloy"
    assert (tmp_path / "Si.sw").read_bytes() == model.files["Si.sw"]
    assert "pair_coeff * * sw Si.sw Si" in commands


def tampered(path, change):
    """Change the record of a model file and give it a hash that fits, as an attacker would."""
    with safe_open(str(path), framework="np") as file:
        record = json.loads(file.metadata()["phasecal"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}
    change(record, arrays)
    digest = hashlib.sha256(_canonical({"family": record["family"], "config": record["config"]}).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\0{name}{array.dtype.str}{array.shape}\0".encode() + array.tobytes())
    save_file(arrays, str(path), metadata={"phasecal": _canonical(record | {"hash": digest.hexdigest()})})


def replace_command(command):
    return lambda record, arrays: record["config"]["commands"].__setitem__(1, command)


def rename_file(record, arrays):
    record["config"]["files"] = ["../Si.sw"]
    arrays["file/../Si.sw"] = arrays.pop("file/Si.sw")


def replace_script(record, arrays):
    record["config"]["files"] = ["Si.sw", "sw.in"]
    arrays["file/sw.in"] = np.frombuffer(b"shell ls", dtype=np.uint8)


HOSTILE = {
    "a command": (replace_command("shell touch /tmp/owned"), "the command 'shell' is refused"),
    "a second line": (replace_command("pair_coeff * * Si.sw Si\nshell ls"), "has the character"),
    "a substitution": (replace_command("pair_coeff * * ${x} Si"), "has the character"),
    "a path": (replace_command("pair_coeff * * /etc/passwd Si"), "/etc/passwd is not among the files"),
    "no text": (replace_command(["shell"]), "not a readable phasecal model"),
    "a file elsewhere": (rename_file, "not a plain file name"),
    "a script": (replace_script, "the name of a file of every run"),
    "an element": (lambda r, a: r["config"].update(elements=["Si\nshell"], masses={"Si\nshell": 28.0}), "expected"),
    "a mass": (lambda r, a: r["config"].update(masses={"Si": "28\nshell ls"}), "plain words with a mass"),
    "a missing file": (lambda r, a: r["config"].update(files=[]), "Si.sw is not among the files"),
    "a lost file": (lambda r, a: a.pop("file/Si.sw"), "not a readable phasecal model"),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_model_file_cannot_bring_in_commands(tmp_path, change, message):
    path = tmp_path / "model.safetensors"
    frozen("sw").save(path)
    tampered(path, change)
    with pytest.raises(DataError, match=r"model\.safetensors") as error:
        load_model(path)
    assert message in str(error.value)


def test_tampering_as_the_tests_do_it_is_not_noticed_by_the_hash(tmp_path):
    """The control of the test above: with the same means, a harmless change goes through."""
    path = tmp_path / "model.safetensors"
    frozen("sw").save(path)
    tampered(path, replace_command("pair_coeff * * Si.sw NULL"))
    assert load_model(path).commands[1] == "pair_coeff * * Si.sw NULL"


def test_commands_are_checked_once_more_before_they_are_written(md, tmp_path):
    class Evil(md.CopperFile):
        def export_lammps(self, folder):
            return [*super().export_lammps(folder), "shell touch owned"]

    with pytest.raises(InputError, match="the command 'shell' is refused"):
        lammps.write_inputs(tmp_path, md.bulk_task(), Evil())
    assert not (tmp_path / "potential.in").exists()


# --- every kind of run

TI = {"prototype": "bcc", "elements": ["Ti"], "a": 3.3}
BRIEF = {"structure": TI, "temperature_k": 1200.0, "timestep_fs": 2.4, "sample_every": 20, "thermo_every": 10}
SWITCH = {
    **BRIEF, "schema": 1, "phase": "bcc", "n_atoms": 54, "pressure_gpa": 1.0, "hold_steps": 20, "switch_steps": 40,
    "production_steps": 120, "restart_every": 60, "seed": 3,
}  # fmt: skip
TWO_PHASES = {
    "phases": ["bcc", "liquid"], "n_lateral": 3, "n_normal": 6, "melt_temperature_k": 3600.0, "relax_steps": 20,
    "melt_steps": 20, "cool_steps": 20, "settle_steps": 20, "production_steps": 40, "restart_every": 40,
}  # fmt: skip


def brief_tasks(md):
    """One very short run of each kind."""
    melt = {"melt_temperature_k": 3000.0, "melt_steps": 40}
    fluid = {"cell_a": [10.2] * 3, "uf_p": 50.0, "uf_sigma_a": 1.7, **melt}
    isobar = {
        "end_temperature_k": 1300.0,
        "melt": False,
        "melt_temperature_k": None,
        "melt_steps": 0,
        "barostat": "iso",
    }
    bulk_run = {"phase": "bcc", "n_atoms": 54, "equilibration_steps": 20, "production_steps": 40, "restart_every": 40}
    return [
        md.bulk_task(**BRIEF, **bulk_run),
        {**SWITCH, "kind": "frenkel-ladd", "cell_a": [9.9] * 3, "springs_ev_a2": {"Ti": 2.5}},
        {**SWITCH, "kind": "uhlenbeck-ford", **fluid},
        {**SWITCH, "kind": "reversible-scaling", **isobar},
        md.coexistence_task(**BRIEF, **TWO_PHASES),
        md.pinning_task(**BRIEF, **TWO_PHASES, lateral_a=[9.9, 9.9]),
    ]


@pytest.mark.parametrize("corrected", [False, True], ids=["base", "corrected"])
def test_every_kind_of_run_works_with_meam_splines(md, tmp_path, corrected):
    """The printed energy is the scaled sum of base and correction, and c_model the unscaled one."""
    model = changed(frozen("meam/spline", pair=4, embedding=2), 0.005) if corrected else frozen("meam/spline")
    for task in brief_tasks(md):
        folder = tmp_path / task["kind"]
        folder.mkdir()
        lammps.write_inputs(folder, task, model)
        lammps.run_lammps(folder, task["kind"])
        output = lammps.read_output(folder, task, model.hash, model.elements)
        assert output.finished, task["kind"]
        thermo = output.thermo
        if task["kind"] == "reversible-scaling":
            assert thermo["pe"] == pytest.approx(thermo["lambda"] * thermo["model_ev"], rel=1e-9)
        elif task["kind"] in ("frenkel-ladd", "uhlenbeck-ford"):
            fluid = thermo["lambda"] * thermo["reference_ev"] if task["kind"] == "uhlenbeck-ford" else 0.0
            assert thermo["pe"] == pytest.approx(
                (1 - thermo["lambda"]) * thermo["model_ev"] + fluid, rel=1e-9, abs=1e-7
            )
