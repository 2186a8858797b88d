"""Where a boundary point or a model comes from: model versions, rounds, samples, anchors, targets, codes, seeds.

The provenance is walked backwards level by level, one query per level. AiiDA's own `with_descendants` follows every
path instead of every node, and the number of paths doubles with every round: each step takes all earlier models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent

from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.sample import SampleData
from aiida_phasecal.query import POINT, TASK_OF_TYPE, among, describe_model, pk_of_hash, place_of, process_type
from aiida_phasecal.tree import OLDEST_FIRST
from phasecal.bounded import MAX_MESSAGE, one_line
from phasecal.calibration.targets import targets_of
from phasecal.campaign.reduced import is_reduced, reduced
from phasecal.errors import InputError

ENGINE = "LAMMPS ("
"""How the log of LAMMPS begins: with its version."""

TASK = ("kind", "phase", "phases", "temperature_k", "pressure_gpa", "seed")
"""What is told of the task of an MD job."""

ESTIMATE = ("phases", "pressure_gpa", "temperature_k", "sigma_k")
"""What is told of a boundary in a round."""


def lineage(name: int | str) -> dict:
    """Trace a boundary point or a model back to files, experiment and seeds.

    Args:
        name: PK or UUID of a model, of the node that holds a boundary point (as `phasecal show` and `phasecal query`
            name it) or of a calibration step (then its new model), or the beginning of a model's hash.

    Returns:
        ``point`` (None for a model), ``campaign``, ``targets`` (of the point, or of the model's campaign, each with its
        ``source``), ``runs`` (PKs of the jobs behind the point), ``models`` (oldest first), ``rounds`` (oldest first:
        the ``pk`` of the step, the PKs of its model ``from`` and ``to``, ``estimates``, ``anchors``, PKs of its
        ``samples``), ``samples``, ``jobs`` (everything that ran, with seeds), ``codes`` and ``versions``.

    Raises:
        InputError: There is no such node, or it is neither a point nor a model.
    """
    node = load_traced(name)
    if isinstance(node, ModelData):
        point, runs, model = None, [], node
    else:
        runs = jobs_behind(node.pk)
        model = model_behind(node, runs)
        point = {**point_of(node), "model_hash": model.model_hash, "pk": node.pk}
    versions, steps = ancestors(model)
    rounds = rounds_of(versions, steps)
    samples = samples_of({pk for entry in rounds for pk in entry["samples"]})
    campaign = campaign_of(node)
    targets = [] if campaign is None else campaign.pop("targets")
    if point is not None:
        targets = [target for target in targets if place_of(target) == place_of(point)]
    jobs = describe_jobs({*runs, *steps, *(sample["job"] for sample in samples)})
    return {
        "schema": 1,
        "point": point,
        "campaign": campaign,
        "targets": targets,
        "runs": runs,
        "models": [describe_model(version) for version in versions],
        "rounds": rounds,
        "samples": samples,
        "jobs": jobs,
        "codes": describe_codes(jobs),
        "versions": sorted({f"{package} {number}" for job in jobs for package, number in job.pop("version").items()}),
    }


def in_units_of_campaign(data: dict) -> dict:
    """A lineage as it is printed."""
    return reduced(data) if data["campaign"] and is_reduced(data["campaign"]) else data


def load_traced(name: int | str) -> orm.Node:
    """Return the model or the boundary point with this name.

    Raises:
        InputError: There is no such node, or it is neither.
    """
    try:
        node = orm.load_node(pk_of_hash(str(name)) or name)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise InputError(f"no node {name} in this profile; `phasecal query` lists points with their PKs") from error
    if isinstance(node, orm.CalcJobNode) and "model" in node.outputs:
        return node.outputs.model
    if isinstance(node, ModelData) or (isinstance(node, orm.Dict) and {"phases", "pressure_gpa"} <= set(node.keys())):
        return node
    raise InputError(
        f"node {name} is neither a boundary point nor a model; `phasecal query` and `phasecal models list` list them"
    )


def point_of(node: orm.Dict) -> dict:
    """The boundary point that a node holds; one that was followed by slopes stands in its phase diagram."""
    attributes = node.get_dict()
    if "temperature_k" not in attributes:
        builder = orm.QueryBuilder().append(orm.Dict, filters={"id": node.pk}, tag="slope")
        builder.append(orm.CalcFunctionNode, with_incoming="slope", tag="joined")
        builder.append(orm.Data, with_incoming="joined", project="attributes.points")
        found = builder.first(flat=True) or []
        attributes = next((point for point in found if point["pk"] == node.pk), attributes)
    return {key: attributes.get(key) for key in POINT}


def jobs_behind(pk: int) -> list[int]:
    """PKs of the jobs whose frames and series a node was computed from; models are not followed further."""
    seen, jobs, frontier = {pk}, [], {pk}
    while frontier:
        builder = orm.QueryBuilder().append(orm.Node, filters=among(frontier), tag="child")
        builder.append(
            orm.Node,
            with_outgoing="child",
            edge_filters={"type": {"in": ["create", "input_calc"]}},
            filters={"node_type": {"!==": ModelData.class_node_type}},
            project=["id", "node_type"],
        )
        found = dict(builder.all())
        frontier = set(found) - seen
        seen |= frontier
        jobs += [parent for parent in frontier if found[parent] == orm.CalcJobNode.class_node_type]
    return sorted(jobs)


def model_behind(node: orm.Dict, runs: Iterable[int]) -> ModelData:
    """The model under which the jobs behind a point ran.

    Raises:
        InputError: There is none: nothing was run for this point.
    """
    builder = orm.QueryBuilder().append(orm.CalcJobNode, filters=among(runs), tag="job")
    builder.append(ModelData, with_outgoing="job", edge_filters={"label": "model"}, project="*")
    model = builder.first(flat=True)
    if model is None:
        raise InputError(f"node {node.pk} is not the result of any run; `phasecal query` lists boundary points")
    return model


def ancestors(model: ModelData) -> tuple[list[ModelData], list[int]]:
    """A model and those it was made from, oldest first, and the PKs of the calibration steps between them."""
    versions, steps = [model], list[int]()
    while True:
        builder = orm.QueryBuilder().append(ModelData, filters={"id": versions[0].pk}, tag="model")
        builder.append(
            orm.CalcJobNode, with_outgoing="model", edge_filters={"label": "model"}, project="id", tag="step"
        )
        parent = {"attributes.hash": versions[0].base.attributes.get("parent") or ""}
        builder.append(ModelData, with_outgoing="step", filters=parent, project="*")
        made = builder.first()
        if made is None:
            return versions, steps
        steps.insert(0, made[0])
        versions.insert(0, made[1])


def rounds_of(versions: list[ModelData], steps: list[int]) -> list[dict]:
    """What each calibration step was told and what it found."""
    parameters = dict(linked(steps, orm.Dict, "with_outgoing", "parameters", ["attributes.anchors"]))
    results = dict(linked(steps, orm.Dict, "with_incoming", "result", ["attributes.targets"]))
    models, samples = (
        group(linked(steps, ModelData, "with_outgoing")),
        group(linked(steps, SampleData, "with_outgoing")),
    )
    measured = transitions_of(versions)
    rounds = []
    for i, step in enumerate(steps):
        used = [version.model_hash for version in versions if version.pk in models[step]]  # in the order of the step
        anchors = [{**anchor, "model_hash": used[anchor["model"]]} for anchor in parameters[step]]
        rounds.append(
            {
                "pk": step,
                "from": versions[i].pk,
                "to": versions[i + 1].pk,
                "estimates": [{key: target[key] for key in ESTIMATE} for target in results[step]],
                "anchors": [
                    {key: anchor[key] for key in (*ESTIMATE, "model_hash")}
                    | measured.get(same_anchor(anchor), {"pk": None, "method": "reweighting", "seeds": []})
                    for anchor in anchors
                ],
                "samples": sorted(samples[step]),
            }
        )
    return rounds


def same_anchor(anchor: Mapping[str, Any]) -> tuple:
    """What tells the anchors of a calibration apart."""
    return (*place_of(anchor), anchor["model_hash"], anchor["temperature_k"])


def transitions_of(versions: list[ModelData]) -> dict[tuple, dict]:
    """PK, method and seeds of every transition measured for some models."""
    builder = orm.QueryBuilder().append(ModelData, filters=among(version.pk for version in versions), tag="model")
    run = {"process_type": process_type("phasecal.transition")}
    builder.append(orm.WorkChainNode, with_incoming="model", filters=run, tag="run")
    builder.append(
        orm.Dict,
        with_incoming="run",
        edge_filters={"label": "transition"},
        project=["id", *(f"attributes.{key}" for key in POINT)],
    )
    found = {}
    for pk, *values in builder.all():
        transition = dict(zip(POINT, values, strict=True))
        found[same_anchor(transition)] = {"pk": pk, "method": transition["method"], "seeds": transition["seeds"]}
    return found


def samples_of(pks: Iterable[int]) -> list[dict]:
    """State, size, model and job of samples."""
    keys = ("phase", "temperature_k", "pressure_gpa", "n_frames", "n_atoms", "model_hash")
    builder = orm.QueryBuilder()
    builder.append(SampleData, filters=among(pks), project=["id", *(f"attributes.{key}" for key in keys)], tag="sample")
    builder.append(orm.CalcJobNode, with_outgoing="sample", project="id")
    builder.order_by({"sample": OLDEST_FIRST})
    return [{"pk": pk, **dict(zip(keys, facts, strict=True)), "job": job} for pk, *facts, job in builder.all()]


def describe_jobs(pks: Iterable[int]) -> list[dict]:
    """What ran, oldest first: state, seed, code and versions of every job."""
    pks = sorted(pks)
    columns = [f"attributes.{key}" for key in TASK]
    tasks = {
        pk: dict(zip(TASK, facts, strict=True))
        for pk, *facts in linked(pks, orm.Dict, "with_outgoing", "task", columns)
    }
    codes = dict(linked(pks, orm.Data, "with_outgoing", "code"))
    builder = orm.QueryBuilder()
    builder.append(orm.CalcJobNode, filters=among(pks), project=["id", "process_type", "attributes.version"], tag="job")
    builder.order_by({"job": OLDEST_FIRST})
    return [
        {
            "pk": pk,
            "process": kind.removeprefix("aiida.calculations:"),
            **{key: value for key, value in tasks.get(pk, {}).items() if value is not None},
            "code": codes.get(pk),
            "version": {"aiida-core": version["core"], "phasecal": version["plugin"]},
        }
        for pk, kind, version in builder.all()
    ]


def describe_codes(jobs: list[dict]) -> list[dict]:
    """Codes of jobs; of an engine also what its first and last log say of its version."""
    entries = []
    for pk in sorted({job["code"] for job in jobs if job["code"] is not None}):
        code = orm.load_node(pk)
        ran = [job["pk"] for job in jobs if job["code"] == pk]
        engines = {version for job in (ran[0], ran[-1]) if (version := engine_version(job)) is not None}
        executable = code.base.attributes.get("filepath_executable", None)
        entry = {"pk": pk, "label": code.full_label, "executable": executable, "engine": sorted(engines)}
        entries.append({**entry, "jobs": len(ran)})
    return entries


def engine_version(job: int) -> str | None:
    """First line of the log of a job, if it is one of LAMMPS."""
    builder = orm.QueryBuilder().append(orm.CalcJobNode, filters={"id": job}, tag="job")
    builder.append(orm.FolderData, with_incoming="job", edge_filters={"label": "retrieved"})
    folder = builder.first(flat=True)
    for name in folder.base.repository.list_object_names() if folder else []:
        with folder.base.repository.open(name, "rb") as log:
            line = one_line(log.readline(MAX_MESSAGE).decode(errors="replace"))
        if line.startswith(ENGINE):
            return line
    return None


def campaign_of(node: orm.Node) -> dict | None:
    """The campaign in which a node was made, with its targets: whoever called all others."""
    process = node.creator if isinstance(node, orm.Data) else node
    while process is not None and process.caller is not None:
        process = process.caller
    if process is None or process.process_type not in TASK_OF_TYPE:
        return None
    description = process.inputs.campaign.get_dict()
    return {
        "pk": process.pk,
        "uuid": process.uuid,
        "title": process.label,
        "task": TASK_OF_TYPE[process.process_type],
        "units": description.get("units"),
        "targets": targets_of(description),
    }


def linked(
    pks: Iterable[int], kind: type[orm.Data], direction: str, label: str | None = None, project: list[str] | None = None
) -> list:
    """Inputs (`with_outgoing`) or outputs (`with_incoming`) of processes: PK of the process and what is projected."""
    builder = orm.QueryBuilder().append(orm.ProcessNode, filters=among(pks), project="id", tag="process")
    edge = {} if label is None else {"label": label}
    builder.append(kind, **{direction: "process"}, edge_filters=edge, project=project or ["id"])
    return builder.all()


def group(pairs: Iterable[tuple[int, int]]) -> defaultdict[int, set[int]]:
    """Pairs of PKs by the first."""
    grouped = defaultdict(set)
    for key, value in pairs:
        grouped[key].add(value)
    return grouped
