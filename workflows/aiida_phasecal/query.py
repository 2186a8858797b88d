"""Questions to the record: campaigns, boundary points and model versions as plain data.

    >>> from aiida_phasecal.query import Selection, boundary_points
    >>> boundary_points(Selection(elements=("Cu",), boundary="fcc-liquid", difference=(0, 5), role="verification"))

Every function asks the database for the few columns it needs, in a number of queries that does not depend on how much
is stored, and never loads nodes one by one (docs/results/query-speed.md).
Nothing here imports the processes of the plugin (and with them JAX); they are named by their entry points.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent

from aiida_phasecal.data.model import ModelData
from aiida_phasecal.data.phase_diagram import PhaseDiagramData
from aiida_phasecal.tree import OLDEST_FIRST
from phasecal.bounded import one_line
from phasecal.calibration.targets import targets_of
from phasecal.campaign.reduced import REFERENCE, is_reduced
from phasecal.errors import InputError

TASKS = {
    "calibrate": "phasecal.calibrate",
    "transition": "phasecal.points",
    "phase-diagram": "phasecal.phase_diagram",
    "verify": "phasecal.verify",
}
"""Tasks that `phasecal launch` knows, and the entry point of the work chain that does each."""

ROLES = ("anchor", "re-anchor", "verification", "line")
"""What a point was measured for; `line`: a point of a phase diagram, on the line through everything measured."""

POINT = ("phases", "pressure_gpa", "temperature_k", "sigma_k", "method", "seeds", "model_hash")
"""Attributes of a measured transition that make a boundary point."""

MODEL = ("family", "elements", "n_parameters", "hash", "parent", "round")
"""Attributes of a model that matter to a reader."""

HASH_DIGITS = 8
"""Least number of characters by which a model is named; no PK has so many."""

Range = tuple[float | None, float | None]
"""Least and greatest value, both included; None: no limit."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which campaigns and boundary points to look for; whatever is None (or empty) is not asked for.

    Attributes:
        state: `finished`, `failed` or `running`.
        campaign: PK or title.
        since: Launched at this time or later (with time zone).
        until: Launched before this time.
        elements: All of these are in the model.
        boundary: Two phases joined by a hyphen, in any order.
        pressure: GPa; for campaigns with ``units: lj`` reduced.
        difference: |T − T_exp|, K; for campaigns with ``units: lj`` reduced. Points without a target are left out.
        method: How the point was measured (:mod:`phasecal.campaign.methods`), or `clausius-clapeyron`.
        role: One of :data:`ROLES`.
        model: Beginning of the hash of the model that the point belongs to.
    """

    state: str | None = None
    campaign: int | str | None = None
    since: datetime | None = None
    until: datetime | None = None
    elements: tuple[str, ...] = ()
    boundary: str | None = None
    pressure: Range | None = None
    difference: Range | None = None
    method: str | None = None
    role: str | None = None
    model: str | None = None

    @property
    def asks_for_points(self) -> bool:
        """Whether campaigns without any such point are left out."""
        wanted = (self.boundary, self.pressure, self.difference, self.method, self.role, self.model)
        return any(value is not None for value in wanted)

    def takes(self, point: Mapping[str, Any], campaign: Mapping[str, Any]) -> bool:
        """Say whether a point of a campaign is wanted."""
        kelvin, gpa = (REFERENCE["temperature"], REFERENCE["pressure"]) if is_reduced(dict(campaign)) else (1.0, 1.0)
        names = ("-".join(point["phases"]), "-".join(reversed(point["phases"])))
        difference = point["difference_k"]
        return (
            (self.boundary is None or self.boundary.replace("–", "-") in names)
            and (self.pressure is None or is_within(point["pressure_gpa"] / gpa, self.pressure))
            and (
                self.difference is None
                or (difference is not None and is_within(abs(difference) / kelvin, self.difference))
            )
            and self.method in (None, point["method"])
            and self.role in (None, point["role"])
            and point["model_hash"].startswith(self.model or "")
        )


def is_within(value: float, limits: Range) -> bool:
    """Say whether a value is in a range; rounding of units does not decide."""
    low, high = limits
    rounding = 1e-9 * max(1.0, abs(value))
    return (low is None or value >= low - rounding) and (high is None or value <= high + rounding)


def as_text(time: datetime) -> str:
    """A time as ISO 8601, in s."""
    return time.isoformat(timespec="seconds")


def process_type(entry_point: str) -> str:
    """What AiiDA calls a work chain of this plugin in the database."""
    return f"aiida.workflows:{entry_point}"


TASK_OF_TYPE = {process_type(entry_point): task for task, entry_point in TASKS.items()}


def among(pks: Iterable[int]) -> dict:
    """Filter for nodes with these PKs (AiiDA refuses an empty list; no node has PK 0)."""
    return {"id": {"in": list(pks) or [0]}}


def place_of(transition: Mapping) -> tuple[tuple[str, ...], float]:
    """Phases and pressure of a transition or target: what tells the boundaries of a campaign apart."""
    return tuple(transition["phases"]), transition["pressure_gpa"]


def campaigns(selection: Selection = Selection()) -> list[dict]:
    """Campaigns, newest first; filters that belong to points are not looked at.

    A campaign is a work chain of one of the :data:`TASKS` that was not called by another one: so it is found in an
    imported archive too, which brings no groups.

    Returns:
        Dictionaries with ``pk``, ``uuid``, ``title``, ``task``, ``state`` and ``created``.
    """
    filters: dict[str, Any] = {"process_type": {"in": list(TASK_OF_TYPE)}}
    times = {sign: time for sign, time in ((">=", selection.since), ("<", selection.until)) if time is not None}
    if times:
        filters["ctime"] = {"and": [{sign: time} for sign, time in times.items()]}
    columns = ["id", "uuid", "label", "process_type", "ctime", "attributes.process_state", "attributes.exit_status"]
    builder = orm.QueryBuilder().append(orm.WorkChainNode, filters=filters, project=columns, tag="campaign")
    builder.order_by({"campaign": [{name: "desc"} for name in OLDEST_FIRST]})
    called = orm.QueryBuilder()
    called.append(orm.WorkChainNode, filters={"process_type": {"in": list(TASK_OF_TYPE)}}, project="id", tag="child")
    called.append(orm.WorkChainNode, with_outgoing="child")
    children = set(called.all(flat=True))
    found = [
        {
            "pk": pk,
            "uuid": uuid,
            "title": one_line(title),
            "task": TASK_OF_TYPE[kind],
            "state": state_from(process_state, exit_status),
            "created": as_text(created),
        }
        for pk, uuid, title, kind, created, process_state, exit_status in builder.all()
        if pk not in children
    ]
    wanted = None if selection.campaign is None else str(selection.campaign)
    return [
        entry
        for entry in found
        if selection.state in (None, entry["state"]) and wanted in (None, entry["title"], str(entry["pk"]))
    ]


def state_from(process_state: str | None, exit_status: int | None) -> str:
    """Return `finished`, `failed` or `running`; a killed or excepted process counts as failed."""
    if process_state not in ("finished", "excepted", "killed"):
        return "running"
    return "finished" if process_state == "finished" and exit_status == 0 else "failed"


def campaigns_with_points(selection: Selection = Selection()) -> list[dict]:
    """Campaigns, newest first, each with the boundary points that are wanted.

    Returns:
        What :func:`campaigns` returns, with ``units`` (`lj` or None), ``elements``, ``model`` (``pk`` and ``hash`` of
        the model it began with) and ``points``. A point has ``phases``, ``pressure_gpa``, ``temperature_k``,
        ``sigma_k``, ``method``, ``seeds``, ``role``, ``model_hash``, ``target_k``, ``target_sigma_k``,
        ``target_source`` (None without target), ``difference_k`` (T − T_exp), ``difference_sigma_k``, ``created`` and
        the ``pk`` of the node that holds the number. Campaigns without a wanted point are left out if the selection
        asks for points.
    """
    found = {entry["pk"]: entry for entry in campaigns(selection)}
    add_inputs(found)
    points = defaultdict(list)
    for pk, point in [*transitions(found), *lines(found)]:
        points[pk].append(point)
    result = []
    for pk, entry in found.items():
        if not set(selection.elements) <= set(entry["elements"]):
            continue
        targets = {place_of(target): target for target in entry.pop("targets")}
        compared = (with_target(point, targets.get(place_of(point))) for point in points[pk])
        entry["points"] = [point for point in compared if selection.takes(point, entry)]
        if entry["points"] or not selection.asks_for_points:
            result.append(entry)
    return result


def boundary_points(selection: Selection = Selection()) -> list[dict]:
    """Boundary points of all campaigns, newest campaign first, each with the ``campaign`` (``pk`` and ``title``)."""
    return [
        {**point, "campaign": {"pk": entry["pk"], "title": entry["title"]}}
        for entry in campaigns_with_points(selection)
        for point in entry["points"]
    ]


def add_inputs(found: Mapping[int, dict]) -> None:
    """Add to campaigns by PK what their inputs say: ``units``, ``targets``, ``elements``, ``model``."""
    for entry in found.values():
        entry |= {"units": None, "targets": [], "elements": [], "model": None}
    builder = orm.QueryBuilder()
    builder.append(orm.WorkChainNode, filters=among(found), project="id", tag="campaign")
    builder.append(
        orm.Dict,
        with_outgoing="campaign",
        edge_filters={"label": "campaign"},
        project=["attributes.boundaries", "attributes.units"],
    )
    for pk, boundaries, units in builder.all():
        found[pk] |= {"units": units, "targets": targets_of({"boundaries": boundaries})}
    builder = orm.QueryBuilder()
    builder.append(orm.WorkChainNode, filters=among(found), project="id", tag="campaign")
    builder.append(
        ModelData,
        with_outgoing="campaign",
        edge_filters={"label": "model"},
        project=["id", "attributes.hash", "attributes.elements"],
    )
    for pk, model_pk, model_hash, elements in builder.all():
        found[pk] |= {"elements": elements, "model": {"pk": model_pk, "hash": model_hash}}


def transitions(found: Mapping[int, dict]) -> list[tuple[int, dict]]:
    """Transitions measured by campaigns, oldest first, each with the PK of its campaign."""
    owners = {pk: (pk, entry["task"]) for pk, entry in found.items()}
    builder = orm.QueryBuilder()
    builder.append(orm.WorkChainNode, filters=among(found), project="id", tag="campaign")
    verify = {"process_type": process_type(TASKS["verify"])}
    builder.append(orm.WorkChainNode, with_incoming="campaign", filters=verify, project="id")
    owners |= {pk: (campaign, "verify") for campaign, pk in builder.all()}

    builder = orm.QueryBuilder()
    builder.append(orm.WorkChainNode, filters=among(owners), project="id", tag="caller")
    run = {"process_type": process_type("phasecal.transition")}
    builder.append(orm.WorkChainNode, with_incoming="caller", filters=run, tag="run")
    builder.append(
        orm.Dict,
        with_incoming="run",
        edge_filters={"label": "transition"},
        project=["id", "ctime", *(f"attributes.{key}" for key in POINT)],
        tag="transition",
    )
    builder.append(
        orm.Dict, with_outgoing="run", edge_filters={"label": "state"}, project="attributes.stages", tag="state"
    )
    builder.order_by({"transition": OLDEST_FIRST})
    result = []
    for caller, pk, created, *values, stages in builder.all():
        campaign, task = owners[caller]
        # A phase diagram's points are those on its lines, once they are joined.
        if task == "phase-diagram" and found[campaign]["state"] == "finished":
            continue
        role = "verification" if task == "verify" else "re-anchor" if "reanchor" in stages else "anchor"
        result.append((campaign, as_point(dict(zip(POINT, values, strict=True)), role, created, pk)))
    return result


def lines(found: Mapping[int, dict]) -> list[tuple[int, dict]]:
    """Points on the lines of finished phase diagrams, each with the PK of its campaign."""
    diagrams = [pk for pk, entry in found.items() if entry["task"] == "phase-diagram" and entry["state"] == "finished"]
    builder = orm.QueryBuilder()
    builder.append(orm.WorkChainNode, filters=among(diagrams), project="id", tag="campaign")
    builder.append(PhaseDiagramData, with_incoming="campaign", project="*")
    result = []
    for campaign, diagram in builder.all():
        model = {"model_hash": diagram.base.attributes.get("model_hash")}
        result += [(campaign, as_point(point | model, "line", diagram.ctime, point["pk"])) for point in diagram.points]
    return result


def as_point(attributes: Mapping[str, Any], role: str, created: datetime, pk: int) -> dict:
    """A measured transition as a boundary point."""
    return {
        **{key: attributes[key] for key in POINT},
        "role": role,
        "created": as_text(created),
        "pk": pk,
    }


def with_target(point: dict, target: Mapping[str, Any] | None) -> dict:
    """Compare a point with the target of its boundary and pressure, if there is one."""
    if target is None:
        nothing = ("target_k", "target_sigma_k", "target_source", "difference_k", "difference_sigma_k")
        return {**point, **dict.fromkeys(nothing)}
    return {
        **point,
        "target_k": target["temperature_k"],
        "target_sigma_k": target["sigma_k"],
        "target_source": target["source"],
        "difference_k": point["temperature_k"] - target["temperature_k"],
        "difference_sigma_k": math.hypot(point["sigma_k"], target["sigma_k"]),
    }


def models() -> list[dict]:
    """All model versions, oldest first.

    Returns:
        Dictionaries with ``pk``, ``label``, ``created``, ``family``, ``elements``, ``n_parameters``, ``hash``,
        ``parent`` (hash of the version it was made from, or None) and ``round``.
    """
    builder = orm.QueryBuilder()
    columns = ["id", "label", "ctime", *(f"attributes.{key}" for key in MODEL)]
    builder.append(ModelData, project=columns, tag="model")
    builder.order_by({"model": OLDEST_FIRST})
    return [
        {"pk": pk, "label": label, "created": as_text(created), **dict(zip(MODEL, facts, strict=True))}
        for pk, label, created, *facts in builder.all()
    ]


def describe_model(node: ModelData) -> dict:
    """One model as :func:`models` describes it."""
    facts = {key: node.base.attributes.get(key) for key in MODEL}
    return {"pk": node.pk, "label": node.label, "created": as_text(node.ctime), **facts}


def load_model_node(name: int | str) -> ModelData:
    """Return the model with this PK, UUID, or beginning of its hash (at least :data:`HASH_DIGITS` characters).

    Raises:
        InputError: There is none, or more than one.
    """
    try:
        node = orm.load_node(pk_of_hash(str(name)) or name)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise InputError(f"no model {name} in this profile; `phasecal models list` lists the models") from error
    if not isinstance(node, ModelData):
        raise InputError(f"node {name} is not a model; `phasecal models list` lists the models")
    return node


def pk_of_hash(text: str) -> int | None:
    """PK of the newest model whose hash begins so; None where the text is too short for a hash, or no hash.

    Raises:
        InputError: Models with different content begin so.
    """
    if len(text) < HASH_DIGITS:
        return None
    builder = orm.QueryBuilder()
    columns = ["id", "attributes.hash"]
    builder.append(ModelData, filters={"attributes.hash": {"like": f"{text}%"}}, project=columns, tag="model")
    found = builder.order_by({"model": OLDEST_FIRST}).all()
    if len({model_hash for _, model_hash in found}) > 1:
        raise InputError(f"the hashes of several models begin with {text}; give more characters, or the PK")
    return found[-1][0] if found else None
