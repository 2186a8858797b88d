"""ΔH, ΔV and slopes of a titanium where experiment has its boundaries: which start has the better ones?

Usage: python workflows/fits/titanium_slopes.py MODEL.safetensors FOLDER [--prepare]

Both phases of each of the twelve targets, sampled at the target by jax-md in one batch per phase (on a GPU: see
`titanium_stability.py`). A model's boundary lies elsewhere; ΔH and ΔV change little on the way there, so that
dT/dP = T ΔV/ΔH says how its boundaries lie to those of experiment once they have been moved.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from titanium_frames import CAMPAIGN
from titanium_stability import run_in_jaxmd

from phasecal.campaign.load import load_campaign
from phasecal.campaign.tasks import Task, bulk_task, derive_seed
from phasecal.observables.bulk import BulkResult, analyse_bulk
from phasecal.potentials.base import load_model
from phasecal.units import EV_PER_A3_IN_GPA

TARGETS_K = {  # 0 to 5 GPa; Wen 2021, as compiled for the published calibration
    ("hcp", "bcc"): (1154.7, 1124.5, 1094.4, 1064.3, 1034.2, 1005.0),
    ("bcc", "liquid"): (1940.5, 1979.4, 2011.3, 2041.4, 2071.6, 2092.9),
}
BULK = {"n_atoms": 250, "melt_steps": 6000, "equilibration_steps": 2000, "production_steps": 15000}
MELT_FACTOR, SEED = 1.5, 3


def tasks(timestep_fs: float) -> dict[tuple[str, float, float], Task]:
    """Return the runs: each phase at the temperature, K, and pressure, GPa, of its targets."""
    campaign = load_campaign(CAMPAIGN, task="transition").to_dict()
    campaign["phases"]["liquid"] = {"melt": "bcc"}
    campaign["protocol"] |= {"bulk": BULK | {"sample_every": 500, "thermo_every": 10}, "melt_factor": MELT_FACTOR}
    states = [
        (phase, temperature, float(pressure))
        for phases, temperatures in TARGETS_K.items()
        for pressure, temperature in enumerate(temperatures)
        for phase in phases
    ]
    return {
        (phase, temperature, pressure): bulk_task(
            campaign,
            phase=phase,
            temperature_k=temperature,
            pressure_gpa=pressure,
            timestep_fs=timestep_fs,
            seed=derive_seed(SEED, phase, temperature, pressure),
        )
        for phase, temperature, pressure in states
    }


def slope(low: BulkResult, high: BulkResult, temperature_k: float) -> str:
    """Return ΔH, ΔV and T ΔV/ΔH with their standard errors."""
    if bad := [result for result in (low, high) if not result.accepted]:
        return "; ".join(reason for result in bad for reason in result.rejections)
    enthalpies, volumes = ([getattr(r, name) for r in (low, high)] for name in ("enthalpy_ev", "volume_a3"))
    dh, dv = (values[1].value - values[0].value for values in (enthalpies, volumes))
    sh, sv = (float(np.hypot(values[0].sigma, values[1].sigma)) for values in (enthalpies, volumes))
    gradient = temperature_k * dv / dh / EV_PER_A3_IN_GPA
    error = abs(gradient) * float(np.hypot(sh / dh, sv / dv))
    return (
        f"dH {1e3 * dh:6.1f} +- {1e3 * sh:.1f} meV/atom   dV {dv:6.3f} +- {sv:.3f} A^3/atom   "
        f"dT/dP {gradient:6.1f} +- {error:.1f} K/GPa"
    )


def main(file: Path, folder: Path, only: str = "") -> None:
    """Sample all states, and print one line per target."""
    model = load_model(file)
    wanted = tasks(model.timestep_fs)
    outputs = run_in_jaxmd(list(wanted.values()), model, folder, prepare=only == "--prepare")
    results = {
        state: analyse_bulk(output.sample, output.thermo, task, solid=task["phase"] != "liquid")
        for (state, task), output in zip(wanted.items(), outputs, strict=False)
    }
    for phases, temperatures in TARGETS_K.items() if results else ():
        for pressure, temperature in enumerate(temperatures):
            low, high = (results[phase, temperature, float(pressure)] for phase in phases)
            print(f"{phases[0]}-{phases[1]:<7} {temperature:6.1f} K {pressure} GPa  {slope(low, high, temperature)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
