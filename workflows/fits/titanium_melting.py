"""Roughly, where does a student melt? Boxes of 1008 atoms with bcc and liquid, as a campaign's `locate` makes them.

Usage: python workflows/fits/titanium_melting.py MODEL.safetensors FOLDER GUESS_K PRESSURE_GPA [REPLICAS]

Replicas start alternately above and below the guess (three minutes of one core each); when none keeps both phases, the
guess that is printed is the next one to try. Campaigns do the same with a record of it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from titanium_frames import CAMPAIGN
from titanium_stability import run_in_lammps

from phasecal.campaign.load import load_campaign
from phasecal.campaign.tasks import coexistence_parameters, coexistence_tasks
from phasecal.freeenergy.coexistence import analyse_replica, combine_replicas
from phasecal.potentials.base import load_model

MELT_FACTOR, MELT = 1.5, {"melt_steps": 2500, "cool_steps": 1000}
"""As in `titanium-mlip.yaml`."""


def main(file: Path, folder: Path, guess_k: float, pressure_gpa: float, replicas: int) -> None:
    """Run the replicas one after the other."""
    os.environ["OMP_NUM_THREADS"] = "1"
    model, campaign = load_model(file), load_campaign(CAMPAIGN, task="transition").to_dict()
    campaign["protocol"]["melt_factor"] = MELT_FACTOR
    parameters = coexistence_parameters(
        campaign,
        phases=["bcc", "liquid"],
        pressure_gpa=pressure_gpa,
        guess_k=guess_k,
        timestep_fs=model.timestep_fs,
        stages=["locate"],
        label=f"melting:{pressure_gpa}:{guess_k}",
    )
    stage = parameters["stages"][0] | MELT | {"replicas": replicas}
    done = []
    for task in coexistence_tasks(parameters, stage=stage, temperature_k=guess_k, attempt=0):
        output = run_in_lammps(task, model, folder / str(task["seed"]))
        done.append(analyse_replica(output.sample, output.thermo, task))
        print(f"{done[-1].outcome}, seed {done[-1].seed}: {done[-1].temperature_k}, {done[-1].rejections}", flush=True)
    found = combine_replicas(done)
    print(f"{pressure_gpa} GPa: {found.temperature_k} +- {found.sigma_k} K, next guess {found.next_guess_k} K")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), int([*sys.argv, 2][5]))
