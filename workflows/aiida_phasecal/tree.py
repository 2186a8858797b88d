"""The processes below a work chain as plain data, read level by level with one query each.

Loading the nodes themselves costs a query per node and attribute: seconds for a campaign of some hundred jobs, too much
for a display that is drawn anew every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiida import orm
from aiida.common.links import LinkType

BATCH = 500
"""Keys in one query; databases limit their number."""
OLDEST_FIRST = ["ctime", "id"]
"""Order of nodes in a query. PKs alone say nothing of it: an import deals them out anew."""
CALLS = [LinkType.CALL_CALC.value, LinkType.CALL_WORK.value]
ATTRIBUTES = (
    "process_label",
    "process_state",
    "process_status",
    "paused",
    "exit_status",
    "exit_message",
    "exception",
    "scheduler_state",
    "last_job_info",
    "remote_workdir",
    "output_filename",
)

INTERRUPTED = "interrupted_folder"
"""Label of the input of a job that continues another one: the folder of that job."""


@dataclass(frozen=True)
class Process:
    """One process; the attributes of :data:`ATTRIBUTES` are those of AiiDA's nodes."""

    pk: int
    caller: int | None
    process_type: str
    node_type: str
    computer: int | None
    ctime: datetime
    mtime: datetime
    process_label: str
    process_state: str
    process_status: str | None
    paused: bool | None
    exit_status: int | None
    exit_message: str | None
    exception: str | None
    scheduler_state: str | None
    last_job_info: Any
    remote_workdir: str | None
    output_filename: str | None

    @property
    def is_job(self) -> bool:
        """Whether it runs on a computer."""
        return self.node_type.startswith("process.calculation.calcjob")

    @property
    def has_task(self) -> bool:
        """Whether the broker holds it: a process function is part of its caller, who calls it anew when it was lost."""
        return not self.node_type.startswith(("process.calculation.calcfunction", "process.workflow.workfunction"))

    @property
    def is_terminated(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.process_state in ("finished", "excepted", "killed")

    @property
    def has_failed(self) -> bool:
        """Whether it ended other than well."""
        return self.is_terminated and (self.process_state != "finished" or self.exit_status != 0)


def process_tree(node: orm.WorkChainNode) -> dict[int, Process]:
    """Return a work chain and everything below it by PK, callers before those they called, oldest first."""
    found = {process.pk: process for process in read([node.pk], called=False)}
    level = list(found)
    while level:
        below = {process.pk: process for process in read(level, called=True)}
        level = sorted(below, key=lambda pk: (below[pk].ctime, pk))
        found |= {pk: below[pk] for pk in level}
    return found


def read(keys: list[int], *, called: bool) -> Iterator[Process]:
    """Read the processes with these keys, or those that they called."""
    columns = ["id", "process_type", "node_type", "dbcomputer_id", "ctime", "mtime"]
    columns += [f"attributes.{name}" for name in ATTRIBUTES]
    for batch in batches(keys):
        query = orm.QueryBuilder().append(orm.ProcessNode, filters={"id": {"in": batch}}, tag="keys")
        if called:
            query.add_projection("keys", "id")
            query.append(orm.ProcessNode, with_incoming="keys", edge_filters={"type": {"in": CALLS}}, project=columns)
            yield from (Process(pk, caller, *rest) for caller, pk, *rest in query.iterall())
        else:
            query.add_projection("keys", columns)
            yield from (Process(pk, None, *rest) for pk, *rest in query.iterall())


def batches(keys: Iterable[int]) -> Iterator[list[int]]:
    """Cut keys into lists that fit into one query."""
    rest = list(keys)
    for start in range(0, len(rest), BATCH):
        yield rest[start : start + BATCH]


def dicts_of(jobs: Iterable[int], label: str, *, inputs: bool) -> dict[int, dict]:
    """Content of the Dict node that is the input or output with a label of each job, by the PK of the job."""
    found: dict[int, dict] = {}
    for batch in batches(jobs):
        query = orm.QueryBuilder().append(orm.CalcJobNode, filters={"id": {"in": batch}}, tag="job", project="id")
        direction = {"with_outgoing": "job"} if inputs else {"with_incoming": "job"}
        query.append(orm.Dict, edge_filters={"label": label}, project="attributes", **direction)
        found |= dict(query.iterall())
    return found
