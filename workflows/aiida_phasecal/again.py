"""Campaigns that go on from others: jobs that are done are not repeated, for AiiDA's cache has them.

Everything a job depends on is among its inputs, its seed included: the same inputs are the same run
(docs/adr/0008-seeds-from-hashes.md), and a campaign that is submitted once more walks through what exists in seconds.
"""

from __future__ import annotations

from aiida import orm
from aiida.engine import ProcessBuilder, submit
from aiida.plugins import WorkflowFactory

from aiida_phasecal.query import TASKS
from aiida_phasecal.record import current_model, summarise, task_of
from phasecal.campaign.extension import extended
from phasecal.errors import InputError

COPIED = ("code", "task_code", "bulk_code", "options")
"""Inputs that a verification takes from the calibration before it, where it has them."""


def resume(node: orm.WorkChainNode) -> orm.WorkChainNode:
    """Submit a campaign that failed or was killed once more.

    Raises:
        InputError: It is running, or it finished.
    """
    if not node.is_terminated:
        raise InputError(f"campaign {node.pk} is still active; `phasecal status {node.pk}` says what it waits for")
    if node.is_finished_ok:
        raise InputError(f"campaign {node.pk} finished; `phasecal extend` makes its interval smaller")
    return submit_after(node, node.get_builder_restart())


def extend(node: orm.WorkChainNode, sigma_k: float) -> orm.WorkChainNode:
    """Submit what brings the result of a campaign to a smaller interval; after a calibration a new verification.

    Raises:
        InputError: The campaign did not finish, has that interval already, or it would take too many runs.
    """
    if not node.is_finished:
        raise InputError(f"campaign {node.pk} has not finished; `phasecal status {node.pk}` says where it stands")
    task = task_of(node)
    points = [point for point in summarise(node)["boundaries"] if point.get("verified", True) and point["sigma_k"]]
    campaign = extended(node.inputs.campaign.get_dict(), task, points, sigma_k)
    if task == "calibrate":
        chain = WorkflowFactory(TASKS["verify"])
        builder = chain.get_builder()
        builder.model = current_model(node)
        for port in COPIED:
            if port in node.inputs and port in chain.spec().inputs:
                builder[port] = node.inputs[port]
        builder.metadata.label = node.label
    else:
        builder = node.get_builder_restart()
    builder.campaign = orm.Dict(campaign)
    return submit_after(node, builder)


def submit_after(node: orm.WorkChainNode, builder: ProcessBuilder) -> orm.WorkChainNode:
    """Submit a campaign into the groups of the one that it goes on from."""
    builder.metadata.description = f"goes on from campaign {node.pk}"
    new = submit(builder)
    new.base.extras.set("campaign_file", node.base.extras.get("campaign_file", ""))
    query = orm.QueryBuilder().append(orm.Node, filters={"id": node.pk}, tag="campaign")
    for group in query.append(orm.Group, with_node="campaign").all(flat=True):
        group.add_nodes(new)
    return new
