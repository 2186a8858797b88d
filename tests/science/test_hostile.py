"""Input that somebody damaged or made to do harm: every parser accepts it or says in one sentence what is wrong."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import json
import pickle
import re
import signal
import subprocess
import sys
import tracemalloc
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import example as also
from hypothesis import strategies as st

from phasecal import module
from phasecal.artifact import read_artifact
from phasecal.bounded import MAX_MESSAGE, one_line, printable, read_json, read_lines, read_npz, read_tensors
from phasecal.campaign.load import load_campaign
from phasecal.campaign.sources import resolve_source
from phasecal.embedded import Session
from phasecal.engines.lammps.commands import ARTIFACT_FILE, LOG_FILE
from phasecal.engines.lammps.plugin.__main__ import main
from phasecal.errors import DataError, EngineError, InputError, PhasecalError
from phasecal.fitting.data import read_frames
from phasecal.fitting.schema import load_fit
from phasecal.potentials.mace import MaceModel
from phasecal.potentials.nequix import SETTINGS, NequixModel
from phasecal.potentials.setfl import read_setfl
from phasecal.report.tables import write_csv

ROOT = Path(__file__).parents[2]
CORPUS = sorted(path for path in (ROOT / "fixtures" / "hostile").glob("*/*") if path.is_dir())
EXAMPLES = {"campaign": 60, "fit": 100, "lammps-run": 100}
"""Cases of each parser in a test, where a case is slow; 300 of the others. benchmarks/fuzz.py does more of the same."""

many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def fuzz():
    """The modules of benchmarks/fuzz.py and its targets."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("fuzz")
    sys.path.remove(str(ROOT / "benchmarks"))


TARGETS = ["campaign", "fit", "setfl", "extxyz", "commands", "lammps-run", "jaxmd-run", "sample", "task"]
TARGETS += ["model", "artifact", "module", "nequix", "mace"]


@pytest.mark.parametrize("name", TARGETS)
def test_changed_examples_are_accepted_or_refused(fuzz, tmp_path, name):
    target = fuzz.TARGETS[name]
    examples = fuzz.prepare(target, tmp_path)
    outcomes = []
    for case in range(EXAMPLES.get(name, 300)):
        files = examples[case % len(examples)]
        fuzz.write(tmp_path, fuzz.make_case(files, target.changeable(files), f"test:{name}:{case}"))
        outcomes.append(fuzz.run_case(target.parse, tmp_path))
    assert set(outcomes) <= {"accepted", "refused"}, set(outcomes)


@pytest.mark.parametrize("folder", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_once_a_bug_is_refused_or_accepted(fuzz, folder, tmp_path):
    fuzz.prepare(fuzz.TARGETS[folder.parent.name], tmp_path)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert fuzz.run_case(fuzz.TARGETS[folder.parent.name].parse, tmp_path) in ("accepted", "refused")


# --- modules that end or hold up whatever process reads them


MODULES = ROOT / "fixtures" / "hostile" / "module"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "phasecal" / "modules"


@pytest.fixture(scope="module")
def example(fuzz):
    """An artifact; its module is what the forged ones were made from."""
    return sys.modules["fuzz_models"].artifact()


def forged(seed: str) -> bytes:
    """A module of the corpus."""
    return (MODULES / seed / "module.bin").read_bytes()


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ("552", "JAX ends with SIGSEGV while it reads it"),
        ("2465", "JAX ends with SIGSEGV while it reads it"),
        ("3348", "JAX takes more than 2 s to read it"),
        ("1", r"JAX \S+ cannot read the module of the artifact \(.*deserialize.*\); export"),
    ],
)
def test_a_forged_module_is_refused_whatever_becomes_of_its_reader(fuzz, seed, message):
    with pytest.raises(DataError, match=message):
        module.try_module(forged(seed), "float32", sys.modules["fuzz_reader"].forked)


def test_a_forged_module_ends_another_process_than_the_one_that_asks_for_it(example, cache):
    with pytest.raises(DataError, match="the artifact is damaged or forged: JAX takes more than 2 s to read it"):
        replace(example, module=forged("3348")).function()
    assert not cache.exists()  # it is not remembered as one that came through


