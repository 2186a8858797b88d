"""What a calibration changed besides the boundary, for the report: properties before and after, and structure."""

from __future__ import annotations

import numpy as np

from phasecal.campaign.tasks import crystals_of, is_liquid
from phasecal.errors import DataError
from phasecal.observables.liquid import diffusion_coefficient, rdf

AMU_PER_A3 = 1.66053906660
"""1 amu/Å³ in g/cm³ (CODATA 2018)."""
RDF_FRAMES = 100
"""Frames that g(r) is averaged over: more make no curve smoother than its line is wide."""


def properties(node, pairs: list[tuple], rounds: list[dict], final_hash: str) -> list[dict]:
    """What a calibration changed besides the boundary: cold, at 300 K, at the transition, in the liquid."""
    found = cold_properties(rounds, final_hash)
    found += room_temperature(node)
    for initial, verified in pairs:
        found += transition_properties(initial, verified)
    for entry in rounds:
        if entry["model_hash"] == final_hash:
            change = 1e3 * entry["force_rms_change_ev_a"]
            named = {"name": "force_rms_change", "unit": "meV/Å"}
            found.append({**named, "initial": None, "final": change, "final_pk": entry["pk"]})
            found += reference_properties(entry)
    return found


def reference_properties(entry: dict) -> list[dict]:
    """What the forces of the reference frames that no step saw are like, where a campaign has some."""
    reference = entry.get("reference")  # records of before there was one
    if not reference:
        return []
    made = {"unit": "meV/Å", "final_pk": entry["pk"]}
    change = 1e3 * reference["force_rms_change_ev_a"]
    found = [{**made, "name": "force_rms_change[reference]", "initial": None, "final": change}]
    if errors := reference.get("force_rms_error_ev_a"):
        pair = {"initial": 1e3 * errors["original"], "final": 1e3 * errors["next"], "initial_pk": entry["pk"]}
        found.append({**made, "name": "force_rms_error[reference]", **pair})
    return found


def is_melting(run) -> bool:
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
        values = {"initial": pair[0], "final": pair[1], "initial_pk": entry["pk"], "final_pk": entry["pk"]}
        found.append({"name": name, "unit": unit, **values, "protected": True})

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
    """Lattice parameters of crystals at 300 K; records of before they were kept have none."""
    if "room_temperature" not in node.outputs:
        return []
    results = dict(node.outputs.room_temperature.items())
    found = []
    for i, phase in enumerate(crystals_of(node.inputs.campaign.get_dict())):
        where = "300 K" if i == 0 else f"{phase} 300 K"
        for name, unit in (("a", "Å"), ("c_over_a", "1")):
            entry: dict = {"name": f"{name}[{where}]", "unit": unit}
            for role in ("initial", "final"):
                if (result := results.get(f"{role}_{phase}")) is None:
                    continue
                if estimate := result.get_dict().get("lattice", {}).get(name):
                    entry |= {role: estimate["value"], f"{role}_sigma": estimate["sigma"], f"{role}_pk": result.pk}
            if "initial" in entry or "final" in entry:
                found.append(entry)
    return found


def transition_properties(initial, verified) -> list[dict]:
    """ΔH, ΔV, densities and the diffusion in the liquid, at the transition of each model."""
    first = initial.outputs.transition.get_dict()
    pressure = f"{first['pressure_gpa']:g} GPa" if first["pressure_gpa"] else ""  # experiment is known at 0 GPa

    def entry(name: str, unit: str, qualifier: str, value_of) -> dict:
        """One property of both models; ``value_of`` gives value and σ, or None where there is no interval."""
        where = f"{qualifier} {pressure}".strip()
        made: dict = {"name": f"{name}[{where}]" if where else name, "unit": unit}
        for role, run in zip(("initial", "final"), (initial, verified), strict=True):
            if run is not None and (value := value_of(run)) is not None:
                made[role], made[f"{role}_sigma"] = value
                made[f"{role}_pk"] = run.pk
        return made

    boundary = "-".join(first["phases"])
    found = [
        entry("enthalpy_change", "meV/atom", boundary, lambda run: difference(run, "delta_h_ev", 1e3)),
        entry("volume_change", "Å³/atom", boundary, lambda run: difference(run, "delta_v_a3", 1.0)),
    ]
    for side, phase in zip(("low", "high"), first["phases"], strict=True):
        found.append(entry("density", "g/cm³", phase, lambda run, side=side: density(run, side)))
    if is_melting(initial):
        found.append(entry("diffusion", "m²/s", "", diffusion))
    return found


def difference(run, key: str, factor: float) -> tuple[float, float]:
    """A difference of both phases, and its σ."""
    transition = run.outputs.transition
    return transition[key] * factor, transition[f"{key}_sigma"] * factor


def density(run, side: str) -> tuple[float, float]:
    """Density of a phase at the transition and its σ, g/cm³."""
    volume = run.outputs.properties[side]["volume_a3"]
    sample, masses = run.outputs.samples[side].get_sample(), run.inputs.model.get_model().masses
    mass = float(np.mean([masses[sample.elements[kind]] for kind in sample.species]))
    value = AMU_PER_A3 * mass / volume["value"]
    return value, value * volume["sigma"] / volume["value"]


def diffusion(run) -> tuple[float, float] | None:
    """Diffusion coefficient of the liquid and its σ, m²/s; nothing from too few frames for an interval."""
    try:
        estimate = diffusion_coefficient(run.outputs.samples.high.get_sample())
    except DataError:
        return None
    return estimate.value, estimate.sigma


def spread(n_frames: int) -> np.ndarray:
    """Indices of at most :data:`RDF_FRAMES` frames, spread over the run."""
    return np.unique(np.linspace(0, n_frames - 1, RDF_FRAMES).astype(int))


def structures(pairs: list[tuple]) -> list[dict]:
    """g(r) of both phases at every transition, of the initial and of the verified model."""
    found = []
    for initial, verified in pairs:
        transition = initial.outputs.transition
        for side, phase in zip(("low", "high"), transition["phases"], strict=True):
            nodes = {"initial": initial.outputs.samples[side]}
            if verified is not None:
                nodes["final"] = verified.outputs.samples[side]
            samples = {role: node.get_sample() for role, node in nodes.items()}
            r_max = 0.99 * min(float(sample.cells[:, range(3), range(3)].min()) / 2 for sample in samples.values())
            few = {role: sample.take(spread(sample.n_frames)) for role, sample in samples.items()}
            curves = {role: rdf(sample, r_max) for role, sample in few.items()}
            entry = {"phase": phase, "pressure_gpa": transition["pressure_gpa"], "r": curves["initial"][0].tolist()}
            entry |= {role: g.tolist() for role, (_, g) in curves.items()}
            found.append(entry | {f"{role}_pk": node.pk for role, node in nodes.items()})
    return found
