"""Frames of one phase at one state under one model: what the engines produce and the estimators consume."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from phasecal.bounded import printable, read_json, read_npz
from phasecal.errors import DataError

FIELDS = ("positions", "cells", "energies", "steps", "species")
"""Arrays of a file."""


@dataclass(frozen=True)
class Sample:
    """Frames of one phase at one (T, P) under one model.

    Attributes:
        positions: Unwrapped Cartesian positions, Å, float32, shape (n_frames, n_atoms, 3).
        cells: Cell vectors as rows (ASE convention), Å, shape (n_frames, 3, 3).
        energies: Potential energy of the whole cell as the engine printed it, eV, shape (n_frames,).
        steps: MD step of each frame, shape (n_frames,).
        species: Index of each atom into ``elements``, shape (n_atoms,).
        elements: Chemical symbols, in the order of the model's elements.
        phase: Name of the phase, e.g. ``fcc``.
        temperature_k: Thermostat temperature, K.
        pressure_gpa: Barostat pressure, GPa.
        timestep_fs: MD time step, fs.
        model_hash: Content hash of the model that drove the run.
    """

    positions: NDArray[np.float32]
    cells: NDArray[np.float64]
    energies: NDArray[np.float64]
    steps: NDArray[np.int64]
    species: NDArray[np.int32]
    elements: tuple[str, ...]
    phase: str
    temperature_k: float
    pressure_gpa: float
    timestep_fs: float
    model_hash: str

    def __post_init__(self) -> None:
        """Check that shapes agree and that numbers make sense.

        Raises:
            DataError: Shapes disagree, an array holds a number that is not finite, a cell has no volume, or an atom is
                of none of the elements.
        """
        if self.positions.ndim != 3 or 0 in self.positions.shape:
            raise DataError(
                f"sample {self.phase}: positions have shape {self.positions.shape}; expected frames of atoms"
            )
        n_frames, n_atoms = self.positions.shape[:2]
        shapes = {
            "positions": (n_frames, n_atoms, 3),
            "cells": (n_frames, 3, 3),
            "energies": (n_frames,),
            "steps": (n_frames,),
            "species": (n_atoms,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise DataError(f"sample {self.phase}: {name} has shape {getattr(self, name).shape}, expected {shape}")
        real = (self.positions, self.cells, self.energies, np.array([self.temperature_k, self.pressure_gpa]))
        if not all(np.issubdtype(array.dtype, np.number) and np.isfinite(array).all() for array in real):
            raise DataError(f"sample {self.phase}: positions, cells or energies are not finite")
        if not (np.issubdtype(self.species.dtype, np.integer) and np.issubdtype(self.steps.dtype, np.integer)):
            raise DataError(f"sample {self.phase}: expected whole numbers as species and steps")
        if self.species.min() < 0 or self.species.max() >= len(self.elements) or not (self.volumes > 0).all():
            raise DataError(f"sample {self.phase}: an atom of no element, or a cell without volume")

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.positions.shape[0])

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.positions.shape[1])

    @property
    def volumes(self) -> NDArray[np.float64]:
        """Cell volumes, Å³, shape (n_frames,)."""
        volumes: NDArray[np.float64] = np.abs(np.linalg.det(self.cells))
        return volumes

    def take(self, frames: NDArray[np.integer]) -> Sample:
        """Return some of the frames, by their indices."""
        return replace(
            self,
            positions=self.positions[frames],
            cells=self.cells[frames],
            energies=self.energies[frames],
            steps=self.steps[frames],
        )

    def save(self, file: str | Path | IO[bytes]) -> None:
        """Write the sample as npz (no pickle)."""
        meta = {
            "schema": 1,
            "elements": list(self.elements),
            "phase": self.phase,
            "temperature_k": self.temperature_k,
            "pressure_gpa": self.pressure_gpa,
            "timestep_fs": self.timestep_fs,
            "model_hash": self.model_hash,
        }
        np.savez(
            file,
            positions=self.positions.astype(np.float32),
            cells=self.cells,
            energies=self.energies,
            steps=self.steps,
            species=self.species,
            meta=np.array(json.dumps(meta, sort_keys=True)),
        )

    @classmethod
    def load(cls, file: str | Path | IO[bytes]) -> Sample:
        """Read a sample written by :meth:`save`.

        Raises:
            DataError: The file is not a phasecal sample.
        """
        name = file if isinstance(file, str | Path) else "sample"
        arrays = read_npz(file)
        try:
            meta = read_json(str(arrays["meta"]).encode(), name=f"{name}: meta")
            if meta.pop("schema") != 1:
                raise DataError(f"{name}: unknown schema of a sample; expected 1")
            if not all(isinstance(text, str) for text in (meta["phase"], meta["model_hash"], *meta["elements"])):
                raise DataError(f"{name}: expected texts as phase, model_hash and elements")
            meta["elements"] = tuple(meta["elements"])
            fields: dict[str, Any] = {name: arrays[name] for name in FIELDS}
            return cls(**fields, **meta)
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{name}: not a readable phasecal sample ({printable(error, 200)})") from error
