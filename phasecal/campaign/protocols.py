"""Protocols: how much is computed, as numbers in YAML files next to this module.

``fast.yaml`` is complete; every other protocol holds what differs from it, and a campaign may override each
number.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from phasecal.campaign.document import read_document
from phasecal.campaign.fields import Section, Temperature, fault
from phasecal.freeenergy.settling import STEPS as SETTLING_STEPS
from phasecal.freeenergy.settling import fewest_steps

NAMES = ("fast", "balanced", "stringent")
BASE = "fast"

Steps = Annotated[int, Field(ge=1, le=10**10)]


class _Sampled(Section):
    """A run of which frames are kept."""

    production_steps: Steps = Field(description="a number of MD steps from which averages are taken")
    sample_every: Steps = Field(description="a number of MD steps between kept frames, a multiple of thermo_every")
    thermo_every: Steps = Field(description="a number of MD steps between thermodynamic outputs")

    @model_validator(mode="after")
    def _frames_have_thermo(self) -> _Sampled:
        """Every frame needs the thermodynamic output of its own step, and there must be frames."""
        if self.sample_every % self.thermo_every:
            raise fault(f"sample_every {self.sample_every} is not a multiple of thermo_every {self.thermo_every}")
        if self.sample_every > self.production_steps:
            raise fault(f"sample_every {self.sample_every} is above production_steps {self.production_steps}")
        return self


class _TwoPhase(_Sampled):
    """A run with a crystal and its melt, the beginning of which is left out."""

    @model_validator(mode="after")
    def _something_is_left(self) -> _TwoPhase:
        """Runs are longer than what is left out of them."""
        fewest = fewest_steps(self.thermo_every)
        for name in ("production_steps", "reference_steps"):
            steps = getattr(self, name, fewest)
            if steps < fewest:
                raise fault(
                    f"{name} {steps} is too short", f"at least {fewest}: the first {SETTLING_STEPS} steps are left out"
                )
        return self


class Bulk(_Sampled):
    """Sampling of one phase in the isothermal–isobaric ensemble."""

    n_atoms: int = Field(ge=32, le=10**7, description="a number of atoms, at least 32")
    melt_steps: Steps = Field(description="a number of MD steps in which a liquid is molten")
    equilibration_steps: Steps = Field(description="a number of MD steps before production")


class Coexistence(_TwoPhase):
    """A solid and its liquid in one box at constant enthalpy."""

    n_lateral: int = Field(ge=3, le=1000, description="a number of conventional cells along x and y, at least 3")
    n_normal: int = Field(ge=6, le=10000, description="a number of conventional cells along z, at least 6")
    replicas: int = Field(ge=1, le=100, description="a number of independent runs, at least 1")
    relative_spread: float = Field(
        gt=0, lt=0.1, description="the share of the guess by which replicas start above and below it, such as 0.01"
    )
    start_spread: Temperature | None = Field(
        None,
        serialization_alias="start_spread_k",
        description="a temperature by which replicas start above and below the guess, such as 20 K",
    )
    relax_steps: Steps = Field(description="a number of MD steps that fix the lattice parameters of the solid")
    melt_steps: Steps = Field(description="a number of MD steps in which half of the box is molten")
    cool_steps: Steps = Field(description="a number of MD steps in which the melt cools to the start temperature")
    settle_steps: Steps = Field(description="a number of MD steps in which the box length relaxes")


class FreeEnergy(Section):
    """Absolute free energies by switching, and isobars by reversible scaling."""

    n_atoms: int = Field(ge=32, le=10**7, description="a number of atoms, at least 32")
    cell_steps: Steps = Field(description="a number of MD steps that give the mean cell and the springs")
    hold_steps: Steps = Field(description="a number of MD steps of equilibration at each end of a path")
    switch_steps: Steps = Field(description="a number of MD steps in which one system becomes the other")
    sweep_steps: Steps = Field(description="a number of MD steps along an isobar, one way")
    repeats: int = Field(ge=2, le=100, description="a number of independent runs, at least 2")
    repeats_at_target: int | None = Field(
        None, ge=2, le=100, description="a number of independent runs for fresh anchors and verifications, at least 2"
    )
    sample_every: Steps = Field(description="a number of MD steps between kept frames, a multiple of thermo_every")
    thermo_every: Steps = Field(description="a number of MD steps between points of the work integral")
    max_dissipation: float = Field(gt=0, le=100, description="the largest dissipation per atom in kT, such as 0.02")
    window: float = Field(
        gt=0, lt=0.5, description="the relative half-width of the isobars around a guess, such as 0.08"
    )

    @model_validator(mode="after")
    def _legs(self) -> FreeEnergy:
        """Legs begin and end with a thermodynamic output, and hold frames."""
        for name in ("sample_every", "cell_steps", "hold_steps", "switch_steps", "sweep_steps"):
            if getattr(self, name) % self.thermo_every:
                raise fault(f"{name} {getattr(self, name)} is not a multiple of thermo_every {self.thermo_every}")
        if self.sample_every > min(self.hold_steps, self.switch_steps, self.sweep_steps):
            raise fault(f"sample_every {self.sample_every} is above the steps of a leg")
        return self


class Pinning(_TwoPhase):
    """A solid and its liquid held side by side at (T, P) by a bias, with a bulk reference of each."""

    n_lateral: int = Field(ge=3, le=1000, description="a number of conventional cells along x and y, at least 3")
    n_normal: int = Field(ge=6, le=10000, description="a number of conventional cells along z, at least 6")
    replicas: int = Field(ge=1, le=100, description="a number of independent two-phase runs, at least 1")
    max_distance: float = Field(
        gt=0, lt=1, description="a relative distance in T beyond which ΔG is measured again nearer to the boundary"
    )
    relax_steps: Steps = Field(description="a number of MD steps that fix the lattice parameters of the solid")
    melt_steps: Steps = Field(description="a number of MD steps in which half of the box, or the reference, is molten")
    cool_steps: Steps = Field(description="a number of MD steps in which the melt cools to the temperature")
    settle_steps: Steps = Field(description="a number of MD steps in which the box length relaxes")
    reference_steps: Steps = Field(description="a number of MD steps from which a reference is averaged")


class TwoMeltingPoints(Section):
    """Bulk runs that carry the melting points of two crystals to where they meet each other."""

    n_atoms: int = Field(ge=32, le=10**7, description="a number of atoms, at least 32")
    production_steps: Steps = Field(description="a number of MD steps from which an enthalpy is averaged")
    temperatures: int = Field(
        ge=2, le=50, description="a number of temperatures of both crystals, from the guess to the lower melting point"
    )
    max_extrapolation: float = Field(
        gt=0, lt=0.2, description="a relative distance below them at which the boundary may be found, such as 0.03"
    )


class Step(Section):
    """Limits of one step in the parameters."""

    prior: Literal["functional", "identity"] = Field(
        description="functional (changes of forces and phases count) or identity (changes of parameters count)"
    )
    max_sd: float = Field(gt=0, le=20, description="the largest sd of the reduced energy change, such as 2.0")
    min_overlap: float = Field(gt=0, lt=0.5, description="the smallest overlap of consecutive models, such as 0.1")
    enthalpy_tolerance: float = Field(gt=0, le=10, description="a relative tolerance of ΔH, such as 0.1")
    volume_tolerance: float = Field(gt=0, le=10, description="a relative tolerance of ΔV, such as 0.1")
    learning_rate: float = Field(gt=0, le=10, description="the learning rate of Adam, such as 0.002")
    n_eff_floor: float = Field(gt=0, lt=1, description="the fraction of effective samples at which Adam stops")


class Calibration(Section):
    """How long a calibration may go on, and how far one stage of rounds may reach."""

    max_rounds: int = Field(ge=1, le=1000, description="a number of rounds, at least 1")
    reanchors: int = Field(ge=0, le=20, description="a number of fresh anchors near the target, 0 or more")
    max_superheating: float = Field(gt=0, lt=1, description="a relative distance from the anchor, such as 0.2")
    min_superheating: float = Field(gt=0, lt=1, description="a relative distance from the anchor, such as 0.02")
    step: Step = Field(description="a mapping with the limits of one step")


class Protocol(Section):
    """All numbers that decide cost and precision."""

    name: Literal["fast", "balanced", "stringent"] = Field(description=f"one of {', '.join(NAMES)}")
    melt_factor: float = Field(gt=1, le=10, description="the melting thermostat over the temperature, such as 2.0")
    restart_every: Steps = Field(description="a number of MD steps between restart files")
    bulk: Bulk = Field(description="a mapping with the numbers of a bulk run")
    locate: Coexistence = Field(description="a mapping with the numbers of the search for the boundary")
    anchor: Coexistence = Field(description="a mapping with the numbers of an anchor")
    reanchor: Coexistence = Field(description="a mapping with the numbers of an anchor near the target")
    verification: Coexistence = Field(description="a mapping with the numbers of the verification")
    transition: Coexistence = Field(description="a mapping with the numbers of a measurement for its own sake")
    free_energy: FreeEnergy = Field(description="a mapping with the numbers of absolute free energies")
    pinning: Pinning = Field(description="a mapping with the numbers of interface pinning")
    pinning_verification: Pinning = Field(description="a mapping with the numbers of a verification by pinning")
    two_melting_points: TwoMeltingPoints = Field(description="a mapping with the numbers between two melting points")
    calibration: Calibration = Field(description="a mapping with the limits of the calibration")


def protocol_numbers(name: str) -> dict[str, Any]:
    """Return the numbers of a protocol as its files write them, differences resolved."""
    return {"name": name, **merge(_read(BASE), {} if name == BASE else _read(name))}


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``changes``, mappings merged key by key."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return merged


def _read(name: str) -> dict[str, Any]:
    """Return the content of a protocol file."""
    with as_file(files("phasecal.campaign") / "protocols" / f"{name}.yaml") as path:
        return read_document(path).data
