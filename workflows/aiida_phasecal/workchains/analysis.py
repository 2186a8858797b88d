"""Calculation functions: each is one call into the science package, on record."""

from __future__ import annotations

from aiida import orm
from aiida.engine import calcfunction

from aiida_phasecal.data.model import ModelData
from phasecal.freeenergy import coexistence
from phasecal.freeenergy.transition import transition_properties
from phasecal.observables.bulk import analyse_bulk


def thermo_of(node: orm.ArrayData) -> dict:
    """Columns of a thermodynamic series."""
    return {name: node.get_array(name) for name in node.get_arraynames()}


@calcfunction
def analyse_bulk_run(sample, thermo, task):
    """Averages of one bulk run with intervals, and whether the phase survived in every kept frame."""
    description = task.get_dict()
    result = analyse_bulk(sample.get_sample(), thermo_of(thermo), description, solid=not description["melt"])
    return orm.Dict({**result.to_dict(), "model_hash": sample.facts["model_hash"]})


@calcfunction
def analyse_coexistence(wanted, **nodes):
    """Transition temperature from `wanted` or more usable replicas (`sample_0`, `thermo_0`, `task_0`, …)."""
    replicas, seeds = [], []
    for i in range(len(nodes) // 3):
        task = nodes[f"task_{i}"].get_dict()
        seeds.append(task["seed"])
        replicas.append(
            coexistence.analyse_replica(nodes[f"sample_{i}"].get_sample(), thermo_of(nodes[f"thermo_{i}"]), task)
        )
    task, facts = nodes["task_0"].get_dict(), nodes["sample_0"].facts
    return orm.Dict(
        {
            **coexistence.combine_replicas(replicas, wanted.value).to_dict(),
            "method": "coexistence",
            "phases": task["phases"],
            "pressure_gpa": task["pressure_gpa"],
            "seeds": seeds,
            "n_atoms": facts["n_atoms"],
            "model_hash": facts["model_hash"],
        }
    )


@calcfunction
def halfway_model(before, current):
    """The model halfway between two versions of one, of the round of the second."""
    start, end = before.get_model(), current.get_model()
    middle = start.with_theta((start.theta + end.theta) / 2)
    return ModelData.from_model(middle, round_index=current.round_index)


@calcfunction
def collect_transition(anchor, low, high):
    """ΔH, ΔS, ΔV and dT/dP of a boundary from its anchor and the bulk averages of both phases at T_t."""
    return orm.Dict({**anchor.get_dict(), **transition_properties(anchor.get_dict(), low.get_dict(), high.get_dict())})
