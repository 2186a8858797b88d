"""Commands of a user's potential: what is let through to LAMMPS, and how styles are added and scaled."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.engines.lammps.commands import ALLOWED, check_command, check_commands, check_file_name, overlay, read_pair
from phasecal.engines.lammps.switching import scaled_model
from phasecal.errors import InputError

BASE = ["pair_style meam/spline", "pair_coeff * * Ti.meam.spline Ti"]
CORRECTION = ["pair_style eam/alloy", "pair_coeff * * model.eam.alloy Ti", "mass 1 47.867"]
ZBL = [
    "pair_style hybrid/overlay zbl 3.5 4.0 snap",
    "pair_coeff 1 1 zbl 29 29",
    "pair_coeff * * snap Cu.snapcoeff Cu.snapparam Cu",
    "pair_modify pair zbl table 0",
]
FILES = {"Ti.meam.spline"}

HOSTILE = {
    "shell": "the command 'shell' is refused; expected one of pair_style, pair_coeff",
    "shell rm -rf /tmp/x": "the command 'shell' is refused",
    "include /etc/passwd": "the command 'include' is refused",
    "jump SELF again": "the command 'jump' is refused",
    "python f input 1": "the command 'python' is refused",
    "plugin load evil.so": "the command 'plugin' is refused",
    "variable x equal 1": "the command 'variable' is refused",
    "fix x all print 1 y file z": "the command 'fix' is refused",
    "write_data x": "the command 'write_data' is refused",
    "print x file /tmp/y": "the command 'print' is refused",
    "log x": "the command 'log' is refused",
    "if 1 then quit": "the command 'if' is refused",
    "PAIR_COEFF * * x Ti": "the command 'PAIR_COEFF' is refused",
    "pair_coeff * * $x Ti": "has the character '$'; expected one plain command",
    "pair_coeff * * ${x} Ti": "has the character '$'",
    "pair_coeff * * $(1+1) Ti": "has the character '$'",
    "pair_coeff * * Ti.meam.spline Ti &": "has the character '&'",
    "pair_coeff * * 'a b' Ti": 'has the character "\'"',
    'pair_coeff * * "a" Ti': "has the character '\"'",
    'pair_coeff * * """a""" Ti': "has the character '\"'",
    "pair_coeff * * Ti.meam.spline Ti # comment": "has the character '#'",
    "pair_coeff * * Ti.meam.spline Ti\nshell ls": "has the character '\\n'",
    "pair_coeff * * Ti.meam.spline Ti\rshell ls": "has the character '\\r'",
    "pair_coeff * * Ti.meam.spline Ti\x0bshell ls": "has the character '\\x0b'",
    "pair_coeff * * Ti.meam.spline Ti\x85shell ls": "has the character '\\x85'",
    "pair_coeff * * Ti.meam.spline\u2028Ti": "has the character '\\u2028'",
    "pair_coeff * * Ti.meam.spline\tTi": "has the character '\\t'",
    "pair_coeff * * v_x Ti": "v_x refers to a variable",
    "pair_style hybrid/scaled v_x lj/cut 5": "v_x refers to a variable",
    "pair_style hybrid/scaled 1.0 lj/cut 5": "hybrid/scaled cannot be scaled or corrected; expected hybrid/overlay",
    "pair_style hybrid lj/cut 5": "hybrid cannot be scaled or corrected",
    "pair_style python 5.0": "python runs code",
    "pair_style mliap unified x.pkl": "unified runs code",
    "pair_style mliap model mliappy x.pkl descriptor sna y": "mliappy runs code",
    "pair_style": "wrong arguments; expected pair_style STYLE",
    "pair_coeff Ti Ti 1.0": "wrong arguments; expected pair_coeff I J",
    "pair_modify tail yes": "a tail correction cannot be scaled",
    "mass 1 -3": "wrong arguments; expected mass I VALUE",
    "mass * 3": "wrong arguments; expected mass I VALUE",
    "mass 1 nan": "wrong arguments; expected mass I VALUE",
    "": "empty; expected one of pair_style",
    "pair_coeff " + "1 " * 2000: "longer than 2000 characters",
}


@pytest.mark.parametrize(("command", "message"), HOSTILE.items())
def test_a_hostile_command_is_refused_wherever_it_stands(command, message):
    with pytest.raises(InputError) as alone:
        check_command(command)
    assert str(alone.value).startswith(message)
    with pytest.raises(InputError) as among:
        check_commands([*BASE, command], FILES, ["Ti"])
    assert message in str(among.value)


def test_whatever_passes_is_a_plain_pair_command():
    """Random commands, mutated from good and hostile ones: what is let through can only set up a potential."""
    rng = np.random.default_rng(8)
    parts = [word for line in [*BASE, *CORRECTION, *ZBL, *HOSTILE] for word in line.split(" ")]
    characters = "$&\"'#;\n\r\t\\`{}()|<>%*/_. v1aT\u2028\x85"
    passed = 0
    for _ in range(5000):
        line = " ".join([rng.choice([*ALLOWED, "shell"]), *rng.choice(parts, rng.integers(0, 6))])
        for _ in range(rng.integers(0, 3)):
            where = rng.integers(0, len(line) + 1)
            line = line[:where] + characters[rng.integers(len(characters))] + line[where:]
        try:
            check_command(line)
        except InputError as error:
            assert "; expected " in str(error)
            continue
        passed += 1
        assert line.isascii()
        assert line.isprintable()
        assert not set(line) & set("$&\"'#;\\`{}|<>")
        assert line.split()[0] in ALLOWED
        assert not any(word.startswith("v_") for word in line.split())
    assert passed > 20


@pytest.mark.parametrize(
    ("lines", "message"),
    {
        "a path": ([BASE[0], "pair_coeff * * /etc/passwd Ti"], "/etc/passwd is not among the files"),
        "a path upwards": ([BASE[0], "pair_coeff * * ../x Ti"], "../x is not among the files"),
        "a folder": ([BASE[0], "pair_coeff * * a/Ti.meam.spline Ti"], "a/Ti.meam.spline is not among the files"),
        "a missing file": ([BASE[0], "pair_coeff * * Zr.meam Ti"], "Zr.meam is not among the files"),
        "a path of the style": (["pair_style table ../x", "pair_coeff * * 1"], "../x is not among the files"),
        "no style": (BASE[1:], "not one pair_style, at the beginning"),
        "two styles": ([*BASE, *BASE], "not one pair_style, at the beginning"),
        "another element": ([BASE[0], "pair_coeff * * Ti.meam.spline Zr"], "the elements are Zr; expected Ti"),
        "no such type": ([*BASE, "mass 2 40"], "mass 2: no such atom type; expected 1 to 1 for Ti"),
        "a hybrid without names": (["pair_style hybrid/overlay zbl 3", "pair_coeff * * 9"], "the styles are unclear"),
    }.values(),
)  # fmt: skip
def test_a_potential_is_complete_and_for_its_elements(lines, message):
    with pytest.raises(InputError, match="expected") as error:
        check_commands(lines, FILES, ["Ti"])
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["../x", "a/b", "/x", ".hidden", "", "a b", "a$x", "a\n", "x" * 300])
def test_names_of_files_are_plain(name):
    with pytest.raises(InputError, match="plain file name"):
        check_file_name(name)


@pytest.mark.parametrize("name", ["potential.in", "bulk.in", "start.data", "log.lammps", "melt.5.restart", "x.sh"])
def test_names_of_files_do_not_replace_those_of_a_run(name):
    with pytest.raises(InputError, match="a file of every run"):
        check_file_name(name)


def test_elements_follow_the_atom_types():
    lines = ["pair_style meam", "pair_coeff * * lib.meam Ti O TiO.meam Ti O"]
    check_commands(lines, {"lib.meam", "TiO.meam"}, ["Ti", "O"])
    check_commands([lines[0], "pair_coeff * * lib.meam Ti O TiO.meam Ti NULL"], {"lib.meam", "TiO.meam"}, ["Ti", "O"])
    with pytest.raises(InputError, match="the elements are Ti O; expected O Ti"):
        check_commands(lines, {"lib.meam", "TiO.meam"}, ["O", "Ti"])


def test_two_potentials_are_overlaid():
    assert overlay(BASE, CORRECTION) == [
        "pair_style hybrid/overlay meam/spline eam/alloy",
        "pair_coeff * * meam/spline Ti.meam.spline Ti",
        "pair_coeff * * eam/alloy model.eam.alloy Ti",
        "mass 1 47.867",
    ]
    assert overlay(ZBL, CORRECTION)[:5] == [
        "pair_style hybrid/overlay zbl 3.5 4.0 snap eam/alloy",
        "pair_coeff 1 1 zbl 29 29",
        "pair_coeff * * snap Cu.snapcoeff Cu.snapparam Cu",
        "pair_modify pair zbl table 0",
        "pair_coeff * * eam/alloy model.eam.alloy Ti",
    ]


def test_styles_of_one_name_are_numbered():
    twice = overlay(CORRECTION[:2], CORRECTION[:2])
    assert twice == [
        "pair_style hybrid/overlay eam/alloy eam/alloy",
        "pair_coeff * * eam/alloy 1 model.eam.alloy Ti",
        "pair_coeff * * eam/alloy 2 model.eam.alloy Ti",
    ]
    pair = read_pair(twice)
    assert [owner for owner, _ in pair.lines] == [0, 1]
    assert overlay(twice, CORRECTION[:2])[-1] == "pair_coeff * * eam/alloy 3 model.eam.alloy Ti"
    with pytest.raises(InputError, match="no such style"):
        read_pair([*twice, "pair_coeff * * eam/alloy x Ti"])


def test_a_hybrid_is_scaled_part_by_part():
    fluid = ["pair_style ufm 6.75", "pair_coeff * * 4.5 1.5"]
    assert scaled_model(overlay(BASE, CORRECTION), fluid) == [
        "pair_style hybrid/scaled v_scale_model meam/spline v_scale_model eam/alloy v_scale_reference ufm 6.75",
        "pair_coeff * * meam/spline Ti.meam.spline Ti",
        "pair_coeff * * eam/alloy model.eam.alloy Ti",
        "mass 1 47.867",
        "pair_coeff * * ufm 4.5 1.5",
        "compute model_1 all pair meam/spline",
        "compute model_2 all pair eam/alloy",
        "variable model_energy equal c_model_1+c_model_2",
        "variable model_sum atom v_model_energy",
        "compute model all reduce ave v_model_sum",
        "compute reference all pair ufm",
    ]


def test_what_lammps_cannot_scale_is_refused():
    with pytest.raises(InputError, match="without kspace_style"):
        scaled_model([*BASE, "kspace_style pppm/disp 1e-4"])
