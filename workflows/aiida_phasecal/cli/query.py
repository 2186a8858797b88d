"""`phasecal query`: campaigns of the database and their boundary points, by what they are about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.table import Table

from aiida_phasecal.cli.common import console, echo_json, in_campaign_units, interval, json_option, with_profile
from phasecal.campaign.methods import METHODS
from phasecal.campaign.reduced import is_reduced, reduced

DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


class RangeType(click.ParamType):
    """`MIN:MAX`, of which one may be missing, or one number."""

    name = "min:max"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return least and greatest value; None: no limit."""
        low, colon, high = str(value).partition(":")
        try:
            limits = tuple(float(end) if end else None for end in (low, high if colon else low))
        except ValueError:
            limits = (None, None)
        if limits == (None, None):
            self.fail(f"{value!r} is not a range; write MIN:MAX, MIN:, :MAX or one number", param, ctx)
        return limits


@click.command()
@click.option("--state", type=click.Choice(["finished", "failed", "running"]), help="Campaigns in this state.")
@click.option("--campaign", "--title", help="The campaign with this PK, or those with this title.")
@click.option("--since", type=click.DateTime(DATES), help="Launched at this time or later (local time).")
@click.option("--until", type=click.DateTime(DATES), help="Launched before this time (local time).")
@click.option("--element", "elements", multiple=True, help="The model has this element; may be repeated.")
@click.option("--boundary", help="Points of this boundary, such as fcc-liquid.")
@click.option("--pressure", type=RangeType(), help="Points in this range, GPa (reduced for campaigns in such units).")
@click.option("--difference", type=RangeType(), help="Points at this distance from T_exp, K (or reduced).")
@click.option("--method", type=click.Choice([*METHODS, "clausius-clapeyron"]), help="Points measured in this way.")
@click.option(
    "--role",
    type=click.Choice(["anchor", "re-anchor", "verification", "line"]),
    help="Points measured for this; line: on the lines of a phase diagram.",
)
@click.option("--model", help="Points of the model whose hash begins so.")
@json_option
@with_profile
def query(as_json: bool, since: datetime | None, until: datetime | None, **filters: Any) -> None:
    """List campaigns, newest first, with every boundary point that was measured.

    Options narrow both: a campaign without a point that was asked for is left out.
    """
    from aiida_phasecal.query import Selection, campaigns_with_points

    wanted = Selection(since=since and since.astimezone(), until=until and until.astimezone(), **filters)
    found = campaigns_with_points(wanted)
    if as_json:
        echo_json([reduced(entry) if is_reduced(entry) else entry for entry in found])
        return
    print_campaigns(found)
    for entry in found:
        if entry["points"]:
            print_points(entry)


def print_campaigns(campaigns: list[dict]) -> None:
    """Print campaigns as a table."""
    table = Table("PK", "title", "task", "state", "launched")
    for entry in campaigns:
        table.add_row(str(entry["pk"]), entry["title"], entry["task"], entry["state"], entry["created"])
    console.print(table if campaigns else "no such campaign in this profile; `phasecal launch FILE` starts one")


def print_points(campaign: dict) -> None:
    """Print the boundary points of a campaign as a table."""
    campaign, kelvin, gpa, digits = in_campaign_units(campaign)
    columns = [f"{name}{kelvin}" for name in ("T", "T_exp", "T - T_exp")]
    title = f"{campaign['title']} (PK {campaign['pk']})"
    table = Table("boundary", f"P{gpa}", *columns, "role", "method", "model", "PK", title=title, title_justify="left")
    for point in campaign["points"]:
        table.add_row(
            "–".join(point["phases"]),
            f"{point['pressure_gpa']:g}",
            interval(point["temperature_k"], point["sigma_k"], digits),
            interval(point["target_k"], point["target_sigma_k"], digits),
            interval(point["difference_k"], point["difference_sigma_k"], digits),
            point["role"],
            point["method"],
            point["model_hash"][:12],
            str(point["pk"]),
        )
    console.print(table)
