"""Artifacts: the same numbers anywhere, for any size, and no artifact that lies about what it is."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk

from phasecal.artifact import Artifact, check_versions, read_artifact
from phasecal.embedded import Session
from phasecal.engines.lammps.commands import ARTIFACT_FILE, check_file_name
from phasecal.errors import DataError, InputError
from phasecal.module import check_calls
from phasecal.potentials import artifact as artifacts
from phasecal.potentials.artifact import export_artifact, plugin_commands
from phasecal.potentials.correction import eam_correction
from phasecal.potentials.frozen import FrozenModel
from phasecal.potentials.lj import LjModel

MAPS = Path("/proc/self/maps")


def binary():
    """Embedded atoms of two elements; small tables."""
    crystal = bulk("CuAu", "cesiumchloride", a=3.1, cubic=True)
    model = eam_correction([crystal], ["Cu", "Au"], {"pair": 4, "density": 2, "embedding": 3}, 5.0)
    return model.with_theta(np.random.default_rng(5).normal(0.0, 0.1, model.theta.size))


def lennard_jones(**changes):
    defaults = {"element": "Ar", "mass": 39.95, "epsilon": 0.1, "sigma": 2.4, "cutoff_sigmas": 2.5}
    return LjModel.from_parameters(**defaults | changes)


@pytest.fixture(scope="module")
def model():
    return binary()


@pytest.fixture(scope="module")
def artifact(model):
    return export_artifact(model, "float64")


def neighborhoods(model, n_atoms, width, seed=1):
    """Random ones, with padding at the end of some rows."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0.0, model.cutoff / 2, (n_atoms, width, 3))
    vectors[::2, -1] = 3 * model.cutoff
    n = len(model.elements)
    return vectors, rng.integers(0, n, n_atoms, dtype=np.int32), rng.integers(0, n, (n_atoms, width), dtype=np.int32)


def expected(model, vectors, *species):
    def total(v):
        return model.atom_energies(model.theta, v, *species).sum()

    return model.atom_energies(model.theta, vectors, *species), jax.grad(total)(jnp.asarray(vectors))


# --- what an artifact costs


