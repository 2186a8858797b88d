"""How a model changed, for the report: its functions and its parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from phasecal.difftre.comparison import groups
from phasecal.potentials.base import Model
from phasecal.potentials.eam import EamModel
from phasecal.potentials.frozen import FrozenModel

R_MIN_A = 1.8
"""Functions of the distance are drawn from here: nearer, atoms never come at melting points."""
MAX_POINTS = 800


def tabulated(model: Model | None) -> EamModel | None:
    """What has tables in a model: itself, or the correction of a frozen base."""
    if isinstance(model, FrozenModel) and model.correction is not None:
        return replace(model.correction, theta=model.theta)
    return model if isinstance(model, EamModel) else None


def functions(initial: Model, final: Model | None) -> dict:
    """Tabulated functions of the potential, or of its correction, before and after; none of a family without tables."""
    original, changed = tabulated(initial), tabulated(final)
    if original is None:
        return {}
    before = original.tables()
    after = changed.tables() if changed is not None else None
    near = before["r"] >= R_MIN_A
    r_every = max(1, int(near.sum()) // MAX_POINTS)
    rho_every = max(1, len(before["density"]) // MAX_POINTS)

    def rows(name: str, labels: list[str], axis: str, x: np.ndarray, chosen) -> dict:
        return {
            label: {
                axis: x[chosen].tolist(),
                "initial": before[name][i][chosen].tolist(),
                "final": after[name][i][chosen].tolist() if after is not None else None,
            }
            for i, label in enumerate(labels)
        }

    distances = np.flatnonzero(near)[::r_every]
    densities = np.arange(0, len(before["density"]), rho_every)
    elements = list(original.elements)
    density_labels = (
        elements if len(before["rho"]) == len(elements) else [f"{a}-{b}" for a in elements for b in elements]
    )
    return {
        "pair": rows("phi", list(original.pair_labels), "r", before["r"], distances),
        "density": rows("rho", density_labels, "r", before["r"], distances),
        "embedding": rows("F", elements, "rho", before["density"], densities),
    }


def parameters(initial: Model, final: Model) -> list[dict]:
    """Parameters before and after; of those that are many of a kind, the root mean squares of each kind."""
    before, after = (dict(zip(model.parameter_names, model.theta.tolist(), strict=True)) for model in (initial, final))
    found = []
    for entry in groups(initial, final):
        name, values = entry["group"], (entry["a_rms"], entry["b_rms"], entry["change_rms"])
        if name in before:
            values = (before[name], after[name], after[name] - before[name])
        found.append(
            {"name": name, "n": entry["n_parameters"], "initial": values[0], "final": values[1], "change": values[2]}
        )
    return found
