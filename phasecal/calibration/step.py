"""One round of a calibration: from models, samples and anchors to ΔG of the current model and the next model.

The estimate (:mod:`~phasecal.calibration.chain`) judges the current model; the step (:mod:`~phasecal.difftre.steps`)
proposes the next. Both use the same frames, and an optimiser drives noise to zero, so the forecast for the next model
is a diagnostic: only new samples, and in the end a fresh measurement, count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecal.calibration.chain import BoundaryEstimate, estimate_targets
from phasecal.calibration.joined import JoinedStates
from phasecal.calibration.protected import ColdProtection, cold_properties
from phasecal.calibration.reference import Reference
from phasecal.calibration.schema import CalibrationStepTask, StepSettings, read_task
from phasecal.calibration.states import Library, State
from phasecal.calibration.stop import is_converged
from phasecal.calibration.uncertain import covariance
from phasecal.difftre import comparison
from phasecal.difftre.problem import PhaseState, Problem, SoftValue, Step, Target
from phasecal.difftre.steps import Adam, GaussNewton, StepMethod
from phasecal.freeenergy.carry import clapeyron_slope
from phasecal.potentials.base import Frames, Model, force_jacobian
from phasecal.potentials.prepared import Prepared, prepare

MODEL_FILE = "next_model.safetensors"

PRIOR_RELATIVE = 0.1
"""How far from experiment, relative to T, the boundary of an uncalibrated model may be expected (one σ)."""

FORCE_COMPONENTS = 6000
"""Components of forces that the prior looks at, of all frames together; it is a scale of changes, not a measurement."""

FloatArray = NDArray[np.float64]


def run(folder: Path, data: dict[str, Any]) -> dict[str, Any]:
    """Run the task ``calibration-step`` and write the next model into ``folder``.

    Args:
        folder: Where the files of the task are.
        data: The content of the task file (:mod:`~phasecal.calibration.schema`).

    Returns:
        The result, JSON-able.

    Raises:
        PhasecalError: What is wrong, with a remedy (see :func:`~phasecal.calibration.chain.estimate_targets`
            and :class:`~phasecal.difftre.steps.StepMethod`).
    """
    task = read_task(data)
    library = Library.load(folder, task)
    estimates, joined = estimate_targets(library, task)
    states = tuple(joined)
    protection = ColdProtection.build(library.models[0], task.protect) if task.protect else None
    reference = Reference.read(folder / task.reference, library.models[-1]) if task.reference else None
    problem = _problem(library, task, estimates, joined, protection, reference)
    step = _method(task.step).step(problem)
    model = library.models[-1]
    following = model.with_theta(step.theta)
    following.save(folder / MODEL_FILE)
    targets = [
        _target_result(estimate, float(forecast), float(sigma))
        for estimate, forecast, sigma in zip(estimates, step.delta_g_ev, step.delta_g_sigma_ev, strict=True)
    ]
    forecasts_k = [target["predicted_temperature_k"] for target in targets] if step.fraction == 1 else None
    return {
        "model_file": MODEL_FILE,
        "model_hash": following.hash,
        "parent": model.hash,
        "converged": is_converged(estimates, task.tolerance_k, forecasts_k),
        "targets": targets,
        "phases": [_phase_result(state, joined[state], i, step) for i, state in enumerate(states)],
        "step": {
            "method": task.step.method,
            "fraction": step.fraction,
            "iterations": step.n_iterations,
            "theta_norm": float(np.linalg.norm(step.theta)),
            "theta_change_norm": float(np.linalg.norm(step.theta - model.theta)),
        },
        "protected": [] if protection is None else protection.report(step.theta),
        "force_rms_change_ev_a": comparison.rms_force_change(library.models[0], following, _few(joined)),
        "reference": {} if reference is None else reference.report(library.models[0], following),
        "cold": {} if protection is None else _cold(protection, library.models[0], model, following),
    }


def _method(settings: StepSettings) -> StepMethod:
    """Return the way to step that the task asks for."""
    if settings.method == "adam":
        return Adam(learning_rate=settings.learning_rate, n_eff_floor=settings.n_eff_floor)
    return GaussNewton(max_sd=settings.max_sd)


def _problem(
    library: Library,
    task: CalibrationStepTask,
    estimates: Sequence[BoundaryEstimate],
    joined: Mapping[State, JoinedStates],
    protection: ColdProtection | None,
    reference: Reference | None,
) -> Problem:
    """Return what the step starts from."""
    model = library.models[-1]
    states = tuple(joined)
    delta_g = [estimate.delta_g for estimate in estimates]
    experimental = [estimate.delta_s * estimate.target.sigma_k for estimate in estimates]
    frames = _few(joined) if reference is None else reference.frames
    return Problem(
        theta=model.theta,
        states=tuple(_phase_state(model, state, joined[state]) for state in states),
        targets=tuple(_target(library, task, estimate, states) for estimate in estimates),
        covariance=covariance(delta_g) + np.diag(np.square(experimental)),
        force_rows=_force_rows(model, frames) if task.step.prior == "functional" else np.zeros((0, len(model.theta))),
        protection=protection,
        prior=task.step.prior,
    )


def _phase_state(model: Model, state: State, joined: JoinedStates) -> PhaseState:
    """Return the current model's frames of one state."""
    frames = joined.frames
    prepared = prepare(model, frames)
    base = np.zeros(frames.n_frames) if model.complete else joined.energies - prepared.energies(model.theta)
    return PhaseState(
        phase=state.phase,
        temperature_k=state.temperature_k,
        pressure_gpa=state.pressure_gpa,
        n_atoms=frames.n_atoms,
        volumes=frames.volumes,
        current=joined.energies,
        energies=partial(_whole_energies, prepared, base),
        gradients=prepared.gradients,
    )


