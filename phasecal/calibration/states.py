"""The models and samples of a calibration: loaded, checked, and looked up by state and model.

Averages of enthalpy and volume use all frames of a sample (printed energies, with the error of a correlated
series). Everything that compares models uses their own energies of the stored frames, computed for all models
in the same way; printed energies serve only to check that a sample belongs to its model. The exception is a model with
a frozen base: its energies are those of the correction, and the base of a frame is what was printed less the correction
of the model that drove the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phasecal.calibration.schema import CalibrationStepTask, SampleFile
from phasecal.calibration.uncertain import Uncertain
from phasecal.difftre.comparison import structure
from phasecal.errors import ConvergenceError, DataError, InputError, NumericError
from phasecal.freeenergy.overlap import subsample
from phasecal.freeenergy.phase_mbar import PhaseSample
from phasecal.observables.statistics import Estimate, mean_with_error
from phasecal.potentials.base import Frames, Model, energies, frames_from_sample, load_model
from phasecal.potentials.prepared import prepare
from phasecal.sample import Sample
from phasecal.units import EV_PER_A3_IN_GPA

ENERGY_TOLERANCE_EV = 1e-4
"""Largest difference per atom between a printed energy and the model's own of the stored positions."""

_CHECKED_FRAMES = 2

FloatArray = NDArray[np.float64]


class State(NamedTuple):
    """A phase at one temperature, K, and pressure, GPa."""

    phase: str
    temperature_k: float
    pressure_gpa: float

    def __str__(self) -> str:
        return f"{self.phase} at {self.temperature_k:g} K and {self.pressure_gpa:g} GPa"


def state_of(phase: str, temperature_k: float, pressure_gpa: float) -> State:
    """Return the key of a state; temperatures within 0.5 mK and pressures within 0.5 kPa are one state."""
    return State(phase, round(temperature_k, 3), round(pressure_gpa, 6))


@dataclass(frozen=True)
class Source:
    """A sample of the calibration.

    Attributes:
        file: Name of its file.
        model: Index of the model that drove it.
        sample: Its frames.
    """

    file: str
    model: int
    sample: Sample

    @property
    def state(self) -> State:
        """Phase, temperature and pressure."""
        return state_of(self.sample.phase, self.sample.temperature_k, self.sample.pressure_gpa)

    @cached_property
    def enthalpies(self) -> FloatArray:
        """Printed U + PV of each frame, eV/atom, shape (n_frames,)."""
        work = self.sample.pressure_gpa / EV_PER_A3_IN_GPA * self.sample.volumes
        return np.asarray((self.sample.energies + work) / self.sample.n_atoms)

    @cached_property
    def enthalpy(self) -> Estimate:
        """Mean U + PV, eV/atom (the kinetic part cancels in every difference)."""
        return self._mean(self.enthalpies, "enthalpy")

    @cached_property
    def volume(self) -> Estimate:
        """Mean volume, Å³/atom."""
        return self._mean(self.sample.volumes / self.sample.n_atoms, "volume")

    def _mean(self, series: FloatArray, what: str) -> Estimate:
        """Return the mean of a series; an error names the sample."""
        try:
            return mean_with_error(series)
        except (ConvergenceError, DataError) as error:
            raise type(error)(f"{what} of {self.state} ({self.file}): {error}; sample longer") from error


class Sampled(NamedTuple):
    """A state and the model that was sampled there."""

    model: int
    state: State

    def __str__(self) -> str:
        return f"{self.state}, model {self.model}"


@dataclass(frozen=True)
class StateFrames:
    """Frames of one state, from several models, with their energies.

    Attributes:
        samples: Frames of each of them, oldest model first, thinned by the correlation of the enthalpy.
        last: Those of the last model, with neighbours: for averages, which a rest of correlation does not bias.
        n_stored: Stored frames of the last model.
    """

    samples: tuple[PhaseSample, ...]
    last: Frames
    n_stored: int

    @property
    def last_energies(self) -> FloatArray:
        """Energies of the last frames under their own model, eV, shape (n_last,)."""
        sample = self.samples[-1]
        return np.asarray(sample.energies[sample.model])


