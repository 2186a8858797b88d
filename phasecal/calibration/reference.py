"""Reference frames: labelled configurations of what a potential was made for, on which its forces should stay.

The frames that a calibration samples are of the phases at their boundaries. A correction of few numbers is known from
them; a network of thousands has directions that they do not see, in which a step is free to spoil everything else. The
frames a potential was fitted to see them.

Half of the frames tell the step what a change costs. The other half takes no part and is what it is tested on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.errors import InputError
from phasecal.fitting.data import Labelled, read_labelled
from phasecal.potentials.base import Frames, Model, forces, frames_from_atoms

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """Reference frames in two halves.

    Attributes:
        frames: Those a step looks at, each with its own cell.
        test: Those it is tested on.
        test_forces: Labels of the latter, eV/Å, each of shape (n_atoms, 3).
    """

    frames: tuple[Frames, ...]
    test: tuple[Frames, ...]
    test_forces: tuple[FloatArray, ...]

    @classmethod
    def read(cls, path: Path, model: Model) -> Reference:
        """Read an extxyz file; every second frame is for the test.

        Raises:
            InputError: It cannot be read, lacks labels, holds another element, or has fewer than two frames.
        """
        labels = read_reference(path, model.elements)
        prepared = [frames_from_atoms([label.atoms], model.elements, model.cutoff) for label in labels]
        return cls(tuple(prepared[::2]), tuple(prepared[1::2]), tuple(label.forces for label in labels[1::2]))

    def report(self, original: Model, following: Model) -> dict[str, Any]:
        """Return what the forces of the test frames are like before and after a calibration so far.

        Returns:
            ``n_frames``; ``force_rms_change_ev_a``, root mean square of a component; and, for models whose energies are
            whole, ``force_rms_error_ev_a`` with that of ``original`` and ``next`` against the labels.
        """
        before, after = (_components(forces(model, frame)[0] for frame in self.test) for model in (original, following))
        found: dict[str, Any] = {"n_frames": len(self.test), "force_rms_change_ev_a": _rms(after - before)}
        if original.complete:
            labels = _components(self.test_forces)
            errors = {"original": _rms(before - labels), "next": _rms(after - labels)}
            found["force_rms_error_ev_a"] = errors
        return found


def read_reference(path: Path, elements: Sequence[str]) -> list[Labelled]:
    """Read and check reference frames.

    Raises:
        InputError: See :meth:`Reference.read`.
    """
    labels = read_labelled([path], elements)
    if len(labels) < 2:
        raise InputError(f"{path}: holds one frame; expected two or more, half of them for the test")
    return labels


def _components(parts: Any) -> FloatArray:
    """Return all numbers of some arrays in a row."""
    return np.concatenate([np.ravel(part) for part in parts])


def _rms(values: FloatArray) -> float:
    """Return the root mean square of some numbers."""
    return math.sqrt(float(np.mean(np.square(values))))
