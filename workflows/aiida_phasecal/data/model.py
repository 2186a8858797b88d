"""An immutable version of an interatomic potential as a node."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from aiida import orm

if TYPE_CHECKING:
    from phasecal.potentials.base import Model


class ModelData(orm.SinglefileData):
    """One version of a potential: a safetensors file with its configuration, and queryable facts as attributes.

    Attributes: ``family``, ``elements``, ``n_parameters``, ``hash`` (sha256 of the content), ``parent`` (hash of the
    version it was made from, or None) and ``round`` (of the calibration that made it; 0 for a user's potential).
    """

    @classmethod
    def from_model(cls, model: Model, *, round_index: int = 0, label: str = "") -> ModelData:
        """Make an unstored node from a model."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            model.save(path)
            node = cls(file=io.BytesIO(path.read_bytes()), filename="model.safetensors")
        facts = {
            "family": model.family,
            "elements": list(model.elements),
            "n_parameters": int(model.theta.size),
            "hash": model.hash,
            "parent": model.parent,
            "round": round_index,
        }
        node.base.attributes.set_many(facts)
        node.label = label
        return node

    def get_model(self) -> Model:
        """Return the model, ready to evaluate or export."""
        from phasecal.potentials.base import load_model

        with self.as_path() as path:
            return load_model(path)

    @property
    def model_hash(self) -> str:
        """Content hash of the model."""
        return str(self.base.attributes.get("hash"))

    @property
    def round_index(self) -> int:
        """Calibration round that made this version; 0 for a user's potential."""
        return int(self.base.attributes.get("round"))