def test_a_job_with_a_forged_module_ends_before_lammps_starts(example, cache, tmp_path):
    replace(example, module=forged("552")).save(tmp_path / ARTIFACT_FILE)
    assert main(str(tmp_path)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {ARTIFACT_FILE, LOG_FILE}
    said = "ERROR: the module of the artifact is damaged or forged: JAX ends with SIGSEGV while it reads it; export "
    assert (tmp_path / LOG_FILE).read_text().startswith(said)


@pytest.mark.parametrize("seed", ["204", "306"])
def test_a_module_that_can_be_read_but_not_compiled_is_refused(example, cache, monkeypatch, tmp_path, seed):
    monkeypatch.setattr(module, "python_process", lambda *_: (module.PASSED, ""))
    replace(example, module=forged(seed)).save(tmp_path / "artifact")
    session = Session(tmp_path / "artifact", example.record["elements"])
    session.grow(6, 12)
    with pytest.raises(DataError, match="cannot compile or run the module") as refused:
        session.evaluate()
    assert str(refused.value).isprintable()


def test_a_module_is_tried_once(example, cache, monkeypatch):
    tried = []
    monkeypatch.setattr(module, "python_process", lambda *read: tried.append(read) or (module.PASSED, ""))
    for _ in range(2):
        assert example.function().in_avals
    assert tried == [(example.module, "float32")]
    assert len(list(cache.iterdir())) == 1
    with pytest.raises(DataError, match="cannot read"):
        replace(example, module=forged("1")).function()
    assert len(tried) == 2  # and another module is not taken for it


def test_a_cache_that_cannot_be_written_costs_only_time(example, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    example.check_module()


def test_a_process_that_does_not_start_does_not_blame_the_module():
    with pytest.raises(EngineError, match=r"modules of artifacts with .* failed: No module named 'jax'"):
        module.try_module(b"", "float32", lambda *_: (1, "Traceback\nNo module named 'jax'\n"))


@pytest.mark.parametrize(
    ("statement", "end"),
    [
        ("limit_memory(2**26); bytearray(2**27)", 1),
        ("limit_time(0.1); sum(range(10**12))", -signal.SIGPROF),
        ("limit_time(0.1); time.sleep(60)", -signal.SIGALRM),
        ("limit_memory(2**27); limit_time(10); bytearray(2**26)", 0),
    ],
)
def test_what_a_module_may_take(statement, end):
    script = f"import time\nfrom phasecal.module import limit_memory, limit_time\n{statement}"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == end


# --- any text and any bytes


@many
@given(st.text())
def test_foreign_text_in_messages_cannot_move_a_cursor(text):
    assert all(c.isprintable() or c == "\n" for c in printable(text))
    assert len(printable(text * 50)) <= MAX_MESSAGE
    assert "\n" not in one_line(text)


@many
@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode(errors="replace")))
@also(b"\x1c0")  # a separator that is space to a pattern, and not to int()
def test_any_bytes_as_every_kind_of_file(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    texts, arrays = (load_campaign, load_fit, read_setfl, read_json, read_frames), (read_npz, read_model)
    for read in (*texts, *arrays, read_artifact, read_nequix, read_mace):
        with contextlib.suppress(PhasecalError):
            read(path)


@many
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=10))
def test_results_hold_finite_numbers_or_are_refused(value):
    content = json.dumps({"x": value}).encode()
    try:
        assert json.dumps(read_json(content, name="result.json"), allow_nan=False)
    except DataError as error:
        assert re.search(r"(nan|inf|NaN|Infinity) is not finite|is too large", str(error), re.IGNORECASE)


@many
@given(
    st.lists(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r")), min_size=2), min_size=1)
)
def test_no_cell_of_a_table_is_a_formula(tmp_path, rows):
    (path,) = write_csv(tmp_path / "table.csv", ["a"], rows)
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))[1:]
    assert [len(row) for row in found] == [len(row) for row in rows]
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for row in found for cell in row)


TITLE = "title: {}\n"


