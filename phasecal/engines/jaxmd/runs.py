"""Runs of the bulk task: melt, equilibrate, sample; one or several folders at once, continued where they were killed.

Stages and their numbers are those of ``bulk.in`` of the LAMMPS engine: velocities of twice the starting temperature for
a crystal at rest, a melting stage under pressure for liquids, equilibration, and production with thermodynamic lines
and frames. Neighbour lists are renewed at every checkpoint: a run that is continued there repeats the rest bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from phasecal.engines.jaxmd.job import (
    LOG_FILE,
    SAMPLE_FILE,
    THERMO_FILE,
    Checkpoint,
    Job,
    read_checkpoints,
    read_job,
    save_checkpoint,
    write_npz,
)
from phasecal.engines.jaxmd.output import read_output
from phasecal.engines.jaxmd.simulation import Simulation, at_rest, thermal_momenta
from phasecal.engines.jaxmd.state import COLUMNS, Ensemble, State
from phasecal.errors import EngineError, InputError, PhasecalError
from phasecal.units import BAR_PER_GPA, EV_PER_A3_IN_GPA, KB

STAGES = ("melt", "equilibrate", "production")
PRODUCTION = len(STAGES) - 1
SHARED = (
    *("barostat", "melt_steps", "equilibration_steps", "production_steps"),
    *("thermo_every", "sample_every", "restart_every"),
)
"""Entries of the task that must be the same in a batch."""


def run(folders: Sequence[Path]) -> None:
    """Run the tasks in one or several folders together, or continue them; afterwards each holds its sample.

    Raises:
        InputError: The tasks cannot be done, or not together.
        EngineError: The run blew up.
        DataError: A model or a checkpoint is not readable.
    """
    jobs = [read_job(folder) for folder in folders]
    _check_batch(jobs)
    with _logged(jobs):
        _Batch(jobs).run()
        for job in jobs:
            output = read_output(job.folder, job.task.model_dump(by_alias=True), job.model.hash, job.model.elements)
            if output.sample is not None:
                output.sample.save(job.folder / SAMPLE_FILE)
            write_npz(job.folder / THERMO_FILE, **output.thermo)
        _log(jobs, "phasecal stage: done")


def _check_batch(jobs: Sequence[Job]) -> None:
    """Replicas of a batch share model, number of atoms, numbers of steps and barostat."""
    first = jobs[0]
    for job in jobs[1:]:
        where = f"{job.folder} cannot run together with {first.folder}: "
        if job.model.hash != first.model.hash:
            raise InputError(f"{where}another model")
        if len(job.positions) != len(first.positions):
            raise InputError(f"{where}{len(job.positions)} and {len(first.positions)} atoms; choose the same n_atoms")
        if different := [key for key in SHARED if getattr(job.task, key) != getattr(first.task, key)]:
            raise InputError(f"{where}different {', '.join(different)}")


@contextmanager
def _logged(jobs: Sequence[Job]) -> Iterator[None]:
    """Log the beginning, and an error as the reader of the log expects it."""
    device = jax.devices()[0]
    _log(jobs, "phasecal stage: start")
    _log(jobs, f"{len(jobs)} replicas of {len(jobs[0].positions)} atoms on {device.platform} ({device.device_kind})")
    try:
        yield
    except PhasecalError as error:
        _log(jobs, f"ERROR: {error}")
        raise


def _log(jobs: Sequence[Job], line: str) -> None:
    """Append a line to the log of every folder."""
    for job in jobs:
        with (job.folder / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class _Batch:
    """Runs that move together, from their newest common checkpoint on."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.task = jobs[0].task
        self.parameters = [job.task.parameters() for job in jobs]
        points = [read_checkpoints(job) for job in jobs]
        common = sorted(set.intersection(*(set(point) for point in points)))
        self.stage, self.step = common[-1] if common else (0, 0)
        resumed = [point[common[-1]] for point in points] if common else []
        self.simulation = Simulation(
            jobs[0].model,
            np.stack([job.species for job in jobs]),
            barostat=self.task.barostat,
            width=resumed[0].width if resumed else 0,
        )
        self.rows: list[np.ndarray] = []
        self.frames: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.started = time.perf_counter()
        if resumed:
            self.state = State(*(jnp.stack(parts) for parts in zip(*(point.state for point in resumed), strict=True)))
            self.simulation.renew_lists(self.state)
            self.simulation.share_memory(self.state)
        else:
            self.state = self._first_state()

    def run(self) -> None:
        """Run the stages that are left."""
        steps = [self.task.melt_steps if self.task.melt else 0, self.task.equilibration_steps]
        for stage, n_steps in enumerate([*steps, self.task.production_steps]):
            if stage < self.stage:
                continue
            if stage > self.stage:
                self.stage, self.step = stage, 0
                self._settle()
            if n_steps:
                self._run_stage(n_steps)

    def _run_stage(self, n_steps: int) -> None:
        """Run one stage to its end, with its thermodynamic lines and frames, and a checkpoint now and then."""
        _log(self.jobs, f"phasecal stage: {STAGES[self.stage]}")
        production = self.stage == PRODUCTION
        every = [self.task.restart_every, *([self.task.thermo_every] if production else [])]
        ensemble = self._ensemble()
        if production and self.step == 0:
            self._record()
        while self.step < n_steps:
            target = min(n_steps, *(self.step - self.step % interval + interval for interval in every))
            self.state = self.simulation.advance(self.state, ensemble, target - self.step)
            self.step = target
            if production and (self.step % self.task.thermo_every == 0 or self.step == n_steps):
                self._record()
            if self.step % self.task.restart_every == 0 or self.step == n_steps:
                self._checkpoint(n_steps)

    def _first_state(self) -> State:
        """The crystals, with velocities of their starting temperature."""
        masses = np.asarray(self.simulation.atoms.masses)
        momenta = [
            thermal_momenta(mass, float(parameters["start_temperature"]), int(parameters["seed"]))
            for mass, parameters in zip(masses, self.parameters, strict=True)
        ]
        return self.simulation.start(
            np.stack([job.positions for job in self.jobs]),
            np.stack([job.edges for job in self.jobs]),
            np.stack(momenta),
        )

    def _settle(self) -> None:
        """Begin a stage: chains and boxes at rest, and no total momentum."""
        momenta = at_rest(np.asarray(self.state.momenta), np.asarray(self.simulation.atoms.masses))
        self.state = self.state._replace(
            momenta=jnp.asarray(momenta),
            edge_momenta=jnp.zeros_like(self.state.edge_momenta),
            thermostat=jnp.zeros_like(self.state.thermostat),
            barostat=jnp.zeros_like(self.state.barostat),
        )

    def _ensemble(self) -> Ensemble:
        """Temperatures and pressures of the stage, and the time constants of the LAMMPS engine."""
        prefix = "melt_" if STAGES[self.stage] == "melt" else ""

        def column(name: str, factor: float) -> jax.Array:
            return jnp.asarray([float(parameters[name]) * factor for parameters in self.parameters])

        return Ensemble(
            kT=column(f"{prefix}temperature", KB),
            pressure=column(f"{prefix}pressure_bar", 1.0 / (BAR_PER_GPA * EV_PER_A3_IN_GPA)),
            timestep=column("timestep_ps", 1000.0),
            thermostat_time=column("tdamp_ps", 1000.0),
            barostat_time=column("pdamp_ps", 1000.0),
        )

    def _record(self) -> None:
        """Keep a thermodynamic line, and a frame when it is time for one.

        Raises:
            EngineError: A number is not finite.
        """
        observed = self.simulation.observe(self.state)
        if not np.isfinite(observed).all():
            raise EngineError(f"Non-numeric energy or pressure at step {self.step}: the run blew up")
        self.rows.append(np.column_stack([np.full(len(observed), self.step), observed]))
        if self.step % self.task.sample_every == 0:
            positions = np.asarray(self.state.positions, dtype=np.float32)
            self.frames.append((np.full(len(observed), self.step), positions, np.asarray(self.state.edges)))

    def _checkpoint(self, n_steps: int) -> None:
        """Write what was recorded since the last checkpoint, then the state; log how far the run is."""
        self.simulation.renew_lists(self.state)
        observed = self.simulation.observe(self.state)
        for index, job in enumerate(self.jobs):
            if self.stage == PRODUCTION:
                self._write_part(index, job)
            state = State(*(np.asarray(part)[index] for part in self.state))
            save_checkpoint(job, Checkpoint(self.stage, self.step, self.simulation.width, state))
            temperature, volume = (observed[index, COLUMNS.index(name)] for name in ("temp", "volume"))
            wall = time.perf_counter() - self.started
            _log(
                [job],
                f"step {self.step} of {n_steps}: {temperature:.1f} K, {volume / len(job.positions):.3f} A^3/atom, "
                f"wall {wall:.2f} s",
            )
        self.rows, self.frames = [], []

    def _write_part(self, index: int, job: Job) -> None:
        """Write lines and frames of one replica."""
        n_atoms = len(job.positions)
        steps, positions, edges = zip(*self.frames, strict=True) if self.frames else ((), (), ())
        write_npz(
            job.folder / f"production.{self.step:010d}.npz",
            thermo=np.array([rows[index] for rows in self.rows]).reshape(-1, 1 + len(COLUMNS)),
            steps=np.array([step[index] for step in steps], dtype=np.int64),
            positions=np.array([frame[index] for frame in positions], dtype=np.float32).reshape(-1, n_atoms, 3),
            edges=np.array([edge[index] for edge in edges], dtype=np.float64).reshape(-1, 3),
        )
