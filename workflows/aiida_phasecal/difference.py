"""What changed from one model of the record to another: parameters, functions, boundaries, forces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from aiida import orm

from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.query import Selection, boundary_points, describe_model, place_of
from aiida_phasecal.report_model import functions
from aiida_phasecal.tree import OLDEST_FIRST
from phasecal.difftre import comparison
from phasecal.errors import PhasecalError
from phasecal.potentials.base import Model

TEMPERATURE = ("phases", "pressure_gpa", "temperature_k", "sigma_k")


def difference(a: ModelData, b: ModelData) -> dict:
    """Compare two models.

    Returns:
        ``a`` and ``b`` (what they are), ``parameters`` (``name``, ``a``, ``b``) and ``groups`` of them (root mean
        squares), ``functions`` (tables of an embedded-atom form), ``curves`` (how far each of them changed),
        ``boundaries`` (temperature of both, ``difference_k`` of what is known, ``predicted_k`` by reweighting frames of
        the one that was measured), ``forces`` (per phase) and ``reasons`` (why something was not computed).
    """
    before, after = a.get_model(), b.get_model()
    same = before.parameter_names == after.parameter_names
    names = before.parameter_names if same else ()
    tables = functions(before, after) if same and before.family == after.family else {}
    reasons: list[str] = [] if same else ["parameters: the models do not have the same"]
    return {
        "schema": 1,
        "a": describe_model(a),
        "b": describe_model(b),
        "parameters": [
            {"name": name, "a": float(x), "b": float(y)}
            for name, x, y in zip(names, before.theta, after.theta, strict=False)
        ],
        "groups": comparison.groups(before, after),
        "functions": tables,
        "curves": [curve(kind, name, table) for kind, found in tables.items() for name, table in found.items()],
        "boundaries": boundaries((a, before), (b, after), reasons),
        "forces": forces((a, before), (b, after), reasons),
        "reasons": reasons,
    }


def curve(kind: str, name: str, table: dict) -> dict:
    """How far one function changed, and where most."""
    x = np.array(table["r" if "r" in table else "rho"])
    change = np.array(table["final"]) - np.array(table["initial"])
    largest = int(np.argmax(np.abs(change)))
    rms = float(np.sqrt(np.mean(change**2)))
    return {"function": kind, "name": name, "max": float(change[largest]), "at": float(x[largest]), "rms": rms}


def boundaries(a: tuple[ModelData, Model], b: tuple[ModelData, Model], reasons: list[str]) -> list[dict]:
    """Where both models have their boundaries, as far as the record or the frames of one of them say."""
    known_a, known_b = known_temperatures(a[0]), known_temperatures(b[0])
    result = []
    for place in {**known_a, **known_b}:
        one, other = known_a.get(place), known_b.get(place)
        entry: dict[str, Any] = {"phases": list(place[0]), "pressure_gpa": place[1]}
        entry |= {"a": one and told(one), "b": other and told(other)}
        entry |= dict.fromkeys(("difference_k", "difference_sigma_k", "predicted_k", "predicted_sigma_k"))
        if one and other:
            entry["difference_k"] = other["temperature_k"] - one["temperature_k"]
            entry["difference_sigma_k"] = float(np.hypot(one["sigma_k"], other["sigma_k"]))
        shift = attempt(f"prediction at {'–'.join(place[0])}", reasons, predicted, one, other, a[1], b[1])
        if shift is not None:
            entry |= {"predicted_k": shift[0], "predicted_sigma_k": shift[1]}
        result.append(entry)
    return result


def told(entry: dict) -> dict:
    """What is told of a known temperature."""
    return {key: entry[key] for key in ("temperature_k", "sigma_k", "source", "pk")}


def known_temperatures(node: ModelData) -> dict[tuple, dict]:
    """Newest measurement of each boundary of a model; else the estimate of a calibration step; else its forecast."""
    known = {}
    forecast = {key: f"predicted_{key}" for key in ("temperature_k", "sigma_k")}
    for source, attribute, names in (("forecast", "model_hash", forecast), ("estimate", "parent", {})):
        builder = orm.QueryBuilder()
        step = {"process_type": "aiida.calculations:phasecal.task"}
        builder.append(orm.CalcJobNode, filters=step, tag="step", project="id")
        builder.append(
            orm.Dict,
            with_incoming="step",
            edge_filters={"label": "result"},
            filters={f"attributes.{attribute}": node.model_hash},
            project="attributes.targets",
            tag="result",
        )
        builder.order_by({"result": OLDEST_FIRST})
        for pk, targets in builder.all():
            for target in targets:
                entry = {key: target[names.get(key, key)] for key in TEMPERATURE}
                known[place_of(entry)] = {**entry, "source": source, "pk": pk, "measured": False}
    points = [p for p in boundary_points(Selection(model=node.model_hash)) if p["method"] != "clausius-clapeyron"]
    for point in sorted(points, key=lambda point: point["created"]):
        known[place_of(point)] = {**point, "source": point["method"], "measured": True}
    return known


def predicted(one: dict | None, other: dict | None, a: Model, b: Model) -> tuple[float, float] | None:
    """T_B − T_A and its σ by reweighting frames of whichever model was measured; None where neither was."""
    if one is not None and one["measured"]:
        shift = comparison.boundary_shift(a, b, *measured_frames(one["pk"]))
        return shift.value_k, shift.sigma_k
    if other is not None and other["measured"]:
        shift = comparison.boundary_shift(b, a, *measured_frames(other["pk"]))
        return -shift.value_k, shift.sigma_k
    return None


def measured_frames(pk: int) -> tuple:
    """Frames of both phases at a measured transition, its temperature (K) and ΔH ± σ (eV/atom)."""
    transition = orm.load_node(pk)
    builder = orm.QueryBuilder().append(orm.Dict, filters={"id": pk}, tag="transition")
    run = {"process_type": "aiida.workflows:phasecal.transition"}
    builder.append(orm.WorkChainNode, with_outgoing="transition", filters=run)
    samples = builder.first(flat=True).outputs.samples
    enthalpy = (transition["delta_h_ev"], transition["delta_h_ev_sigma"])
    return samples.low.get_sample(), samples.high.get_sample(), transition["temperature_k"], enthalpy


def forces(a: tuple[ModelData, Model], b: tuple[ModelData, Model], reasons: list[str]) -> list[dict]:
    """Root mean square difference of a force component, per phase, on the newest frames of either model."""
    builder = orm.QueryBuilder()
    hashes = {"attributes.model_hash": {"in": [a[0].model_hash, b[0].model_hash]}}
    columns = ["id", "attributes.phase", "attributes.temperature_k", "attributes.pressure_gpa"]
    builder.append(SampleData, filters=hashes, project=columns, tag="sample")
    builder.order_by({"sample": OLDEST_FIRST})
    newest = {
        phase: (pk, temperature, pressure) for pk, phase, temperature, pressure in builder.all() if "|" not in phase
    }
    if not newest:
        reasons.append("forces: the record has no frames of either model")
    result = []
    for phase, (pk, temperature, pressure) in newest.items():
        sample = orm.load_node(pk).get_sample()
        rmse = attempt(f"forces in {phase}", reasons, comparison.rms_force_difference, a[1], b[1], sample)
        if rmse is not None:
            state = {"phase": phase, "temperature_k": temperature, "pressure_gpa": pressure}
            result.append({**state, "rmse_ev_a": rmse, "sample": pk})
    return result


def attempt(what: str, reasons: list[str], compute: Callable, *arguments: Any) -> Any:
    """Compute something; where that cannot be done, remember why and return None."""
    try:
        return compute(*arguments)
    except PhasecalError as error:
        reasons.append(f"{what}: {error}")
        return None
