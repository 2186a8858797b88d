"""The run ``pinning``: solid and liquid held side by side at (T, P) by a bias on the order, and its references.

The bias is LAMMPS' ``fix rhok``: ½ κ (Q − a)² with Q = |Σ_j exp(−i k·r_j)|/√N. The wave vector k lies in the plane of
the interface, where the box does not change: Q does not depend on the box length along z and the bias adds nothing to
the pressure that drives it. The references ``solid`` and ``liquid`` have the same atoms and the same lateral edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from phasecal.engines.lammps.task import Parameters
from phasecal.engines.lammps.two_phase import SLOW_BAROSTAT_STEPS, TwoPhaseTask
from phasecal.structures.crystals import crystal, two_phase_repeats
from phasecal.structures.reflections import bragg_vectors

SLOW_THERMOSTAT_STEPS = 1000
"""Time constant of the thermostat in steps (2.8 ps for Cu) while there is an interface, which it must not drive. The
references, which have none, keep the fast one: with the slow one their energy took 4 ps to forget itself."""

Edge = Annotated[float, Field(gt=1.0, le=1e5, allow_inf_nan=False)]


class PinningTask(TwoPhaseTask):
    """A pinned two-phase box, or one of its bulk references, with x and y fixed and z under pressure."""

    columns: ClassVar[Mapping[str, str]] = {"f_bias[3]": "q"}

    kind: Literal["pinning"]
    role: Literal["two-phase", "solid", "liquid"]
    lateral_a: Annotated[list[Edge], Field(min_length=2, max_length=2)] | None
    kappa_ev: Annotated[float, Field(ge=0.0, le=1e6, allow_inf_nan=False)]
    anchor: Annotated[float, Field(ge=0.0, le=1e6, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _biased_where_it_must_be(self) -> PinningTask:
        """Two phases are held by a bias in a box whose lateral edges are given; references are free."""
        if self.melt_temperature_k <= self.temperature_k:
            raise ValueError("melt_temperature_k must be above temperature_k")
        if self.role == "two-phase" and not (self.kappa_ev > 0 and self.anchor > 0):
            raise ValueError("role two-phase: needs kappa_ev and anchor above 0")
        if self.role != "two-phase" and self.kappa_ev:
            raise ValueError(f"role {self.role}: a reference has no bias, got kappa_ev {self.kappa_ev:g}")
        if (self.lateral_a is None) != (self.role == "solid"):
            raise ValueError("lateral_a: the solid finds its edges (null), the others take the solid's")
        return self

    @property
    def sampled(self) -> str:
        """Both phases, or the one of a reference."""
        return {"two-phase": "|".join(self.phases), "solid": self.phases[0], "liquid": self.phases[1]}[self.role]

    @property
    def box_repeats(self) -> tuple[int, int, int]:
        """How often the conventional cell is repeated along x, y and z."""
        return two_phase_repeats(crystal(self.structure), self.n_lateral, self.n_normal)

    @property
    def wave_vector(self) -> NDArray[np.int64]:
        """Miller indices, with respect to the box, of the biased reflection: the first in-plane one, shape (3,)."""
        vector: NDArray[np.int64] = bragg_vectors(crystal(self.structure), self.box_repeats, in_plane=True)[0]
        return vector

    def parameters(self) -> Parameters:
        """Return the variables of ``pinning.in``."""
        common = super().parameters()
        timestep_ps = float(common["timestep_ps"])
        pinned = self.role == "two-phase"
        n_atoms = len(self.start_configuration())
        lateral = self.lateral_a or [0.0, 0.0]
        wave = self.wave_vector.tolist()
        return common | {
            "tdamp_production_ps": SLOW_THERMOSTAT_STEPS * timestep_ps if pinned else common["tdamp_ps"],
            "pdamp_production_ps": SLOW_BAROSTAT_STEPS * timestep_ps if pinned else common["pdamp_ps"],
            "n_solid": {"two-phase": common["n_solid"], "solid": n_atoms, "liquid": 0}[self.role],
            "n_atoms": n_atoms,
            "lateral_x": lateral[0],
            "lateral_y": lateral[1],
            "wave_x": wave[0],
            "wave_y": wave[1],
            "kappa": self.kappa_ev,
            "anchor": self.anchor,
        }
