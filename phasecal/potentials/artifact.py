"""Export of a model as an artifact (:mod:`phasecal.artifact`), and the LAMMPS commands that run it.

Models that pass messages are networks of other packages, whose constants are of JAX's default precision: in single
precision they are traced in JAX's own single mode, where they were trained. A family without a pair style of its own in
LAMMPS exports itself by :func:`plugin_commands`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export
from jax.typing import DTypeLike
from numpy.typing import NDArray

from phasecal.artifact import Artifact
from phasecal.engines.lammps.commands import ARTIFACT_FILE, PLUGIN_COMMAND, PLUGIN_STYLE
from phasecal.errors import DataError, InputError
from phasecal.module import check_calls
from phasecal.potentials.base import Model
from phasecal.potentials.local import AtomEnergies, GraphEnergies, GraphModel, LocalModel, NativeModel

Precision = Literal["float32", "float64"]

PLATFORMS = ("cpu", "cuda")
REFERENCE_ATOMS = 6
REFERENCE_WIDTH = 12
"""Neighbours of the reference atoms; a quarter of them is padding."""


def export_artifact(model: Model, dtype: Precision = "float32") -> Artifact:
    """Return a model at its present parameters as an artifact.

    Args:
        model: A local model, or one that passes messages.
        dtype: Precision of all that is computed.

    Raises:
        InputError: The model is neither.
        DataError: It computes in another precision, or padding counts, or it needs a custom call.
    """
    energies_of_atoms, passes_messages = _energies_of_atoms(model)
    kind = jnp.dtype(dtype)
    atoms = jax.tree.map(lambda leaf: _as_precision(leaf, kind), energies_of_atoms)
    theta = jnp.asarray(model.theta, dtype=kind)

    def energies_and_slopes(vectors: Array, species: Array, others: Array) -> tuple[Array, Array]:
        def total(v: Array) -> tuple[Array, Array]:
            each = atoms(theta, v, species, others)
            return jnp.sum(each), each

        slopes, each = jax.grad(total, has_aux=True)(vectors)
        return each, slopes

    n_atoms, width = export.symbolic_shape("n_atoms, width")
    with _without_locations(), jax.enable_x64(not passes_messages or dtype == "float64"):
        function = export.export(jax.jit(energies_and_slopes), platforms=PLATFORMS)(
            _shape((n_atoms, width, 3), kind),
            _shape((n_atoms,), jnp.int32),
            _shape((n_atoms, width), jnp.int32),
        )
        module = bytes(function.serialize())
    check_calls(function.mlir_module())
    if wrong := sorted({str(aval.dtype) for aval in function.out_avals} - {dtype}):
        raise DataError(f"the model computes in {', '.join(wrong)} where {dtype} was asked for: a constant of its own?")
    inputs = _reference_inputs(model, kind, REFERENCE_ATOMS if passes_messages else len(model.elements))
    compiled = jax.jit(function.call).lower(*inputs).compile()  # unlike function.call, nothing of it stays in memory
    energies, slopes = (np.asarray(array) for array in compiled(*inputs))
    _check_reference(inputs[0], energies, slopes, model.cutoff)
    formula, native = model.native if isinstance(model, NativeModel) else ("", {})
    record = {
        "family": model.family,
        "model": model.hash,
        "elements": list(model.elements),
        "cutoff": float(model.cutoff),
        "dtype": dtype,
        "jax": jax.__version__,
        **({"passes_messages": True} if passes_messages else {}),
        **({"native": formula} if formula else {}),
    }
    names = ("vectors", "species", "neighbors" if passes_messages else "neighbor_species", "energies", "slopes")
    reference = dict(zip(names, (*inputs, energies, slopes), strict=True))
    return Artifact(record=record, module=module, reference=reference, native=native)


def _energies_of_atoms(model: Model) -> tuple[AtomEnergies | GraphEnergies, bool]:
    """Return what computes the energy of each atom, and whether it passes messages."""
    if isinstance(model, GraphModel):
        return model.graph_energies, True
    if isinstance(model, LocalModel) and model.complete:
        return model.atom_energies, False
    raise InputError(
        f"a model of family {model.family} is not a sum of atom energies that depend on neighbours within the cutoff, "
        "so it cannot be exported as an artifact for LAMMPS"
    )


def plugin_commands(model: Model, folder: Path, dtype: Precision = "float32") -> list[str]:
    """Write a model as an artifact; return the LAMMPS commands that run it through the plugin.

    The plugin itself is put beside it where LAMMPS runs (:mod:`phasecal.engines.lammps.plugin`).

    Args:
        model: A local model, or one that passes messages (then LAMMPS runs on one process).
        folder: Where the artifact goes.
        dtype: Precision of all that is computed.

    Raises:
        InputError: The model is neither.
        DataError: It cannot be exported.
    """
    _artifact(_Export(model.hash, dtype, model)).save(Path(folder) / ARTIFACT_FILE)
    masses = [f"mass {i} {model.masses[element]!r}" for i, element in enumerate(model.elements, start=1)]
    return [
        PLUGIN_COMMAND,
        f"pair_style {PLUGIN_STYLE}",
        f"pair_coeff * * {ARTIFACT_FILE} {' '.join(model.elements)}",
        *masses,
    ]


@dataclass(frozen=True)
class _Export:
    """What an artifact is made of, told apart by the hash of the model."""

    model_hash: str
    dtype: Precision
    model: Model = field(compare=False)


@lru_cache(maxsize=4)
def _artifact(wanted: _Export) -> Artifact:
    """Return an artifact; those of a round's runs are compiled once (seconds), not once per run."""
    return export_artifact(wanted.model, wanted.dtype)


