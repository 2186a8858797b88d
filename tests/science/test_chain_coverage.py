"""The intervals of the calibration step are honest: repeats on the toy model, with noise in anchor and samples."""

from __future__ import annotations

import numpy as np

from phasecal.calibration import states
from phasecal.calibration.chain import estimate_targets
from phasecal.calibration.schema import read_task
from phasecal.freeenergy import phase_mbar

TARGET_K = 1326.24
REPEATS = 24
ANCHOR_SIGMA_K = 3.0


def boundary(temperature, sigma):
    return {"phases": ["fcc", "liquid"], "pressure_gpa": 0.0, "temperature_k": temperature, "sigma_k": sigma}


def test_temperature_of_the_current_model_is_covered(toy, monkeypatch):
    """Anchor on model 0, carried over 150 K and along a chain of three models; the frames are independent."""
    for module in (states, phase_mbar):  # one shape, one compilation
        monkeypatch.setattr(module, "subsample", lambda n, g: np.arange(n))
    thetas = [np.array([0, 0, 0, 0, 0, -0.01, -0.02, 0, 0]) * part for part in (1.0, 0.6, 0.3)]
    models = tuple(toy.make_model(theta) for theta in thetas)
    exact = [toy.Exact(theta) for theta in thetas]
    anchor_k, truth_k = exact[0].melting_k(), exact[-1].melting_k()
    task = {
        "schema": 1,
        "task": "calibration-step",
        "models": ["0", "1", "2"],
        "samples": [{"file": "none", "model": 0}],
        "targets": [boundary(TARGET_K, 0.5)],
        "tolerance_k": 2.0,
    }
    rng = np.random.default_rng(11)
    z, shares = [], []
    for _ in range(REPEATS):
        plan = [(0, round(anchor_k, 1)), (0, TARGET_K), (1, TARGET_K), (2, TARGET_K)]
        sources = [
            states.Source(f"{model}{phase}{t}", model, exact[model].sample(rng, phase, t, n_frames=60))
            for model, t in plan
            for phase in ("fcc", "liquid")
        ]
        measured = {**boundary(rng.normal(anchor_k, ANCHOR_SIGMA_K), ANCHOR_SIGMA_K), "model": 0}
        library = states.Library(models, tuple(sources))
        estimates, joined = estimate_targets(library, read_task({**task, "anchors": [measured]}))
        temperature = estimates[0].temperature
        z.append((temperature.value - truth_k) / temperature.sigma)
        shares.append(estimates[0].chain.sigma / temperature.sigma)
        assert all({key.model for key in phase.phi} == {0, 1, 2} for phase in joined.values())
    assert abs(np.mean(z)) < 4 / np.sqrt(REPEATS)
    assert 0.45 < np.mean(np.abs(z) < 1) < 0.9
    assert max(np.abs(z)) < 4
    assert 0.05 < np.mean(shares) < 0.9