def _whole_energies(prepared: Prepared, base: FloatArray, theta: FloatArray) -> FloatArray:
    """Return the energies of frames at θ, a frozen base included, eV, shape (n_frames,)."""
    return prepared.energies(theta) + base


def _target(
    library: Library, task: CalibrationStepTask, estimate: BoundaryEstimate, states: tuple[State, ...]
) -> Target:
    """Return one target of the step; ΔH and ΔV should stay near those of the oldest model sampled there.

    Not ΔV where experiment says how the boundary goes on with pressure: by Clausius and Clapeyron that is ΔV, and what
    the original model has would hold the slope where it is wrong.
    """
    low, high = estimate.low, estimate.high
    oldest = min(
        model for model in range(len(library.models)) if library.select(low, model) and library.select(high, model)
    )
    delta_h = library.enthalpy(high, oldest).value - library.enthalpy(low, oldest).value
    delta_v = library.volume(high, oldest).value - library.volume(low, oldest).value
    volume_tolerance = task.step.volume_tolerance * max(abs(delta_v), estimate.delta_v.sigma)
    slope_is_known = sum(target.phases == estimate.target.phases for target in task.targets) > 1
    return Target(
        low=states.index(low),
        high=states.index(high),
        delta_g_ev=estimate.delta_g.value,
        prior_ev=PRIOR_RELATIVE * estimate.target.temperature_k * estimate.delta_s,
        enthalpy=SoftValue(estimate.delta_h.value, delta_h, task.step.enthalpy_tolerance * abs(delta_h)),
        volume=None if slope_is_known else SoftValue(estimate.delta_v.value, delta_v, volume_tolerance),
    )


def _force_rows(model: Model, batches: Sequence[Frames]) -> FloatArray:
    """Return R with ‖R δθ‖² the mean square change of a force component, mean over batches of frames.

    Returns:
        Shape (n_rows, n_parameters).
    """
    n_components = max(1, FORCE_COMPONENTS // sum(frames.n_frames for frames in batches))
    rows = [force_jacobian(model, frames, n_components=n_components) for frames in batches]
    return np.concatenate([part / math.sqrt(len(part) * len(batches)) for part in rows])


def _few(joined: Mapping[State, JoinedStates]) -> list[Frames]:
    """Return a few frames of each state of the current model."""
    return [comparison.few(states.frames) for states in joined.values()]


def _cold(protection: ColdProtection, original: Model, current: Model, following: Model) -> dict[str, Any]:
    """Return what each protected structure is like at rest under three models."""
    models = {"original": original, "current": current, "next": following}
    return {
        entry.name: {
            "kind": entry.kind,
            **{name: cold_properties(model, entry, reference) for name, model in models.items()},
        }
        for entry, reference in zip(protection.entries, protection.references, strict=True)
    }


def _target_result(estimate: BoundaryEstimate, forecast_ev: float, forecast_sigma_ev: float) -> dict[str, Any]:
    """Return what is known about one boundary of the current model, and the forecast for the next."""
    target, temperature = estimate.target, estimate.temperature
    t, h = target.temperature_k, estimate.delta_h.value
    delta_s = estimate.delta_s
    sigma_s = (estimate.delta_h - estimate.delta_g).sigma / t
    slope, slope_sigma = clapeyron_slope((estimate.delta_v.value, estimate.delta_v.sigma), (delta_s, sigma_s))
    return {
        "phases": list(target.phases),
        "pressure_gpa": target.pressure_gpa,
        "target_k": t,
        "delta_g_ev": estimate.delta_g.value,
        "delta_g_sigma_ev": estimate.delta_g.sigma,
        "delta_h_ev": h,
        "delta_h_sigma_ev": estimate.delta_h.sigma,
        "delta_s_ev_k": delta_s,
        "delta_s_sigma_ev_k": sigma_s,
        "delta_v_a3": estimate.delta_v.value,
        "delta_v_sigma_a3": estimate.delta_v.sigma,
        "slope_k_gpa": slope,
        "slope_sigma_k_gpa": slope_sigma,
        "temperature_k": temperature.value,
        "sigma_k": temperature.sigma,
        "anchor_sigma_k": estimate.anchor.sigma,
        "carry_sigma_k": estimate.carry_sigma_k,
        "chain_sigma_k": estimate.chain.sigma,
        "anchor_pressures_gpa": list(estimate.anchors.pressures_gpa),
        "anchor_chi2": estimate.anchors.chi2,
        "anchor_dof": estimate.anchors.dof,
        "mbar_from_k": estimate.anchors.start_k,
        "predicted_temperature_k": t * h / (h - forecast_ev),
        "predicted_sigma_k": math.hypot(temperature.sigma, forecast_sigma_ev / delta_s),
    }


def _phase_result(state: State, joined: JoinedStates, index: int, step: Step) -> dict[str, Any]:
    """Return how far the frames of one phase carry."""
    return {
        "phase": state.phase,
        "temperature_k": state.temperature_k,
        "pressure_gpa": state.pressure_gpa,
        "n_frames": joined.frames.n_frames,
        "inefficiency": joined.inefficiency,
        "n_eff": float(step.n_eff[index]),
        "sd_beta_du": float(step.spreads[index]),
        "overlap": joined.overlap,
        "overlap_matrix": joined.overlap_matrix.round(4).tolist(),
        "joined": [str(key) for key in joined.phi],
    }
