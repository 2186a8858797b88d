"""The section ``model`` of a campaign with a Lennard-Jones potential, and crystals of given density."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ase.data import atomic_masses, atomic_numbers
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from phasecal.campaign.context import context_of
from phasecal.campaign.fields import Energy, Length, Section, fault
from phasecal.campaign.reduced import MASS_AMU, REFERENCE
from phasecal.potentials.lj import LjModel
from phasecal.structures.crystals import crystal

PLACEHOLDER = "X"
"""Name of the atoms of a campaign in reduced units."""


def _once(names: list[str]) -> list[str]:
    """Reject a list that holds a name twice."""
    if len(set(names)) < len(names):
        raise fault("a name appears twice", "every name once")
    return names


class LennardJones(Section):
    """A Lennard-Jones potential."""

    family: Literal["lj"] = Field(description="lj")
    epsilon: Energy = Field(description="depth of the potential, such as 119.8 K (or 1.0 with units: lj)")
    sigma: Length = Field(description="where the potential is zero, such as 3.405 A (or 1.0 with units: lj)")
    cutoff: float = Field(gt=1.2, le=20, description="a plain number, the cutoff in units of sigma, such as 2.5")
    shift: bool = Field(True, description="true (truncated and shifted to zero) or false (plainly truncated)")
    train: Annotated[list[Literal["epsilon", "sigma"]], AfterValidator(_once)] = Field(
        [], validate_default=True, description="a list of what to train, such as [epsilon, sigma]"
    )

    @field_validator("train")
    @classmethod
    def _something_to_train(cls, value: list[str], info: ValidationInfo) -> list[str]:
        """A calibration needs parameters, of a potential that is sampled as it is computed."""
        if context_of(info).task == "calibrate" and not value:
            raise fault("nothing to train", "a list such as [epsilon, sigma]")
        if value and info.data.get("shift") is False:
            raise fault("a plainly truncated potential cannot be trained", "shift: true, which is what MD samples")
        return value

    def build(self, elements: list[str], *, reduced: bool) -> LjModel:
        """Return the original model.

        Args:
            elements: The one element of the campaign.
            reduced: Atoms have the reference mass of reduced units, otherwise that of their element.
        """
        (element,) = elements
        return LjModel.from_parameters(
            element=element,
            mass=MASS_AMU if reduced else float(atomic_masses[atomic_numbers[element]]),
            epsilon=self.epsilon,
            sigma=self.sigma,
            cutoff_sigmas=self.cutoff,
            shift=self.shift,
            train=self.train,
        )


def lattice_parameter(structure: dict[str, Any], density: float) -> float:
    """Return the lattice parameter, Å, of a cubic (or ideal hcp) crystal of a reduced density Nσ³/V.

    Args:
        structure: ``prototype`` and ``elements``.
        density: Reduced number density.
    """
    trial = crystal({**structure, "a": 4.0})
    volume = len(trial) / (density * REFERENCE["density"])
    return float(4.0 * (volume / trial.cell.volume) ** (1 / 3))
