"""``python -m phasecal.engines.lammps.plugin.external SCRIPT``: JAX models in LAMMPS without a compiler.

By ``fix external``, with LAMMPS as a library of Python, on one process.

The static scripts are the same as for the plugin, and so is ``potential.in``. A script is run in two parts, because a
callback can be set only when its fix exists, and only before a run: everything up to the line ``include potential.in``;
then, in place of that line, ``pair_style zero`` (for ghosts and a full neighbour list with LAMMPS' own rules of
renewing it) and the fix; then the rest, where all jumps and labels are.

Energies e_i and slopes g_ij = ∂e_i/∂r_ij come from the same :class:`phasecal.embedded.Session` on the same arrays as in
the plugin. F_i = Σ_j (g_ij − g_ji), with ghosts j counted for the atoms they are images of; the virial is
−Σ_ij r_ij ⊗ g_ij (:mod:`phasecal.potentials.local`).

Energies and stresses of single atoms are not there, and a model cannot be scaled: free energies need the plugin.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.embedded import Batch, Session, start
from phasecal.engines.lammps.commands import ARTIFACT_FILE, PLUGIN_COMMAND
from phasecal.engines.lammps.plugin.choose import load_lammps
from phasecal.engines.lammps.plugin.report import report_error
from phasecal.errors import EngineError, PhasecalError

FIX = "phasecal"
INCLUDE = "potential.in"
PADDING = 2.0
"""Length of each component of the vectors of padding, in cutoffs."""


def run_script(script: Path) -> None:
    """Run a script of phasecal in the working directory, with the model of ``potential.in``.

    Raises:
        DataError: The artifact cannot run here.
        EngineError: LAMMPS stopped with an error.
    """
    before, after = split(script.read_text(encoding="utf-8"))
    elements, masses = read_potential(Path(INCLUDE).read_text(encoding="utf-8"))
    session = start(ARTIFACT_FILE, elements, 1)
    engine = load_lammps()(cmdargs=["-log", "none", "-nocite"])
    try:
        run_part(engine, before)
        for command in (
            f"pair_style zero {session.cutoff!r} full",
            "pair_coeff * *",
            *masses,
            f"fix {FIX} all external pf/callback 1 1",
            f"fix_modify {FIX} energy yes virial yes",
        ):
            engine.command(command)
        engine.set_fix_external_callback(FIX, Force(engine, session), None)
        run_part(engine, after)
    except Exception as error:  # the wrapper of LAMMPS raises this and nothing narrower
        raise EngineError(str(error).removeprefix("ERROR: ")) from error
    finally:
        engine.close()


def split(script: str) -> tuple[str, str]:
    """Return what comes before and after the line that includes the potential.

    Raises:
        EngineError: There is not exactly one.
    """
    lines = script.splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if line.split()[:2] == ["include", INCLUDE]]
    if len(places) != 1:
        raise EngineError(f"fix external needs a script with one line 'include {INCLUDE}'; this one has {len(places)}")
    return "".join(lines[: places[0]]), "".join(lines[places[0] + 1 :])


def read_potential(text: str) -> tuple[list[str], list[str]]:
    """Return the elements of the atom types and the commands that set masses, from what was written for the plugin."""
    commands = [line for line in text.splitlines() if line and line != PLUGIN_COMMAND]
    coefficients = next(line.split() for line in commands if line.startswith("pair_coeff"))
    return coefficients[4:], [line for line in commands if line.startswith("mass")]


def run_part(engine: Any, text: str) -> None:
    """Run a part of a script from a file, as jumps need it."""
    with tempfile.NamedTemporaryFile("w", suffix=".in", dir=".", encoding="utf-8") as part:
        part.write(text)
        part.flush()
        engine.file(part.name)


class Force:
    """What LAMMPS calls in each step: forces, energy and virial of the present positions.

    Args:
        engine: LAMMPS.
        session: The model.
    """

    def __init__(self, engine: Any, session: Session) -> None:
        """Start without a neighbour list."""
        self.engine, self.session = engine, session
        self.step, self.n_builds = -2, -1
        self.i = self.j = np.zeros(0, dtype=np.intp)
        self.batch: Batch | None = None

    def __call__(
        self, _: object, step: int, n_atoms: int, tags: NDArray[Any], positions: NDArray[Any], forces: NDArray[Any]
    ) -> None:
        """Fill ``forces``; an exception would be lost in LAMMPS, so that it ends the process here."""
        try:
            forces[:] = self.compute(step, n_atoms)
        except Exception as error:
            report_error(error, Path())
            os._exit(1)

    def compute(self, step: int, n_atoms: int) -> NDArray[np.float64]:
        """Return the forces, eV/Å, shape (n_atoms, 3); hand energy and virial to LAMMPS."""
        engine, cutoff = self.engine, self.session.cutoff
        self.renew_list(step)
        n_all = n_atoms + engine.extract_global("nghost")
        x = engine.numpy.extract_atom("x", nelem=n_all, dim=3)
        tags = engine.numpy.extract_atom("id", nelem=n_all)
        kinds = engine.numpy.extract_atom("type", nelem=n_all) - 1

        vectors = x[self.j] - x[self.i]
        inside = np.einsum("ka,ka->k", vectors, vectors) < cutoff * cutoff
        i, j, vectors = self.i[inside], self.j[inside], vectors[inside]
        counts = np.bincount(i, minlength=n_atoms)
        place = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
        width = int(counts.max(initial=0))
        if self.batch is None or width > self.batch[2].shape[1]:
            self.batch = self.session.grow(n_atoms, width)
        owner = np.empty(tags[:n_atoms].max() + 1, dtype=np.intp)
        owner[tags[:n_atoms]] = np.arange(n_atoms)
        of_j = owner[tags[j]]
        all_vectors, species, neighbors = self.batch
        all_vectors[...] = PADDING * cutoff
        all_vectors[i, place] = vectors
        species[:n_atoms] = kinds[:n_atoms]
        neighbors[i, place] = of_j if self.session.passes_messages else kinds[j]
        energies, slopes = self.session.evaluate()

        g = slopes[i, place].astype(np.float64)
        forces = [np.bincount(i, g[:, a], n_atoms) - np.bincount(of_j, g[:, a], n_atoms) for a in range(3)]
        virial = -(vectors.T @ g)
        engine.fix_external_set_energy_global(FIX, float(np.sum(energies[:n_atoms], dtype=np.float64)))
        pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
        engine.fix_external_set_virial_global(FIX, [float(virial[a, b]) for a, b in pairs])
        return np.stack(forces, axis=-1)

    def renew_list(self, step: int) -> None:
        """Read LAMMPS' neighbour list again when it may be another: at the start of a run, or after a renewal."""
        n_builds = int(self.engine.get_thermo("nbuild"))
        if step == self.step + 1 and n_builds == self.n_builds:
            self.step = step
            return
        self.step, self.n_builds = step, n_builds
        every = self.engine.numpy.get_neighlist(self.engine.find_pair_neighlist("zero"))
        found = [every.get(index) for index in range(every.size)]
        self.i = np.repeat([atom for atom, _ in found], [len(neighbors) for _, neighbors in found])
        self.j = np.concatenate([neighbors for _, neighbors in found]).astype(np.intp)


def main(arguments: Sequence[str]) -> int:
    """Run the script that is named and return the exit status."""
    try:
        run_script(Path(arguments[0]))
    except PhasecalError as error:
        report_error(error, Path())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
