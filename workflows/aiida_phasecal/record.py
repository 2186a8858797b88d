"""Reading the record: from a process node to the plain summary that `show`, `status` and the report are made of.

Processes are named by their types in the database: importing their classes, and with them JAX, takes three seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent

from aiida_phasecal.advice import parts_of
from aiida_phasecal.failures import failure_path
from aiida_phasecal.query import TASK_OF_TYPE, place_of, process_type, state_from
from aiida_phasecal.tree import INTERRUPTED, Process, batches, dicts_of, process_tree
from phasecal.bounded import one_line
from phasecal.calibration.targets import targets_of
from phasecal.campaign.reduced import is_reduced, reduced
from phasecal.errors import InputError

TRANSITION = process_type("phasecal.transition")
STEP = "aiida.calculations:phasecal.task"


def load_campaign_node(pk: int | str) -> orm.WorkChainNode:
    """Return the work chain with this PK or UUID.

    Raises:
        InputError: There is no such node, or it is not a campaign of phasecal.
    """
    try:
        node = orm.load_node(pk)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise InputError(f"no process {pk} in this profile; `phasecal query` lists the campaigns") from error
    if not isinstance(node, orm.WorkChainNode) or node.process_type not in TASK_OF_TYPE:
        raise InputError(f"node {pk} is not a campaign of phasecal; `phasecal query` lists the campaigns")
    return node


def task_of(node: orm.WorkChainNode) -> str:
    """Name of the task that a work chain does."""
    return TASK_OF_TYPE[node.process_type]


def state_of(node: orm.WorkChainNode) -> str:
    """Return `finished`, `failed` or `running`; a killed or excepted process counts as failed."""
    return state_from(node.process_state and node.process_state.value, node.exit_status)


def children_of(node: orm.WorkChainNode, kind: str) -> list[orm.ProcessNode]:
    """Direct children of one process type, oldest first."""
    found = (child for child in node.called if child.process_type == kind)
    return sorted(found, key=lambda child: (child.ctime, child.pk))


def rounds_of(node: orm.WorkChainNode) -> list[orm.CalcJobNode]:
    """Finished calibration steps, oldest first."""
    return [job for job in children_of(node, STEP) if job.is_finished_ok]


def anchors_of(node: orm.WorkChainNode) -> list[orm.WorkChainNode]:
    """Transitions measured on the way of a calibration, oldest first."""
    return [child for child in children_of(node, TRANSITION) if child.is_finished_ok]


def wall_s(node: orm.WorkChainNode) -> float:
    """Seconds from the start of a campaign to its end, or to now.

    A running campaign last changed when it last called a child, which says nothing.
    """
    end = node.mtime if node.is_terminated else datetime.now(UTC)
    return round((end - node.ctime).total_seconds(), 1)


def cost_of(node: orm.WorkChainNode, tree: Mapping[int, Process]) -> dict:
    """Atom-steps of molecular dynamics, wall time in s, and rounds of a campaign."""
    atom_steps = sum(atom_steps_of([process.pk for process in tree.values() if process.is_job]).values())
    return {"atom_steps": atom_steps, "wall_s": wall_s(node), "rounds": len(rounds_of(node))}


def atom_steps_of(jobs: Sequence[int]) -> dict[int, int]:
    """Atom-steps of each job of molecular dynamics; 0 of one that another went on with, which counts its steps too."""
    results = dicts_of(jobs, "results", inputs=False)
    steps = {pk: int(result["steps_done"] * result["n_atoms"]) for pk, result in results.items()}
    for batch in batches(jobs):
        query = orm.QueryBuilder().append(orm.CalcJobNode, filters={"id": {"in": batch}}, tag="job", project="id")
        query.append(orm.RemoteData, with_incoming="job", tag="folder")
        query.append(orm.CalcJobNode, with_incoming="folder", edge_filters={"label": INTERRUPTED})
        steps |= dict.fromkeys(query.all(flat=True), 0)
    return steps


def point(transition: dict, pk: int) -> dict:
    """One boundary point as `show` prints it."""
    keys = ("phases", "pressure_gpa", "temperature_k", "sigma_k", "method", "seeds")
    return {**{key: transition[key] for key in keys}, "pk": pk}


def diagram_of(node: orm.WorkChainNode) -> orm.Data | None:
    """Boundary points of a campaign with their lines, once they are collected."""
    return node.outputs.phase_diagram if "phase_diagram" in node.outputs else None


def with_lines(node: orm.WorkChainNode, points: list[dict]) -> list[dict]:
    """Boundary points with what the line through all points of a boundary says at the pressure of each.

    Those of a phase diagram are on its lines themselves.
    """
    diagram = diagram_of(node) if task_of(node) != "phase-diagram" else None
    found = [diagram and diagram.on_line(entry["phases"], entry["pressure_gpa"]) for entry in points]
    pairs = zip(points, (values or (None, None) for values in found), strict=True)
    return [{**entry, "line_k": value, "line_sigma_k": sigma} for entry, (value, sigma) in pairs]


def calibration_points(node: orm.WorkChainNode) -> list[dict]:
    """Boundary points of a calibration: verified where that is done, else the latest training estimate or anchor."""
    targets = targets_of(node.inputs.campaign.get_dict())
    anchors = [run.outputs.transition for run in anchors_of(node)]
    rounds = rounds_of(node)
    points = []
    for i, target in enumerate(targets):
        entry = {
            "phases": target["phases"],
            "pressure_gpa": target["pressure_gpa"],
            "temperature_k": None,
            "sigma_k": None,
            "target_k": target["temperature_k"],
            "target_sigma_k": target["sigma_k"],
            "initial_k": None,
            "initial_sigma_k": None,
            "estimate_k": None,
            "estimate_sigma_k": None,
            "method": None,
            "anchor_method": None,
            "seeds": [],
            "pk": None,
            "verified": False,
        }
        initial = next((anchor for anchor in anchors if place_of(anchor) == place_of(target)), None)
        carried = next((anchor for anchor in anchors if anchor["phases"] == target["phases"]), None)
        if initial is not None:
            entry |= {"initial_k": initial["temperature_k"], "initial_sigma_k": initial["sigma_k"]}
            entry |= {**point(initial.get_dict(), initial.pk), "anchor_method": initial["method"]}
        elif carried is not None:  # from other pressures, by the first round, whose model is the initial one
            entry["anchor_method"] = carried["method"]
            if rounds:
                first = rounds[0].outputs.result["targets"][i]
                entry |= {"initial_k": first["temperature_k"], "initial_sigma_k": first["sigma_k"]}
        if rounds:
            estimate = rounds[-1].outputs.result["targets"][i]
            entry |= {"estimate_k": estimate["temperature_k"], "estimate_sigma_k": estimate["sigma_k"]}
            entry |= {"temperature_k": estimate["temperature_k"], "sigma_k": estimate["sigma_k"]}
            entry |= {"method": "reweighting", "seeds": [], "pk": rounds[-1].pk}
        if "verified" in node.outputs:
            verified = node.outputs.verified[f"state_{i}"]
            entry |= {**point(verified.get_dict(), verified.pk), "verified": True}
        points.append(entry)
    return points


def measured_points(node: orm.WorkChainNode) -> list[dict]:
    """Boundary points of a transition or verification task."""
    targets = {place_of(target): target for target in targets_of(node.inputs.campaign.get_dict())}
    points = []
    for run in children_of(node, TRANSITION):
        if "transition" not in run.outputs:
            continue
        transition = run.outputs.transition
        entry = point(transition.get_dict(), transition.pk)
        target = targets.get(place_of(entry))
        entry |= {"target_k": target and target["temperature_k"], "target_sigma_k": target and target["sigma_k"]}
        points.append({**entry, "initial_k": entry["temperature_k"], "initial_sigma_k": entry["sigma_k"]})
    return points


def diagram_points(node: orm.WorkChainNode) -> list[dict]:
    """Boundary points of a phase diagram: on its lines once they are joined, before that what is measured."""
    diagram = diagram_of(node)
    if diagram is None:
        return measured_points(node)
    targets = {place_of(target): target for target in targets_of(node.inputs.campaign.get_dict())}
    points = []
    for found in diagram.points:
        entry = point(found, found["pk"])
        target = targets.get(place_of(entry))
        entry |= {"target_k": target and target["temperature_k"], "target_sigma_k": target and target["sigma_k"]}
        points.append({**entry, "initial_k": entry["temperature_k"], "initial_sigma_k": entry["sigma_k"]})
    return points


POINTS = {"calibrate": calibration_points, "phase-diagram": diagram_points}
"""How the boundary points of a task are found, where not as :func:`measured_points`."""


def current_model(node: orm.WorkChainNode) -> orm.Node:
    """The calibrated model, or the newest that the campaign has."""
    if "model" in node.outputs:
        return node.outputs.model
    made = [job.outputs.model for job in rounds_of(node) if "model" in job.outputs]
    return made[-1] if made else node.inputs.model


def summarise(node: orm.WorkChainNode, tree: Mapping[int, Process] | None = None) -> dict:
    """The summary of a campaign in internal units, whatever its own; :func:`presented` makes the contract of it.

    Args:
        node: The campaign.
        tree: The processes below it, where they have been read already.
    """
    tree = process_tree(node) if tree is None else tree
    task = task_of(node)
    model = current_model(node)
    return {
        "schema": 1,
        "pk": node.pk,
        "uuid": node.uuid,
        "title": one_line(node.label),
        "task": task,
        "units": node.inputs.campaign.get_dict().get("units"),
        "state": state_of(node),
        "exit_code": node.exit_status,
        "message": parts_of(node.exit_message).what,
        "failure": failure_path(tree, node.pk),
        "boundaries": with_lines(node, POINTS.get(task, measured_points)(node)),
        "model": {
            "pk": model.pk,
            "hash": model.model_hash,
            "parent": model.base.attributes.get("parent"),
        },
        "cost": cost_of(node, tree),
    }


def presented(summary: dict) -> dict:
    """A summary as `phasecal show PK --json` prints it (docs/reference/show-json.md): in the units of the campaign."""
    return reduced(summary) if is_reduced(summary) else summary
