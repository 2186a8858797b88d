"""`phasecal query`: campaigns in the database."""

from __future__ import annotations

import click
from rich.table import Table

from aiida_phasecal.cli.common import console, echo_json, json_option, with_profile


@click.command()
@click.option("--state", type=click.Choice(["finished", "failed", "running"]), help="Only campaigns in this state.")
@click.option("--title", help="Only campaigns with this title.")
@json_option
@with_profile
def query(state: str | None, title: str | None, as_json: bool) -> None:
    """List campaigns, newest first."""
    campaigns = [
        entry
        for entry in list_campaigns()
        if (state is None or entry["state"] == state) and (title is None or entry["title"] == title)
    ]
    if as_json:
        echo_json(campaigns)
    else:
        print_campaigns(campaigns)


def list_campaigns() -> list[dict]:
    """Campaigns of the profile, newest first: `pk`, `title`, `task`, `state`."""
    from aiida import orm

    from aiida_phasecal.record import TASKS, state_of, task_of

    types = {"process_type": {"in": [chain.build_process_type() for chain in TASKS.values()]}}
    builder = orm.QueryBuilder().append(orm.WorkChainNode, filters=types, tag="node")
    builder.order_by({"node": {"id": "desc"}})
    # not by group: an imported archive brings none
    nodes = [node for node in builder.all(flat=True) if node.caller is None]
    return [{"pk": n.pk, "title": n.label, "task": task_of(n), "state": state_of(n)} for n in nodes]


def print_campaigns(campaigns: list[dict]) -> None:
    """Print campaigns as a table."""
    table = Table("PK", "title", "task", "state")
    for entry in campaigns:
        table.add_row(str(entry["pk"]), entry["title"], entry["task"], entry["state"])
    console.print(table if campaigns else "no campaigns in this profile; `phasecal launch FILE` starts one")