def test_the_runs_of_a_round_share_one_compiled_artifact(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(artifacts, "export_artifact", lambda *of: compiled.append(of) or export_artifact(*of))
    folders = [tmp_path / str(i) for i in range(4)]
    for folder, model in zip(
        folders, [binary(), binary(), binary().with_theta(np.zeros(binary().theta.size)), binary()], strict=True
    ):
        folder.mkdir()
        plugin_commands(model, folder)
    files = [(folder / ARTIFACT_FILE).read_bytes() for folder in folders]
    assert files[0] == files[1] == files[3] != files[2]
    assert len(compiled) == 2


@pytest.mark.skipif(not MAPS.exists(), reason="counts the memory mappings of this process in /proc")
def test_an_export_leaves_no_compiled_code_in_memory():
    def mappings():
        gc.collect()
        return len(MAPS.read_text().splitlines())

    counts = []
    for epsilon in (0.1, 0.2, 0.3, 0.4):
        export_artifact(lennard_jones(epsilon=epsilon))
        counts.append(mappings())
    assert counts[-1] < counts[1] + 20  # a process has 65530, and dies when they are used up


# --- what an artifact computes


@pytest.mark.parametrize(("n_atoms", "width"), [(5, 9), (1, 30)])
def test_one_module_serves_every_size(model, artifact, n_atoms, width):
    inputs = neighborhoods(model, n_atoms, width)
    energies, slopes = artifact.function().call(*inputs)
    each, gradient = expected(model, *inputs)
    assert np.asarray(energies) == pytest.approx(np.asarray(each), abs=1e-12)
    assert np.asarray(slopes) == pytest.approx(np.asarray(gradient), abs=1e-12)


def test_single_precision_is_single_throughout(model, artifact):
    single = export_artifact(model, "float32")
    assert {array.dtype for array in single.reference.values()} == {np.dtype("float32"), np.dtype("int32")}
    for name in ("energies", "slopes"):
        scale = np.abs(artifact.reference[name]).max()
        error = np.abs(single.reference[name] - artifact.reference[name]).max() / scale
        assert 0.0 < error < 3e-5  # tables of 2001 points, see TOLERANCE
    assert len(single.module) < 0.7 * len(artifact.module)


def test_a_process_without_the_code_of_the_model_gets_the_same_numbers(artifact, tmp_path):
    artifact.save(tmp_path / "model.artifact")
    script = (
        "import sys\n"
        "sys.modules['phasecal.potentials'] = None\n"
        "from phasecal.embedded import start\n"
        "session = start(sys.argv[1], ['Cu', 'Au'], 1)\n"
        "vectors, species, others = session.grow(6, 12)\n"
        "for name, array in zip(('vectors', 'species', 'neighbor_species'), (vectors, species, others)):\n"
        "    value = session.artifact.reference[name]\n"
        "    array[tuple(slice(0, n) for n in value.shape)] = value\n"
        "energies, slopes = session.evaluate()\n"
        "print(abs(energies[:6] - session.artifact.reference['energies']).max(), abs(slopes[6:]).max())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "model.artifact"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    error, padding = (float(word) for word in done.stdout.split())
    assert error < 1e-13
    assert padding == 0.0


def test_the_same_model_is_the_same_artifact(model, artifact, tmp_path):
    again = export_artifact(binary(), "float64")
    assert again.sha256 == artifact.sha256
    assert b".py" not in artifact.module  # no place that differs from caller to caller
    artifact.save(tmp_path / "a")
    loaded = read_artifact(tmp_path / "a")
    assert loaded.sha256 == artifact.sha256
    assert loaded.record["model"] == model.hash
    assert export_artifact(model.with_theta(0.9 * model.theta), "float64").sha256 != artifact.sha256


# --- what is refused


@pytest.mark.parametrize("where", [0.3, 0.6, 0.95])
def test_a_changed_byte_is_refused(artifact, tmp_path, where):
    path = tmp_path / "model.artifact"
    artifact.save(path)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.artifact: changed since it was written"):
        read_artifact(path)


def test_a_changed_record_is_refused(artifact, tmp_path):
    path = tmp_path / "model.artifact"
    artifact.save(path)
    path.write_bytes(path.read_bytes().replace(b'Cu\\", \\"Au', b'Au\\", \\"Cu'))
    with pytest.raises(DataError, match="changed since it was written"):
        read_artifact(path)


def test_what_is_no_artifact_is_refused(tmp_path):
    lennard_jones().save(tmp_path / "model.safetensors")
    for name, message in (
        ("model.safetensors", "not a readable .* no entry phasecal-artifact"),
        ("missing", "no such"),
    ):
        with pytest.raises(DataError, match=rf"{name}: .*{message}"):
            read_artifact(tmp_path / name)


WIDE = {"vectors": (6, 2000, 3), "neighbor_species": (6, 2000), "slopes": (6, 2000, 3)}


@pytest.mark.parametrize(
    ("record", "shapes", "message"),
    [
        ({"cutoff": 1e9}, {}, "cutoff"),
        ({"cutoff": "5"}, {}, "cutoff is '5'"),
        ({"dtype": "float16"}, {}, "float16"),
        ({"dtype": "float32"}, {}, "other shapes and kinds"),
        ({"elements": ["Cu", 5]}, {}, "elements are"),
        ({"passes_messages": True}, {}, "values to unpack"),
        ({}, {"slopes": (6, 12)}, "other shapes and kinds"),
        ({}, {"species": (7,)}, "other shapes and kinds"),
        ({}, {"more": (1,)}, "other arrays"),
        ({}, WIDE, "6 × 2000 pairs"),
    ],
)
def test_what_belongs_together_but_is_no_artifact_is_refused(artifact, tmp_path, record, shapes, message):
    reference = {**artifact.reference}
    for name, shape in shapes.items():
        reference[name] = np.ones(shape, reference[name].dtype if name in reference else np.int32)
    wrong = {name: np.ones(1) for name in ("neighbors", "neighbor_species")} | reference  # for the hash of any record
    changed = replace(artifact, record={**artifact.record, **record}, reference=wrong)
    if "passes_messages" not in record:
        changed = replace(changed, reference={k: v for k, v in wrong.items() if k != "neighbors"})
    changed.save(tmp_path / "model.artifact")
    with pytest.raises(DataError, match=rf"model\.artifact: not a readable artifact of phasecal .*{message}"):
        read_artifact(tmp_path / "model.artifact")


def test_a_module_that_takes_other_arrays_is_refused(artifact):
    other = jax.export.export(jax.jit(lambda x: x + 1))(jax.ShapeDtypeStruct((2**40,), jnp.float64)).serialize()
    with pytest.raises(DataError, match="takes or returns other arrays"):
        replace(artifact, module=bytes(other)).function()


def test_calls_are_found_however_they_are_written():
    check_calls("stablehlo.custom_call @shape_assertion(%0)")
    for text, name in (("@evil.call(%0)", "evil.call"), ('@"a b"(%0)', "without a plain name")):
        with pytest.raises(DataError, match=f"calls .*{name}"):
            check_calls(f"%1 = stablehlo.custom_call {text}")


@pytest.mark.parametrize("elements", [["Au", "Cu"], ["Cu"], ["Cu", "Ag"]])
def test_elements_in_another_order_are_refused(artifact, elements):
    with pytest.raises(DataError, match="has the elements Cu Au, in this order; got"):
        artifact.check_elements(elements)


def test_outputs_that_are_not_those_of_the_reference_are_refused(artifact, tmp_path):
    wrong = {**artifact.reference, "slopes": artifact.reference["slopes"] * (1 + 1e-7)}
    replace(artifact, reference=wrong).save(tmp_path / "wrong.artifact")
    session = Session(tmp_path / "wrong.artifact", ["Cu", "Au"])
    session.grow(8, 20)
    with pytest.raises(DataError, match="slopes differ from its reference by"):
        session.evaluate()


def test_a_model_that_is_not_local_is_refused(tmp_path):
    correction = eam_correction([bulk("Cu", cubic=True)], ["Cu"], {"pair": 2}, 5.0)
    frozen = FrozenModel.from_commands(["Cu"], ["pair_style zero 5.0", "pair_coeff * *"], {}, correction)
    with pytest.raises(InputError, match="family lammps is not a sum of atom energies"):
        plugin_commands(frozen, tmp_path)
    assert not list(tmp_path.iterdir())


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Inverting:
    """Atom energies that need LAPACK."""

    def __call__(self, theta, vectors, species, neighbor_species):
        each = jnp.sum(jnp.exp(-jnp.sum(vectors**2, axis=-1)), axis=1)
        return each * jnp.linalg.inv(jnp.eye(3, dtype=vectors.dtype) * (1.0 + jnp.sum(each)))[0, 0]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Doubling:
    """Atom energies with a constant of their own precision."""

    def __call__(self, theta, vectors, species, neighbor_species):
        return jnp.sum(jnp.float64(0.1) * jnp.exp(-jnp.sum(vectors**2, axis=-1)), axis=1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Reaching:
    """Atom energies that do not end at the cutoff."""

    def __call__(self, theta, vectors, species, neighbor_species):
        return jnp.sum(1.0 / jnp.sum(vectors**2, axis=-1), axis=1)


@pytest.mark.parametrize(
    ("function", "message"),
    [(Inverting(), "custom|calls .*getr"), (Doubling(), "computes in float64"), (Reaching(), "beyond its cutoff")],
)
def test_functions_that_would_fail_later_are_refused_at_export(function, message):
    class Odd(LjModel):
        @property
        def atom_energies(self):
            return function

    odd = Odd.from_parameters(element="Ar", mass=39.95, epsilon=0.1, sigma=2.4, cutoff_sigmas=2.5)
    with pytest.raises(DataError, match=message):
        export_artifact(odd, "float32")


@pytest.mark.parametrize(
    ("exported", "running", "fine"),
    [
        ("0.4.34", "0.10.2", True),
        ("0.10.2", "0.10.2", True),
        ("0.10.2", "0.10.0", True),
        ("0.10.2", "0.9.0", True),
        ("0.10.2.dev1", "0.9.0", True),
        ("0.10.2", "0.7.2", False),
        ("1.0.0", "0.10.2", False),
        ("0.4.33", "0.10.2", False),
        ("new", "0.10.2", False),
        ("7.0.0\x1b[31m", "0.10.2", False),
    ],
)
def test_rules_of_versions(exported, running, fine):
    if fine:
        check_versions(exported, running)
        return
    with pytest.raises(DataError, match=r"export the model|not a version") as refused:
        check_versions(exported, running)
    assert str(refused.value).isprintable()


def test_an_artifact_of_another_jax_says_so(artifact):
    newer = Artifact(record={**artifact.record, "jax": "7.0.0"}, module=artifact.module, reference=artifact.reference)
    with pytest.raises(DataError, match=r"exported by JAX 7\.0\.0, which JAX .* cannot run; update JAX to 7\.0"):
        newer.function()


def test_a_module_of_rubbish_says_so(artifact):
    broken = replace(artifact, module=b"\0" * 100)
    with pytest.raises(DataError, match="cannot read the module of the artifact"):
        broken.function()


def test_no_file_of_a_user_can_pass_for_an_artifact_or_a_plugin():
    for name in ("model.artifact", "phasecal-plugin.so"):
        with pytest.raises(InputError, match="a file of every run"):
            check_file_name(name)


# --- sessions


def test_a_run_compiles_once_as_long_as_it_fits(tmp_path):
    model = lennard_jones()
    export_artifact(model, "float32").save(tmp_path / "lj.artifact")
    session = Session(tmp_path / "lj.artifact", ["Ar"], n_processes=2)
    vectors, species, others = session.grow(40, 30)
    assert vectors.shape == (48, 32, 3)
    assert vectors.dtype == np.float32
    assert vectors.ctypes.data % 64 == 0
    for width in (30, 12, 32):
        vectors[...] = 2 * model.cutoff
        vectors[:40, :width] = neighborhoods(model, 40, width, seed=width)[0] + 1.0
        energies, _ = session.evaluate()
        each, _ = expected(model, vectors.astype(np.float64), species, others)
        assert energies == pytest.approx(np.asarray(each), rel=1e-4, abs=1e-5)
    assert session.n_compiled == session._function._cache_size() == 1
    wider = session.grow(40, 33)[0]
    assert wider.shape == (48, 40, 3)
    session.evaluate()
    assert session.n_compiled == session._function._cache_size() == 2


def test_records_are_plain_json(artifact, model):
    record = json.loads(json.dumps(artifact.record))
    assert record == {
        "family": "eam",
        "model": model.hash,
        "elements": ["Cu", "Au"],
        "cutoff": 5.0,
        "dtype": "float64",
        "jax": jax.__version__,
    }
