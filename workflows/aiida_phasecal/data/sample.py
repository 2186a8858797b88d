"""Frames of one phase at one state under one model, as a node."""

from __future__ import annotations

import io

from aiida import orm

from phasecal.sample import Sample


class SampleData(orm.SinglefileData):
    """Frames of one run as one npz file (float32 positions, cells, energies), its state as attributes.

    Attributes: ``phase``, ``temperature_k``, ``pressure_gpa``, ``n_frames``, ``n_atoms``, ``elements``, ``model_hash``.
    """

    @classmethod
    def from_sample(cls, sample: Sample) -> SampleData:
        """Make an unstored node from a sample."""
        stream = io.BytesIO()
        sample.save(stream)
        stream.seek(0)
        node = cls(file=stream, filename="sample.npz")
        facts = {
            "phase": sample.phase,
            "temperature_k": sample.temperature_k,
            "pressure_gpa": sample.pressure_gpa,
            "n_frames": sample.n_frames,
            "n_atoms": sample.n_atoms,
            "elements": list(sample.elements),
            "model_hash": sample.model_hash,
        }
        node.base.attributes.set_many(facts)
        return node

    def get_sample(self) -> Sample:
        """Return the frames."""
        with self.open(mode="rb") as stream:
            return Sample.load(io.BytesIO(stream.read()))

    @property
    def facts(self) -> dict:
        """All queryable attributes of the sample."""
        return dict(self.base.attributes.all)
