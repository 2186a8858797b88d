"""Targets of a campaign: what must coincide with experiment, and how far one stage of rounds may reach."""

from __future__ import annotations

import math
from typing import Any

AGREEMENT = 3.0
"""A measurement further than this many combined σ from its target disagrees with it."""


def targets_of(campaign: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the targets of all boundaries as one list.

    Args:
        campaign: A validated campaign as a dictionary in internal units.

    Returns:
        Dictionaries with ``phases``, ``pressure_gpa``, ``temperature_k``, ``sigma_k``, ``source`` and ``guess_k``
        (where the search for the model's own boundary starts), ``located`` (whether it is there already), ``method``
        and ``verify`` (how it is measured).
    """
    return [
        {
            **target,
            "phases": boundary["phases"],
            "guess_k": boundary["guess_k"] or target["temperature_k"],
            "located": is_located(boundary),
            "method": boundary["method"],
            "verify": boundary["verify"],
        }
        for boundary in campaign["boundaries"]
        for target in boundary["targets"]
    ]


def is_located(boundary: dict[str, Any]) -> bool:
    """Say whether the guess of a boundary is a measurement; campaigns of before there was the key said nothing."""
    return bool(boundary.get("located", False))


def alternatives_of(campaign: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what other experiments say about the boundaries, as one list; it is shown, and weighs nothing.

    Args:
        campaign: A validated campaign as a dictionary in internal units.

    Returns:
        Dictionaries with ``phases``, ``pressure_gpa``, ``temperature_k`` and ``source``.
    """
    return [
        {**point, "phases": boundary["phases"]}
        for boundary in campaign["boundaries"]
        for point in boundary.get("alternatives", [])  # records of before they existed
    ]


def states_of(campaign: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the states at which boundaries are measured: the ``pressures`` of a boundary, or those of its targets.

    Args:
        campaign: A validated campaign as a dictionary in internal units.

    Returns:
        Dictionaries with ``phases``, ``pressure_gpa``, ``guess_k``, ``located`` and ``method``.
    """
    states = []
    for boundary in campaign["boundaries"]:
        temperatures = {target["pressure_gpa"]: target["temperature_k"] for target in boundary["targets"]}
        for pressure in boundary["pressures_gpa"] or temperatures:
            guess = boundary["guess_k"] or temperatures[pressure]
            where = {"phases": boundary["phases"], "pressure_gpa": pressure, "guess_k": guess}
            states.append({**where, "located": is_located(boundary), "method": boundary["method"]})
    return states


def anchor_of(boundary: dict[str, Any]) -> dict[str, Any]:
    """Return what a calibration step needs to know of a boundary measured or estimated for a model."""
    return {key: boundary[key] for key in ("phases", "pressure_gpa", "temperature_k", "sigma_k", "model_hash")}


def anchored_targets(campaign: dict[str, Any]) -> list[int]:
    """Return the indices of the targets where a calibration measures the boundary: all, or the ``anchors`` of each.

    Args:
        campaign: A validated campaign as a dictionary in internal units.
    """
    anchored = [
        not boundary["anchors_gpa"] or target["pressure_gpa"] in boundary["anchors_gpa"]
        for boundary in campaign["boundaries"]
        for target in boundary["targets"]
    ]
    return [i for i, measured in enumerate(anchored) if measured]


def walks_of(campaign: dict[str, Any]) -> list[dict[str, Any]]:
    """Return how each boundary of a phase diagram is followed over its pressures.

    Args:
        campaign: A validated campaign as a dictionary in internal units.

    Returns:
        Dictionaries with ``phases``, ``pressures_gpa`` (ascending), ``anchors_gpa`` (where the boundary itself is
        measured: as the campaign says, with the lowest pressure among them; else at both ends), ``guess_k`` (at the
        lowest) and ``method``.
    """
    walks = []
    for boundary in campaign["boundaries"]:
        temperatures = {target["pressure_gpa"]: target["temperature_k"] for target in boundary["targets"]}
        pressures = sorted(boundary["pressures_gpa"] or temperatures)
        anchors = sorted({pressures[0], *(boundary["anchors_gpa"] or pressures[-1:])})
        guess = boundary["guess_k"] or temperatures[pressures[0]]
        walks.append(
            {
                "phases": boundary["phases"],
                "pressures_gpa": pressures,
                "anchors_gpa": anchors,
                "guess_k": guess,
                "method": boundary["method"],
            }
        )
    return walks


def disagreements(targets: list[dict[str, Any]], measured: list[dict[str, Any]]) -> list[str]:
    """Return one sentence for every target that an independent measurement misses by more than three σ.

    Args:
        targets: Targets in the form of :func:`targets_of`.
        measured: Transitions of the same boundaries and pressures, with ``temperature_k`` and ``sigma_k``.
    """
    found = []
    for target, point in zip(targets, measured, strict=True):
        difference = point["temperature_k"] - target["temperature_k"]
        sigma = math.hypot(point["sigma_k"], target["sigma_k"])
        if abs(difference) > AGREEMENT * sigma:
            name = "–".join(target["phases"])
            found.append(f"{name} at {target['pressure_gpa']:g} GPa is off by {difference:+.1f} ± {sigma:.1f} K")
    return found


def step_parameters(
    campaign: dict[str, Any],
    *,
    anchors: list[dict[str, Any]],
    model_hashes: list[str],
    stage_temperatures_k: list[float],
) -> dict[str, Any]:
    """Return the ``calibration-step`` task of one round, without the names of its files.

    Args:
        campaign: A validated campaign as a dictionary in internal units.
        anchors: Measured transitions, oldest first, each with its ``model_hash``.
        model_hashes: Hashes of the models of the calibration, oldest first.
        stage_temperatures_k: Temperature at which ΔG must vanish in this stage, per target, K.
    """
    keys = ("phases", "pressure_gpa", "temperature_k", "sigma_k")
    targets = [
        {**{key: target[key] for key in keys}, "temperature_k": temperature}
        for target, temperature in zip(targets_of(campaign), stage_temperatures_k, strict=True)
    ]
    calibration = campaign["protocol"]["calibration"]
    return {
        "schema": 1,
        "task": "calibration-step",
        "anchors": [
            {**{key: anchor[key] for key in keys}, "model": model_hashes.index(anchor["model_hash"])}
            for anchor in anchors
        ],
        "targets": targets,
        "protect": campaign["protect"],
        "step": {"method": campaign["step"], **calibration["step"]},
        "tolerance_k": campaign["tolerance_k"],
        "seed": campaign["seed"],
    }
