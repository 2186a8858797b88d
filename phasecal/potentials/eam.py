"""The embedded-atom family: an ``eam/alloy`` or ``eam/fs`` file with trainable smooth corrections.

U = Σ_i F(Σ_j≠i ρ(r_ij)) + ½ Σ_i≠j φ(r_ij) (Daw & Baskes, PRB 29, 6443; Finnis & Sinclair, Phil. Mag. A
50, 45). The tables are interpolated exactly as LAMMPS does it. A correction is a sum of cubic B-splines
added to the *tables*: energies and the exported file use the same numbers, and a calibrated model runs in
plain LAMMPS.

- δφ(r), per pair, eV, and δρ(r), per element (``fs``: per donor and receiver), in units of the density in the
  crystal: between the repulsive wall, which stays as it is, and the cutoff.
- δF(ρ), per element, eV, in a window around the density in the crystal (F(0) = 0 stays).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from phasecal.bounded import MAX_CUTOFF
from phasecal.errors import DataError, InputError
from phasecal.potentials.base import FLOAT, Model, frozen_array
from phasecal.potentials.eam_tables import crystal_density, neighbor_distance, select_elements, trim_cutoff
from phasecal.potentials.local import neighbor_vectors
from phasecal.potentials.setfl import MIN_POINTS, Lattice, Setfl, read_setfl, write_setfl
from phasecal.potentials.splines import cubic_bsplines, lammps_coefficients

WALL = 0.75
"""Corrections of φ and ρ begin at this fraction of the nearest-neighbour distance."""

DENSITY_WINDOW = (0.4, 1.6)
"""Corrections of F live in this range of the density over that in the crystal (liquids stay within ±35 %)."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EamEnergy:
    """The tables and basis functions of an EAM as a pytree that computes energies.

    Attributes:
        pair: r·φ, eV·Å, shape (n_pairs, n_r).
        density: ρ(r), shape (n_densities, n_r).
        embedding: F(ρ), eV, shape (n_elements, n_rho).
        pair_basis: What each parameter adds to ``pair``, shape (n_pairs, n, n_r).
        density_basis: The same for ``density``, shape (n_densities, n, n_r).
        embedding_basis: The same for ``embedding``, shape (n_elements, n, n_rho).
        dr: Spacing of r, Å.
        drho: Spacing of ρ.
        cutoff: Å.
        style: ``alloy`` (ρ depends on the donor) or ``fs`` (on donor and receiver).
    """

    pair: Array
    density: Array
    embedding: Array
    pair_basis: Array
    density_basis: Array
    embedding_basis: Array
    dr: Array
    drho: Array
    cutoff: Array
    style: str = field(metadata={"static": True})

    def tables(self, theta: ArrayLike) -> tuple[Array, Array, Array]:
        """Return the corrected tables r·φ, ρ and F (shapes as the attributes)."""
        theta = jnp.asarray(theta)
        tables, start = [], 0
        for table, basis in (
            (self.pair, self.pair_basis),
            (self.density, self.density_basis),
            (self.embedding, self.embedding_basis),
        ):
            rows, count = basis.shape[:2]
            part = theta[start : start + rows * count].reshape(rows, count)
            tables.append(table + jnp.einsum("tn,tnm->tm", part, basis))
            start += rows * count
        return tables[0], tables[1], tables[2]

    def __call__(
        self,
        theta: ArrayLike,
        positions: ArrayLike,
        cell: ArrayLike,
        species: ArrayLike,
        neighbors: ArrayLike,
        shifts: ArrayLike,
    ) -> Array:
        """Return the energy of one configuration, eV (arguments as in :meth:`Model.energy`)."""
        species = jnp.asarray(species)
        vectors, other = neighbor_vectors(positions, cell, neighbors, shifts, 2.0 * self.cutoff)
        return jnp.sum(self.by_atom(theta, vectors, species, species[other]))

    def by_atom(self, theta: ArrayLike, vectors: ArrayLike, species: ArrayLike, neighbor_species: ArrayLike) -> Array:
        """Return F(ρ_i) + ½ Σ_j φ(r_ij) of each atom, eV (as :class:`phasecal.potentials.local.AtomEnergies`)."""
        vectors, species, theirs = jnp.asarray(vectors), jnp.asarray(species), jnp.asarray(neighbor_species)
        pair, density, embedding = (lammps_coefficients(table) for table in self.tables(theta))
        squared = jnp.sum(vectors * vectors, axis=-1)
        inside = squared < self.cutoff * self.cutoff
        distance = jnp.sqrt(jnp.where(inside, squared, 1.0))

        mine = species[:, None]
        high, low = jnp.maximum(mine, theirs), jnp.minimum(mine, theirs)
        z2, _ = _interpolate(pair, high * (high + 1) // 2 + low, distance / self.dr)
        donor = theirs * embedding.shape[0] + mine if self.style == "fs" else theirs
        rho, _ = _interpolate(density, donor, distance / self.dr)

        total = jnp.sum(jnp.where(inside, rho, 0.0), axis=1)
        energy, slope = _interpolate(embedding, species, total / self.drho)
        beyond = jnp.maximum(total / self.drho - embedding.shape[1], 0.0)
        return energy + slope * beyond + 0.5 * jnp.sum(jnp.where(inside, z2 / distance, 0.0), axis=1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EamAtoms:
    """The same tables as a function of the neighbours of each atom.

    Attributes:
        function: The tables.
    """

    function: EamEnergy

    def __call__(self, theta: ArrayLike, vectors: ArrayLike, species: ArrayLike, neighbor_species: ArrayLike) -> Array:
        """Return the energy of each atom, eV, shape (n_atoms,)."""
        return self.function.by_atom(theta, vectors, species, neighbor_species)


def _interpolate(coefficients: Array, table: Array, x: Array) -> tuple[Array, Array]:
    """Return value and slope (per interval) at ``x`` (in intervals); constant beyond the end of the table."""
    interval = jnp.clip(x.astype(jnp.int32), 0, coefficients.shape[1] - 1)
    p = jnp.minimum(x - interval, 1.0)
    c = coefficients[0, interval] if coefficients.shape[0] == 1 else coefficients[table, interval]
    value = ((c[..., 3] * p + c[..., 2]) * p + c[..., 1]) * p + c[..., 0]
    return value, (3.0 * c[..., 3] * p + 2.0 * c[..., 2]) * p + c[..., 1]


@dataclass(frozen=True, eq=False, kw_only=True)
class EamModel(Model):
    """An EAM: frozen tables plus corrections (see the module).

    Attributes:
        style: ``alloy`` or ``fs``.
        lattices: What the file says about each element (atomic number, lattice).
        dr: Spacing of the tables of r, Å.
        drho: Spacing of the tables of ρ.
        pair: r·φ(r), eV·Å, shape (n_pairs, n_r), pairs (0,0), (1,0), (1,1), …
        density: ρ(r), shape (n_elements, n_r), or (n_elements², n_r) for ``fs``.
        embedding: F(ρ), eV, shape (n_elements, n_rho).
        train: Number of parameters per function: keys ``pair``, ``density``, ``embedding``.
        pair_starts: Where the corrections of each pair begin, Å, shape (n_pairs,).
        crystal_densities: Density in the crystal of each element, the unit of ``density`` parameters.
        embedding_windows: Where the corrections of each F live, lower and upper density.
    """

    family: ClassVar[str] = "eam"

    style: Literal["alloy", "fs"]
    lattices: tuple[Lattice, ...]
    dr: float
    drho: float
    pair: FLOAT
    density: FLOAT
    embedding: FLOAT
    train: Mapping[str, int]
    pair_starts: tuple[float, ...]
    crystal_densities: tuple[float, ...]
    embedding_windows: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Freeze the tables and check that they belong together.

        Raises:
            DataError: They do not, or hold a number that is not finite.
        """
        super().__post_init__()
        n = len(self.elements)
        rows = {"pair": n * (n + 1) // 2, "density": n * n if self.style == "fs" else n, "embedding": n}
        for name, count in rows.items():
            table = frozen_array(getattr(self, name))
            if table.ndim != 2 or len(table) != count or table.shape[1] < MIN_POINTS or not np.isfinite(table).all():
                raise DataError(f"{name} has shape {table.shape} or is not finite; expected {count} tables")
            object.__setattr__(self, name, table)
        lists = (self.lattices, self.crystal_densities, self.embedding_windows)
        if self.style not in ("alloy", "fs") or self.pair.shape[1] != self.density.shape[1]:
            raise DataError("expected style alloy or fs, and tables of r of one length")
        if any(len(entries) != n for entries in lists) or len(self.pair_starts) != rows["pair"]:
            raise DataError("expected a lattice, a density and a window of each element, and a start of each pair")
        if not (0 < self.dr < MAX_CUTOFF and 0 < self.drho < np.inf):
            raise DataError(f"expected spacings above 0, got {self.dr} Å and {self.drho}")

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        train: Mapping[str, int],
        elements: Sequence[str] | None = None,
        cutoff: float | None = None,
    ) -> Self:
        """Read an ``eam/alloy`` or ``eam/fs`` file; all parameters are zero, so nothing is changed yet.

        Args:
            path: The file, units metal.
            train: Number of parameters per function, keys ``pair``, ``density``, ``embedding`` (missing: 0).
            elements: The elements to keep, in this order (default: all of the file).
            cutoff: Trim φ and ρ to zero here, Å, with a C² taper over the last 0.5 Å.

        Raises:
            InputError: A broken file, an element that is not in it, or numbers that make no sense.
        """
        counts = _checked_counts(train)
        setfl = read_setfl(path)
        if elements is not None:
            setfl = select_elements(setfl, elements)
        if cutoff is not None:
            setfl = trim_cutoff(setfl, cutoff)
        n = len(setfl.elements)
        distances = [neighbor_distance(setfl, i) for i in range(n)]
        crystals = [crystal_density(setfl, i) for i in range(n)]
        low, high = DENSITY_WINDOW
        largest = setfl.drho * (setfl.embedding.shape[1] - 1)
        return cls(
            elements=setfl.elements,
            cutoff=setfl.cutoff,
            masses=dict(zip(setfl.elements, setfl.masses, strict=True)),
            theta=np.zeros(
                counts["pair"] * len(setfl.pair)
                + counts["density"] * len(setfl.density)
                + counts["embedding"] * len(setfl.embedding)
            ),
            style=setfl.style,
            lattices=setfl.lattices,
            dr=setfl.dr,
            drho=setfl.drho,
            pair=setfl.pair,
            density=setfl.density,
            embedding=setfl.embedding,
            train=counts,
            pair_starts=tuple(WALL * (distances[i] + distances[j]) / 2 for i in range(n) for j in range(i + 1)),
            crystal_densities=tuple(crystals),
            embedding_windows=tuple((low * rho, min(high * rho, largest)) for rho in crystals),
        )

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names in the order of ``theta``: ``pair[Cu-Ni][0]``, ``density[Cu][0]``, ``embedding[Cu][0]`` …."""
        e = self.elements
        if self.style == "fs":
            densities = [f"{donor}->{receiver}" for donor in e for receiver in e]
        else:
            densities = list(e)
        labels = {"pair": self.pair_labels, "density": densities, "embedding": e}
        return tuple(
            f"{kind}[{label}][{index}]"
            for kind, count in self.train.items()
            for label in labels[kind]
            for index in range(count)
        )

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        tables = {"pair": self.pair, "density": self.density, "embedding": self.embedding}
        return sum(count * len(tables[kind]) for kind, count in self.train.items())

    @property
    def pair_labels(self) -> tuple[str, ...]:
        """Names of the pairs in the order of :attr:`pair`, e.g. ``Cu-Cu``."""
        return tuple(f"{self.elements[j]}-{self.elements[i]}" for i in range(len(self.elements)) for j in range(i + 1))

    @property
    def config(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {
            "elements": list(self.elements),
            "cutoff": self.cutoff,
            "masses": dict(self.masses),
            "style": self.style,
            "lattices": [[lattice.number, lattice.constant, lattice.name] for lattice in self.lattices],
            "dr": self.dr,
            "drho": self.drho,
            "train": dict(self.train),
            "pair_starts": list(self.pair_starts),
            "crystal_densities": list(self.crystal_densities),
            "embedding_windows": [list(window) for window in self.embedding_windows],
        }

    def arrays(self) -> dict[str, FLOAT]:
        """Return the uncorrected tables and the parameters."""
        return {"theta": self.theta, "pair": self.pair, "density": self.density, "embedding": self.embedding}

    @classmethod
    def from_arrays(cls, config: Mapping[str, Any], arrays: Mapping[str, FLOAT], parent: str | None = None) -> Self:
        """Rebuild a model from its config and arrays."""
        return cls(
            elements=tuple(config["elements"]),
            cutoff=config["cutoff"],
            masses=config["masses"],
            style=config["style"],
            dr=config["dr"],
            drho=config["drho"],
            lattices=tuple(Lattice(*entry) for entry in config["lattices"]),
            train=_checked_counts(config["train"]),
            pair_starts=tuple(config["pair_starts"]),
            crystal_densities=tuple(config["crystal_densities"]),
            embedding_windows=tuple((lower, upper) for lower, upper in config["embedding_windows"]),
            parent=parent,
            theta=arrays["theta"],
            pair=arrays["pair"],
            density=arrays["density"],
            embedding=arrays["embedding"],
        )

    @cached_property
    def energy_function(self) -> EamEnergy:
        """The tables and basis functions on the device."""
        r = self.dr * np.arange(self.pair.shape[1], dtype=np.float64)
        rho = self.drho * np.arange(self.embedding.shape[1], dtype=np.float64)
        n = len(self.elements)
        pairs = [cubic_bsplines(r, start, self.cutoff, self.train["pair"]) * r for start in self.pair_starts]
        densities = []
        for row in range(len(self.density)):
            donor, receiver = (row // n, row % n) if self.style == "fs" else (row, row)
            high, low = max(donor, receiver), min(donor, receiver)
            start, scale = self.pair_starts[high * (high + 1) // 2 + low], self.crystal_densities[receiver]
            densities.append(cubic_bsplines(r, start, self.cutoff, self.train["density"]) * scale)
        embeddings = [cubic_bsplines(rho, *window, self.train["embedding"]) for window in self.embedding_windows]
        return EamEnergy(
            pair=jnp.asarray(self.pair),
            density=jnp.asarray(self.density),
            embedding=jnp.asarray(self.embedding),
            pair_basis=jnp.asarray(np.array(pairs)),
            density_basis=jnp.asarray(np.array(densities)),
            embedding_basis=jnp.asarray(np.array(embeddings)),
            dr=jnp.asarray(self.dr),
            drho=jnp.asarray(self.drho),
            cutoff=jnp.asarray(self.cutoff),
            style=self.style,
        )

    @property
    def atom_energies(self) -> EamAtoms:
        """The energy function by atoms: the model is local."""
        return EamAtoms(self.energy_function)

    def tables(self, theta: ArrayLike | None = None) -> dict[str, FLOAT]:
        """Return the corrected functions for figures.

        Args:
            theta: Parameters instead of the model's own.

        Returns:
            ``r`` (Å, without 0, shape (n_r − 1,)), ``phi`` (eV, (n_pairs, n_r − 1)), ``rho``
            (n_densities, n_r − 1), ``density`` (n_rho,) and ``F`` (eV, (n_elements, n_rho)).
        """
        pair, density, embedding = self.energy_function.tables(self.theta if theta is None else theta)
        r = self.dr * np.arange(1, self.pair.shape[1], dtype=np.float64)
        return {
            "r": r,
            "phi": np.asarray(pair)[:, 1:] / r,
            "rho": np.asarray(density)[:, 1:],
            "density": self.drho * np.arange(self.embedding.shape[1]),
            "F": np.asarray(embedding),
        }

    def export_lammps(self, folder: Path) -> list[str]:
        """Write ``model.eam.alloy`` or ``model.eam.fs`` (corrected tables); return the LAMMPS commands."""
        pair, density, embedding = self.energy_function.tables(self.theta)
        setfl = Setfl(
            style=self.style,
            elements=self.elements,
            masses=tuple(self.masses[element] for element in self.elements),
            lattices=self.lattices,
            drho=self.drho,
            dr=self.dr,
            cutoff=self.cutoff,
            embedding=np.asarray(embedding),
            density=np.asarray(density),
            pair=np.asarray(pair),
        )
        name = f"model.eam.{self.style}"
        write_setfl(Path(folder) / name, setfl, f"phasecal model {self.hash} parent {self.parent}")
        masses = [f"mass {i} {self.masses[element]!r}" for i, element in enumerate(self.elements, start=1)]
        return [f"pair_style eam/{self.style}", f"pair_coeff * * {name} {' '.join(self.elements)}", *masses]


def _checked_counts(train: Mapping[str, int]) -> dict[str, int]:
    """Return the number of parameters per function in the order of ``theta``."""
    counts = {"pair": 0, "density": 0, "embedding": 0, **train}
    if len(counts) != 3 or any(type(count) is not int or count < 0 for count in counts.values()):
        raise InputError(f"train takes numbers ≥ 0 for pair, density and embedding, got {dict(train)}")
    return counts
