"""Artifacts: one version of a model as compiled-for-any-size StableHLO that runs without the model's code.

An artifact is one safetensors file. Its arrays are the serialised module of ``jax.export`` (``uint8``) and reference
inputs and outputs; its header holds a JSON record: family, model hash, elements, cutoff, precision, JAX version, and
the SHA-256 of all of it. The module computes, for atoms i with neighbours j (:mod:`phasecal.potentials.local`),

    (vectors r_ij, species, neighbour species) ↦ (energies e_i, slopes ∂e_i/∂r_ij)

for any number of atoms and neighbours. A model that passes messages takes the indices of the neighbours in place of
their species, and its slopes are ∂U/∂r_ij; its record says ``passes_messages``. Beside the module there may be the
arrays of a model that the plugin computes by itself (:mod:`phasecal.native`). This module reads artifacts; it knows
no model, and importing it does not import JAX before a module is read.

Versions (measured from 0.4.34 to 0.10.2): a module of pure StableHLO runs in any later JAX, and in an earlier one as
far as the minor version before its own; older ones fail. Custom calls (LAPACK) fail across versions, or crash the
process, so a module that has any is refused. Parameters and code stay the long-term source; an artifact is how a
version travels.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from phasecal.bounded import MAX_CUTOFF, printable, read_tensors
from phasecal.errors import DataError
from phasecal.module import check_module, read_module
from phasecal.native import MOMENT_NETWORK, Arrays, check_native

if TYPE_CHECKING:
    from jax.export import Exported

SCHEMA = 1
OLDEST_JAX = (0, 4, 34)
"""Modules of earlier versions were never tried."""
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
"""Largest deviation from the reference outputs, over the largest of them. A single has 24 bits: in a table of 10⁴
points the place in an interval is known to 1e-3 of it, and a slope to about 1e-5."""
MAX_REFERENCE = 10_000
"""Pairs of atoms in the reference: a run makes room for that many."""

_HEADER = "phasecal-artifact"
_REFERENCE = "reference/"
_NATIVE = "native/"
_OUTPUTS = ("energies", "slopes")
_RECORD = {"family": str, "model": str, "elements": list, "cutoff": float, "dtype": str, "jax": str}


@dataclass(frozen=True, eq=False, kw_only=True)
class Artifact:
    """A model version as a serialised function.

    Attributes:
        record: ``family``, ``model`` (hash), ``elements``, ``cutoff`` (Å), ``dtype``, ``jax`` (version of the export),
            ``passes_messages`` where it does, and ``native`` (a formula) where there are such arrays.
        module: What ``jax.export`` serialised.
        reference: ``vectors`` (Å, shape (n_atoms, width, 3)), ``species`` (n_atoms,), ``neighbor_species`` or
            ``neighbors`` (n_atoms, width), and what the module made of them: ``energies`` (eV, (n_atoms,)), ``slopes``
            (eV/Å).
        native: Arrays for a plugin that knows the formula.
    """

    record: Mapping[str, Any]
    module: bytes
    reference: Arrays
    native: Arrays = field(default_factory=dict)

    @property
    def passes_messages(self) -> bool:
        """Whether it takes the neighbours' indices and not their species."""
        return bool(self.record.get("passes_messages", False))

    @property
    def is_native(self) -> bool:
        """Whether the plugin of this phasecal computes the model without the module."""
        return self.record.get("native") == MOMENT_NETWORK

    @property
    def inputs(self) -> tuple[str, str, str]:
        """Names of what the module takes."""
        return "vectors", "species", "neighbors" if self.passes_messages else "neighbor_species"

    @property
    def sha256(self) -> str:
        """Hash of record, module, reference and native arrays."""
        digest = hashlib.sha256(json.dumps(self.record, sort_keys=True, allow_nan=False).encode())
        digest.update(self.module)
        parts = [(name, self.reference[name]) for name in (*self.inputs, *_OUTPUTS)]
        for name, array in (*parts, *sorted(self.native.items())):
            digest.update(f"\0{name}{array.dtype.str}{array.shape}\0".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of vectors, energies and slopes."""
        return self.reference["vectors"].dtype

    def save(self, path: str | Path) -> None:
        """Write the artifact as one safetensors file."""
        header = json.dumps({"schema": SCHEMA, "sha256": self.sha256, **self.record}, sort_keys=True)
        arrays = {_REFERENCE + name: np.ascontiguousarray(array) for name, array in self.reference.items()}
        arrays |= {_NATIVE + name: np.ascontiguousarray(array) for name, array in self.native.items()}
        module = np.frombuffer(self.module, dtype=np.uint8)
        save_file({"module": module, **arrays}, str(path), metadata={_HEADER: header})

    def check_elements(self, elements: list[str]) -> None:
        """Check that atom types are those of the artifact.

        Raises:
            DataError: Other elements, or another order.
        """
        if elements != self.record["elements"]:
            raise DataError(
                f"the artifact has the elements {' '.join(self.record['elements'])}, in this order; got "
                f"{' '.join(elements)}"
            )

    def check_module(self) -> None:
        """Check that this JAX can read the module, without reading it in this process (:mod:`phasecal.module`).

        Raises:
            DataError: It cannot.
            EngineError: The process that tries it did not start.
        """
        check_versions(self.record["jax"], metadata.version("jax"))
        check_module(self.module, self.dtype.name)

    def function(self) -> Exported:
        """Return the exported function; nothing is compiled yet.

        Raises:
            DataError: This JAX cannot run it.
            EngineError: The process that reads it first did not start.
        """
        self.check_module()
        return read_module(self.module, self.dtype.name)

    def check_outputs(self, energies: NDArray[Any], slopes: NDArray[Any]) -> None:
        """Compare what this process computed for the reference inputs with what was stored.

        Raises:
            DataError: They differ by more than :data:`TOLERANCE`.
        """
        limit = TOLERANCE[self.record["dtype"]]
        for name, values in zip(_OUTPUTS, (energies, slopes), strict=True):
            expected = self.reference[name]
            scale = float(np.abs(expected).max())
            worst = float(np.abs(np.asarray(values) - expected).max())
            if not worst <= limit * scale:
                raise DataError(
                    f"the artifact's {name} differ from its reference by {worst:.1e}, more than {limit:.0e} of "
                    f"{scale:.3g}: this JAX does not compute the same model; export it again"
                )


def read_artifact(path: str | Path) -> Artifact:
    """Read an artifact; nothing is compiled yet.

    Raises:
        DataError: Not an artifact, one of another schema, or changed since it was written.
    """
    record, arrays = read_tensors(path, _HEADER)
    try:
        schema, expected = record.pop("schema"), record.pop("sha256")
        module = arrays.pop("module")
        native = {name.removeprefix(_NATIVE): arrays.pop(name) for name in list(arrays) if name.startswith(_NATIVE)}
        reference = {name.removeprefix(_REFERENCE): array for name, array in arrays.items()}
        artifact = Artifact(record=record, module=module.tobytes(), reference=reference, native=native)
        _check_content(artifact, module)
        actual = artifact.sha256
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a readable artifact of phasecal ({printable(error, 200)})") from error
    if schema != SCHEMA:
        raise DataError(f"{path}: an artifact of schema {printable(schema, 20)}; this phasecal reads {SCHEMA}")
    if actual != expected:
        said = printable(expected, 64)
        raise DataError(f"{path}: changed since it was written (sha256 {actual}, but the file says {said})")
    return artifact


def _check_content(artifact: Artifact, module: NDArray[Any]) -> None:
    """Check kinds, sizes and shapes of what an artifact holds; the hash says only that its parts belong together.

    Raises:
        ValueError: One is not as :meth:`Artifact.save` writes it.
    """
    record, reference = artifact.record, artifact.reference
    for key, kind in _RECORD.items():
        if not isinstance(record[key], kind):
            raise ValueError(f"{key} is {record[key]!r}")
    if not all(isinstance(element, str) for element in record["elements"]) or record["dtype"] not in TOLERANCE:
        raise ValueError(f"the elements are {record['elements']!r}, the precision {record['dtype']!r}")
    if not 0 < record["cutoff"] <= MAX_CUTOFF:
        raise ValueError(f"a cutoff of {record['cutoff']} Å; expected at most {MAX_CUTOFF:g} Å")
    real, whole = np.dtype(record["dtype"]), np.dtype(np.int32)
    n, width = reference[artifact.inputs[2]].shape
    if not 0 < n * width <= MAX_REFERENCE:
        raise ValueError(f"a reference of {n} × {width} pairs; expected at most {MAX_REFERENCE}")
    names, kinds = (*artifact.inputs, *_OUTPUTS), (real, whole, whole, real, real)
    shapes = ((n, width, 3), (n,), (n, width), (n,), (n, width, 3))
    found = {name: (array.dtype, array.shape) for name, array in {**reference, "module": module}.items()}
    expected = dict(zip(names, zip(kinds, shapes, strict=True), strict=True))
    if found != {**expected, "module": (np.dtype(np.uint8), (module.size,))}:
        raise ValueError("other arrays, or arrays of other shapes and kinds")
    if artifact.is_native:
        check_native(artifact.native, len(record["elements"]))


def check_versions(exported: str, running: str) -> None:
    """Check that a module of one JAX version can be expected to run in another.

    Raises:
        DataError: It cannot (see the module).
    """
    before, now, said = _version(exported), _version(running), printable(exported, 20)
    if before < OLDEST_JAX:
        oldest = ".".join(str(part) for part in OLDEST_JAX)
        raise DataError(f"exported by JAX {said}, before {oldest}; export the model again")
    if now[0] < before[0] or now[:2] < (before[0], before[1] - 1):
        raise DataError(
            f"exported by JAX {said}, which JAX {running} cannot run; update JAX to {before[0]}.{before[1]}, or "
            "export the model with the older version"
        )


def _version(text: str) -> tuple[int, int, int]:
    """Return the three numbers of a version."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    if match is None:
        raise DataError(f"{text!r} is not a version of JAX; expected three numbers")
    return int(match[1]), int(match[2]), int(match[3])