def _shape(shape: tuple[Any, ...], dtype: DTypeLike) -> jax.ShapeDtypeStruct:
    """Return a shape with symbolic sizes."""
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]  # not typed in JAX


@contextmanager
def _without_locations() -> Iterator[None]:
    """Keep the files and lines of callers out of modules: a model is the same artifact wherever it is exported."""
    before = jax.config.jax_traceback_in_locations_limit  # type: ignore[attr-defined]  # options are set at run time
    jax.config.update("jax_traceback_in_locations_limit", 0)  # type: ignore[no-untyped-call]  # not typed in JAX
    try:
        yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", before)  # type: ignore[no-untyped-call]  # not typed in JAX


def _as_precision(leaf: Array, dtype: jnp.dtype) -> Array:
    """Return an array in another precision if it holds real numbers."""
    return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _reference_inputs(
    model: Model, dtype: jnp.dtype, n_others: int
) -> tuple[NDArray[np.floating], NDArray[np.int32], NDArray[np.int32]]:
    """Return neighbourhoods with all elements, between 0.45 and 0.95 of the cutoff, and some padding.

    Args:
        model: The model.
        dtype: Of the vectors.
        n_others: Number of different elements, or atoms, that neighbours are said to be.
    """
    rng = np.random.default_rng(0)
    shape = (REFERENCE_ATOMS, REFERENCE_WIDTH)
    directions = rng.normal(size=(*shape, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    lengths = model.cutoff * rng.uniform(0.45, 0.95, shape)
    lengths[:, -REFERENCE_WIDTH // 4 :] = 2.0 * model.cutoff
    n = len(model.elements)
    species = (np.arange(REFERENCE_ATOMS) % n).astype(np.int32)
    others = (np.arange(REFERENCE_ATOMS * REFERENCE_WIDTH) // 2 % n_others).astype(np.int32).reshape(shape)
    return (directions * lengths[..., None]).astype(dtype), species, others


def _check_reference(
    vectors: NDArray[np.floating], energies: NDArray[np.floating], slopes: NDArray[np.floating], cutoff: float
) -> None:
    """Check that numbers are finite and that padding has no slope.

    Raises:
        DataError: They are not, or it has.
    """
    beyond = np.linalg.norm(vectors, axis=-1) > cutoff
    if not (np.isfinite(energies).all() and np.isfinite(slopes).all()):
        raise DataError("the model's energies or slopes are not finite for atoms at ordinary distances")
    if np.any(slopes[beyond] != 0.0):
        raise DataError(f"the model's energies depend on atoms beyond its cutoff of {cutoff} Å")