class Library:
    """The models and samples of one calibration step.

    Attributes:
        models: Oldest first; the last is the current one.
        sources: All samples.
    """

    def __init__(self, models: tuple[Model, ...], sources: tuple[Source, ...]) -> None:
        self.models = models
        self.sources = sources

    @classmethod
    def load(cls, folder: Path, task: CalibrationStepTask) -> Library:
        """Read the files of a task and check that they belong together.

        Raises:
            InputError: The models have no parameters to calibrate.
            DataError: A file is missing or broken, models differ in more than their parameters, or a sample
                was made by another model than the task says.
        """
        models = tuple(load_model(folder / name) for name in task.models)
        if not models[0].parameter_names:
            raise InputError(f"{task.models[0]} has no parameters to calibrate; train some of its functions")
        for name, model in zip(task.models, models, strict=True):
            if structure(model) != structure(models[0]):
                raise DataError(f"{name} differs from {task.models[0]} in more than its parameters")
        return cls(models, tuple(_load_source(folder, entry, models) for entry in task.samples))

    @property
    def current(self) -> int:
        """Index of the current model."""
        return len(self.models) - 1

    def select(self, state: State, model: int) -> list[Source]:
        """Return the samples of a state under one model."""
        return [source for source in self.sources if source.model == model and source.state == state]

    def temperatures(self, model: int, phases: Iterable[str], pressure_gpa: float) -> list[float]:
        """Return the temperatures, K, ascending, where a model has samples of all phases at a pressure."""
        sampled = [
            {
                source.state.temperature_k
                for source in self.sources
                if source.model == model and source.state == state_of(phase, source.state[1], pressure_gpa)
            }
            for phase in phases
        ]
        return sorted(set.intersection(*sampled))

    def enthalpy(self, state: State, model: int) -> Uncertain:
        """Return the mean U + PV, eV/atom."""
        return self._mean(state, model, "enthalpy")

    def volume(self, state: State, model: int) -> Uncertain:
        """Return the mean volume, Å³/atom."""
        return self._mean(state, model, "volume")

    def frames(self, state: State, drivers: Sequence[int], models: Iterable[int]) -> StateFrames:
        """Return frames of a state with their energies.

        Args:
            state: Phase, temperature and pressure.
            drivers: Indices of models that sampled it, oldest first.
            models: Indices of the models to evaluate; rows of others are nan.

        Raises:
            DataError: Printed energies are not those of the model that is said to have printed them.
            NumericError: A model has no finite energy for a frame.
        """
        sources = [source for model in drivers for source in self.select(state, model)]
        thinned = [s.sample.take(subsample(s.sample.n_frames, s.enthalpy.inefficiency)) for s in sources]
        batch = frames_from_sample(_merge(thinned), max(model.cutoff for model in self.models))
        table = np.full((len(self.models), batch.n_frames), np.nan)
        prepared = prepare(self.models[0], batch)  # the models differ in their parameters only
        for model in models:
            table[model] = prepared.energies(self.models[model].theta)
            if not np.isfinite(table[model]).all():
                n_bad = int(np.sum(~np.isfinite(table[model])))
                raise NumericError(f"model {model} has no finite energy for {n_bad} of the frames of {state}")
        of_model: dict[int, list[NDArray[np.int64]]] = {model: [] for model in drivers}
        start = 0
        for source, sample in zip(sources, thinned, strict=True):
            columns = np.arange(start, start + sample.n_frames)
            if not self.models[source.model].complete:  # the frozen base is what was printed beyond the driving model
                table[:, columns] += sample.energies - table[source.model, columns]
            check_energies(source, sample.energies, table[source.model, columns])
            of_model[source.model].append(columns)
            start += sample.n_frames
        columns_of = {model: np.concatenate(columns) for model, columns in of_model.items()}
        last = drivers[-1]
        return StateFrames(
            samples=tuple(
                PhaseSample(model, state.temperature_k, state.pressure_gpa, table[:, columns], batch.volumes[columns])
                for model, columns in columns_of.items()
            ),
            last=batch.take(columns_of[last]),
            n_stored=sum(source.sample.n_frames for source in self.select(state, last)),
        )

    def _mean(self, state: State, model: int, name: str) -> Uncertain:
        """Return the mean of a property over the samples of a state, weighted by their independent frames."""
        sources = self.select(state, model)
        estimates: list[Estimate] = [getattr(source, name) for source in sources]
        total = sum(estimate.n_effective for estimate in estimates)
        mean = Uncertain(0.0)
        for source, estimate in zip(sources, estimates, strict=True):
            part = Uncertain(estimate.value, {f"{name}:{source.file}": estimate.sigma})
            mean = mean + part.scaled(estimate.n_effective / total)
        return mean


def check_energies(source: Source, printed: FloatArray, computed: FloatArray) -> None:
    """Check that printed energies are the model's own.

    Raises:
        DataError: They differ by more than :data:`ENERGY_TOLERANCE_EV` per atom.
    """
    worst = float(np.abs(printed - computed).max()) / source.sample.n_atoms
    if not worst <= ENERGY_TOLERANCE_EV:
        raise DataError(
            f"{source.file}: the printed energies of {source.state} differ by up to {worst:.2g} eV/atom from those of "
            f"model {source.model}; the engine did not run this model as phasecal computes it"
        )


def _load_source(folder: Path, entry: SampleFile, models: tuple[Model, ...]) -> Source:
    """Read a sample and check that its model made it."""
    sample = Sample.load(folder / entry.file)
    model = models[entry.model]
    if sample.model_hash != model.hash:
        raise DataError(
            f"{entry.file}: made by model {sample.model_hash[:12]}, but the task says by model {entry.model}, which is "
            f"{model.hash[:12]}"
        )
    if sample.elements != model.elements:
        raise DataError(f"{entry.file}: its elements are {sample.elements}, those of the model {model.elements}")
    source = Source(entry.file, entry.model, sample)
    if model.complete:
        few = sample.take(np.arange(min(_CHECKED_FRAMES, sample.n_frames)))
        check_energies(source, few.energies, energies(model, frames_from_sample(few, model.cutoff)))
    return source


def _merge(samples: list[Sample]) -> Sample:
    """Return the frames of samples of the same atoms as one sample.

    Raises:
        DataError: The samples hold different atoms.
    """
    first = samples[0]
    for other in samples[1:]:
        if not np.array_equal(other.species, first.species):
            raise DataError(f"samples of {first.phase} hold different atoms; use one cell size for all rounds")
    return replace(
        first,
        positions=np.concatenate([sample.positions for sample in samples]),
        cells=np.concatenate([sample.cells for sample in samples]),
        energies=np.concatenate([sample.energies for sample in samples]),
        steps=np.concatenate([sample.steps for sample in samples]),
    )