@many
@given(st.text(min_size=1, max_size=60))
def test_a_title_is_one_line_of_visible_text_or_refused(tmp_path, title):
    path = tmp_path / "campaign.yaml"
    path.write_text(TITLE.format(json.dumps(title)), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_campaign(path)
    if any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Zl", "Zp") for c in title.strip()):
        assert "title: " in str(refused.value) or "not valid YAML" in str(refused.value)
    assert all(c.isprintable() or c == "\n" for c in str(refused.value))


# --- what claims to be larger than it is


def npy(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    """The header of an array without the array."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def zipped(kind: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    """A zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


class Harm:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def pickled() -> bytes:
    """An npz file with an object."""
    stream = io.BytesIO()
    np.savez(stream, meta=np.array([Harm()], dtype=object))
    return stream.getvalue()


def read_model(path: Path) -> object:
    """Read the arrays of a model."""
    return read_tensors(path, "phasecal")


def read_nequix(path: Path) -> object:
    """Read a weight file of nequix."""
    return NequixModel.from_file(path, ["Ti"], [])


def read_mace(path: Path) -> object:
    """Read a weight file of mace."""
    return MaceModel.from_file(path, ["Ti"], [])


def overlapping(content: bytes, times: int, said: int | None = None) -> bytes:
    """A zip file whose list of members names its only one many times, and may say another length."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", content)
        archive.filelist *= times
        archive.filelist[0].file_size = len(content) if said is None else said
    return stream.getvalue()


def nequix_file(*arrays: bytes) -> bytes:
    """A weight file of nequix."""
    settings = dict.fromkeys(SETTINGS, 1) | {"atomic_numbers": [22], "hidden_irreps": "1x0e"}
    return json.dumps(settings).encode() + b"\n" + b"".join(arrays)


TENSOR = b'{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8]}}'
HUGE = {
    "a shape beyond the file": (read_npz, zipped(a=npy((10**12,)) + bytes(100))),
    "a shape beyond all integers": (read_npz, zipped(a=npy((2**62, 2**62)) + bytes(100))),
    "a bomb": (read_npz, zipped(zipfile.ZIP_DEFLATED, a=npy((10**8,)) + bytes(8 * 10**8 // 40))),
    "objects": (read_npz, pickled()),
    "a bare pickle": (read_npz, pickle.dumps(Harm())),
    "members that overlap": (read_npz, overlapping(npy((10**5,)) + bytes(8 * 10**5), 5000)),
    "a network without an end": (read_nequix, b"{" * 2_000_000),
    "weights beyond the file": (read_nequix, nequix_file(npy((10**12,)) + bytes(100))),
    "many weights": (read_nequix, nequix_file(*[npy((0,))] * 20_000)),
    "a pickle as weights": (read_nequix, nequix_file(pickle.dumps(Harm()))),
    "compressed weights": (read_mace, zipped(zipfile.ZIP_DEFLATED, a=bytes(10**8))),
    "10^12 values of no bytes": (read_npz, zipped(a=npy((10**12,), "|V0"))),
    "members of two lengths": (read_npz, overlapping(npy((0,)) + bytes(10**6), 5000, 128)),
    "weights that overlap": (read_mace, overlapping(bytes(10**6), 5000)),
    "an artifact with a header of a terabyte": (read_artifact, (2**40).to_bytes(8, "little") + b"{}"),
    "a header of a terabyte": (read_model, (2**40).to_bytes(8, "little") + b"{}"),
    "a tensor of terabytes": (read_model, len(TENSOR).to_bytes(8, "little") + TENSOR + bytes(8)),
    "a table of 10^9 points": (read_setfl, b"\n\n\n1 Cu\n999999999 0.1 999999999 0.1 6\n29 63.5 3.6 fcc\n0 1 2\n"),
    "10^9 atoms": (read_frames, b'999999999\nLattice="3 0 0 0 3 0 0 0 3"\nCu 0 0 0\n'),
    "10^9 columns": (read_frames, b'1\nLattice="3 0 0 0 3 0 0 0 3" Properties=pos:R:3:x:R:999999999\nCu 0 0 0\n'),
    "nested JSON": (read_json, b"[" * 1_000_000),
    "nested YAML": (load_campaign, b"[" * 90_000),
    "many keys": (load_campaign, b"".join(b"k%d: 1\n" % i for i in range(9_000))),
    "aliases": (load_campaign, b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"),
    "a line of many characters": (lambda path: list(read_lines(path)), b"x" * 2_000_000),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_small_file_costs_little_whatever_it_claims(name, tmp_path):
    read, content = HUGE[name]
    path = tmp_path / "file"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(PhasecalError, match="file"):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6


def test_a_file_larger_than_its_limit_is_not_opened(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(10**10)  # sparse: it takes no room
    texts = (load_campaign, load_fit, read_setfl, read_json, read_frames, lambda p: list(read_lines(p)))
    for read in (*texts, read_npz, read_model, read_artifact, read_nequix, read_mace):
        with pytest.raises(PhasecalError, match=r"10000000000 bytes|larger than"):
            read(path)


# --- where files of a campaign may lie


@pytest.mark.parametrize("source", ["/proc/self/environ", "/dev/zero", "/etc/passwd", ".ssh/id_rsa", "link"])
def test_a_campaign_cannot_take_keys_and_system_files_into_the_record(tmp_path, source):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_rsa").write_text("a key")
    (tmp_path / "link").symlink_to(".ssh/id_rsa")
    with pytest.raises(InputError, match=r"keys or system files|no such file"):
        resolve_source(source, tmp_path)


@pytest.mark.parametrize("output", ["/tmp/x.safetensors", "../x.safetensors", "a/../../x.safetensors"])
def test_a_fit_writes_nothing_outside_its_folder(fuzz, tmp_path, output):
    example = fuzz.TARGETS["fit"].examples(tmp_path)[0]["fit.yaml"].decode()
    path = tmp_path / "fit.yaml"
    path.write_text(example.replace("out/student.safetensors", output))
    with pytest.raises(InputError, match="output: leads out of the folder of this file"):
        load_fit(path)
