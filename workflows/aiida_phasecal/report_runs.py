"""What the runs of a campaign left, for the report: interface runs, what was rejected, what each part cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from aiida import orm

from aiida_phasecal.query import process_type
from aiida_phasecal.record import atom_steps_of, children_of
from aiida_phasecal.tree import OLDEST_FIRST, Process, batches, dicts_of
from aiida_phasecal.workchains.analysis import thermo_of
from aiida_phasecal.workchains.common import task_as_run
from phasecal.errors import DataError
from phasecal.freeenergy.coexistence import kept_lines, two_phase_order
from phasecal.observables.ensemble import ensemble_temperature
from phasecal.observables.slab import solid_window
from phasecal.observables.statistics import block_errors

MAX_POINTS = 800
PARTS = {
    "TransitionWorkChain": "measuring boundaries",
    "SampleWorkChain": "sampling phases",
    "VerifyWorkChain": "verification",
}
"""What the direct children of a campaign are called, by their class."""


def describe_anchor(label: str, run: orm.WorkChainNode) -> dict:
    """One measured transition with the series of its replicas."""
    transition = run.outputs.transition.get_dict()
    keys = ("model_hash", "temperature_k", "sigma_k", "seeds", "phases", "pressure_gpa")
    replicas = []
    for md in last_replicas(run):
        replica = next(r for r in transition["replicas"] if r["seed"] == md.inputs.task["seed"])
        thermo, task = thermo_of(md.outputs.thermo), task_as_run(md).get_dict()
        every = max(1, len(thermo["temp"]) // MAX_POINTS)
        mean = replica["temperature_k"] or {}
        replicas.append(
            {
                "pk": md.pk,
                "seed": replica["seed"],
                "time_ps": (thermo["step"][::every] * task["timestep_fs"] / 1000).tolist(),
                "temperature_k": thermo["temp"][::every].tolist(),
                "solid_fraction_time_ps": replica["time_ps"],
                "solid_fraction": replica["solid_fraction"],
                "solid_window": solid_window(int(task["n_normal"])),
                "temperature_mean_k": mean.get("value"),
                "temperature_sigma_k": mean.get("sigma"),
                **blocks(thermo, task, transition["n_atoms"]),
                **profile(md.outputs.sample.get_sample(), task),
            }
        )
    return {"label": label, "pk": run.pk, "replicas": replicas, **{key: transition[key] for key in keys}}


def last_replicas(run: orm.WorkChainNode) -> list[orm.WorkChainNode]:
    """MD work chains of the replicas behind a transition's temperature, in the order of its seeds.

    Only a box at constant enthalpy has a temperature to show; there are none for other methods.
    """
    if run.outputs.transition["method"] != "coexistence":
        return []
    (coexistence,) = children_of(run, process_type("phasecal.coexistence"))
    by_seed = {md.inputs.task["seed"]: md for md in children_of(coexistence, process_type("phasecal.md"))}
    return [by_seed[seed] for seed in run.outputs.transition["seeds"]]


def blocks(thermo: dict, task: dict, n_atoms: int) -> dict:
    """Errors of the mean temperature of an interface run by block length; nothing of a run that is too short."""
    temperatures = ensemble_temperature(thermo, task["timestep_fs"], n_atoms)[kept_lines(thermo, task)]
    try:
        lengths, errors = block_errors(temperatures)
    except DataError:
        return {}
    line_ps = float(thermo["step"][1] - thermo["step"][0]) * task["timestep_fs"] / 1000
    return {"block_ps": (lengths * line_ps).tolist(), "block_sigma_k": errors.tolist()}


def profile(sample, task: dict) -> dict:
    """In-plane order along the box of an interface run in its first and last frame."""
    order = two_phase_order(sample.take(np.array([0, -1])), task).profile
    z = (np.arange(order.shape[1]) + 0.5) / order.shape[1]
    return {"profile_z": z.tolist(), "profile_first": order[0].tolist(), "profile_last": order[1].tolist()}


def rejections(tree: Mapping[int, Process]) -> list[dict]:
    """Runs of a campaign that an analysis rejected, each once, oldest first: what it was, PK, seed and reasons."""
    found: dict[int, dict] = {}
    owners = runs_by_seed(tree)
    for batch in batches(tree):
        query = orm.QueryBuilder()
        query.append(orm.CalcFunctionNode, filters={"id": {"in": batch}}, tag="analysis")
        columns = ["attributes.replicas", "attributes.phases", "attributes.pressure_gpa"]
        known = {"attributes": {"has_key": "replicas"}}
        query.append(orm.Dict, with_incoming="analysis", filters=known, project=columns)
        for replicas, phases, pressure in query.order_by({"analysis": OLDEST_FIRST}).iterall():
            what = f"interface run of {'–'.join(phases)} at {pressure:g} GPa"
            for replica in replicas:
                seed, reasons = replica["seed"], replica.get("rejections")
                if reasons:
                    found[seed] = {"what": what, "seed": seed, "reasons": reasons, "pk": owners.get(seed)}
    return list(found.values())


def runs_by_seed(tree: Mapping[int, Process]) -> dict[int, int]:
    """PK of the job that ran with a seed; of a restarted run the last one."""
    jobs = [process.pk for process in tree.values() if process.is_job]
    tasks = dicts_of(jobs, "task", inputs=True)
    return {tasks[pk]["seed"]: pk for pk in jobs if "seed" in tasks.get(pk, {})}


def cost_parts(pk: int, tree: Mapping[int, Process]) -> list[dict]:
    """Jobs of molecular dynamics, atom-steps and job time of each part of a campaign, the first part first."""
    jobs = [process for process in tree.values() if process.is_job]
    atom_steps = atom_steps_of([job.pk for job in jobs])
    found: dict[str, dict] = {}
    for job in jobs:
        if job.pk in atom_steps:
            name = part_of(pk, job, tree)
            entry = found.setdefault(name, {"name": name, "jobs": 0, "atom_steps": 0, "job_s": 0.0})
            entry["jobs"] += 1
            entry["atom_steps"] += atom_steps[job.pk]
            entry["job_s"] += round((job.mtime - job.ctime).total_seconds(), 1)
    return list(found.values())


def part_of(pk: int, job: Process, tree: Mapping[int, Process]) -> str:
    """Which part of a campaign a job belongs to: that of the campaign's child above it."""
    process = job
    while process.caller not in (pk, None):
        process = tree[process.caller]
    return PARTS.get(process.process_label, process.process_label)
