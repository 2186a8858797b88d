"""What the LAMMPS plugin calls: one artifact in one process, on one thread, with arrays that are not copied.

The plugin writes the neighbourhoods of its atoms into arrays of a fixed size and asks for energies and slopes. XLA
compiles once for each size; sizes only ever grow, with room to spare, so that a run compiles once or twice. The first
evaluation of each size checks the artifact's reference outputs with the same executable.

A model that the plugin computes by itself only takes its arrays from here, and shows what it makes of the reference:
JAX is then not even imported.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.artifact import read_artifact
from phasecal.bounded import printable
from phasecal.errors import DataError, InputError
from phasecal.native import native_arguments

ONE_THREAD = {"NPROC": "1", "PJRT_NPROC": "1", "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
ANY_PRECISION = {"JAX_ENABLE_X64": "1", "JAX_CPU_ENABLE_ASYNC_DISPATCH": "0"}
XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false"
WIDTH_STEP = 8
"""Rows of neighbours are a multiple of this long."""
WIDTH_MARGIN = 1.05
"""How much more room rows have than the fullest one needs."""
ATOM_STEP = 16
ATOM_MARGIN = 1.15
"""The same for the number of atoms where they move between processes."""
ALIGNMENT = 64
"""Bytes; XLA takes arrays that begin at a multiple of it without a copy."""

Batch = tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int32]]


class Session:
    """An artifact and the arrays that it is evaluated on.

    Attributes:
        native: What the plugin needs to compute the model by itself; ``None`` if it cannot.
        cutoff: Å.
        item_size: Bytes of each real number.
        passes_messages: Whether the third array takes the neighbours' rows and not their species.
        n_compiled: How many sizes were compiled so far.
    """

    def __init__(self, path: str | Path, elements: list[str], n_processes: int = 1) -> None:
        """Read an artifact.

        Args:
            path: The file.
            elements: Chemical symbol of each atom type.
            n_processes: Number of processes that share the atoms.

        Raises:
            DataError: The artifact is damaged, or of other elements.
            InputError: Its model passes messages, and several processes share the atoms.
        """
        self.artifact = read_artifact(path)
        self.artifact.check_elements(elements)
        self.passes_messages = self.artifact.passes_messages
        if self.passes_messages and n_processes > 1:
            raise InputError(
                f"a model of family {self.artifact.record['family']} passes messages between atoms, which cannot be "
                f"shared among {n_processes} processes; run LAMMPS on one"
            )
        self.native = native_arguments(self.artifact.native) if self.artifact.is_native else None
        self.cutoff = float(self.artifact.record["cutoff"])
        self.item_size = self.artifact.dtype.itemsize
        self.n_compiled = 0
        self.n_processes = n_processes
        self._batch: Batch = self._empty(0, 0)
        self._checked = False

    @cached_property
    def _function(self) -> Any:
        """The artifact's module.

        Raises:
            DataError: It cannot run here.
            EngineError: The process that reads it first did not start.
        """
        import jax  # noqa: PLC0415  # reads the environment, which :func:`start` sets

        return jax.jit(self.artifact.function().call)

    @property
    def reference(self) -> Batch:
        """The artifact's reference inputs."""
        vectors, species, others = (
            np.ascontiguousarray(self.artifact.reference[name]) for name in self.artifact.inputs
        )
        return vectors, species, others

    def check(self, energies: memoryview, slopes: memoryview) -> None:
        """Compare what the plugin computed for the reference inputs with what was stored.

        Args:
            energies: Energies, eV, float64.
            slopes: Slopes, eV/Å, in the artifact's precision.

        Raises:
            DataError: They differ.
        """
        shape = self.artifact.reference["slopes"].shape
        found = np.frombuffer(slopes, dtype=self.artifact.dtype).reshape(shape)
        self.artifact.check_outputs(np.frombuffer(energies), found)

    def grow(self, n_atoms: int, width: int) -> Batch:
        """Make room for more atoms or neighbours.

        Args:
            n_atoms: Atoms of this process.
            width: Neighbours of the atom that has most.

        Returns:
            Vectors (n_rows, n_columns, 3), species (n_rows,) and the neighbours' species or rows (n_rows, n_columns),
            to be written to; rows and columns beyond what is needed hold padding.
        """
        rows, columns = self._batch[2].shape
        if n_atoms > rows:
            wanted = n_atoms * ATOM_MARGIN if self.n_processes > 1 else n_atoms
            rows = _multiple(max(wanted, len(self.artifact.reference["species"])), ATOM_STEP)
        if width > columns:
            columns = _multiple(max(width * WIDTH_MARGIN, self.artifact.reference["vectors"].shape[1]), WIDTH_STEP)
        self._batch = self._empty(rows, columns)
        self._checked = False
        return self._batch

    def evaluate(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return energies, eV, shape (n_rows,), and slopes, eV/Å, shape (n_rows, n_columns, 3).

        Raises:
            DataError: The artifact cannot run here, or does not compute its reference outputs.
            EngineError: The process that reads its module first did not start.
        """
        if not self._checked:
            self._check()
        energies, slopes = self._function(*self._batch)
        return np.asarray(energies), np.asarray(slopes)

    def _empty(self, rows: int, columns: int) -> Batch:
        """Return arrays full of padding."""
        vectors = _aligned((rows, columns, 3), self.artifact.dtype)
        vectors[...] = 2.0 * self.cutoff
        return vectors, _aligned((rows,), np.dtype(np.int32)), _aligned((rows, columns), np.dtype(np.int32))

    def _check(self) -> None:
        """Compile for the present size, and compare with the reference outputs.

        Raises:
            DataError: The module cannot be compiled, or computes something else.
        """
        reference = [self.artifact.reference[name] for name in self.artifact.inputs]
        n, width = reference[2].shape
        batch = self._empty(*self._batch[2].shape)
        for array, values in zip(batch, reference, strict=True):
            array[tuple(slice(0, size) for size in values.shape)] = values
        self.n_compiled += 1
        try:
            energies, slopes = (np.asarray(array) for array in self._function(*batch))
        except Exception as error:  # whatever MLIR or XLA make of a module that could be read
            raise DataError(
                f"JAX cannot compile or run the module of the artifact ({printable(error, 200)}); export the model "
                "again with the version that runs it"
            ) from error
        self.artifact.check_outputs(energies[:n], slopes[:n, :width])
        self._checked = True


def start(path: str | Path, elements: list[str], n_processes: int) -> Session:
    """Set this process up for one thread and any precision, and read an artifact (arguments as of :class:`Session`)."""
    os.environ.update(ONE_THREAD | ANY_PRECISION)
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {XLA_FLAGS}".strip()
    return Session(path, elements, n_processes)


def _multiple(value: float, step: int) -> int:
    """Return the smallest multiple of ``step`` that is not below ``value``."""
    return int(-(-value // step) * step)


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros that begin at a multiple of :data:`ALIGNMENT` bytes."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
