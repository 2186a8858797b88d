"""`phasecal show` and `phasecal status`: the result of a campaign, and where it stands."""

from __future__ import annotations

import click
from rich.table import Table

from aiida_phasecal.cli.common import console, echo_json, in_campaign_units, interval, json_option, with_profile
from phasecal.campaign.methods import how_verified


@click.command()
@click.argument("pk")
@json_option
@with_profile
def show(pk: str, as_json: bool) -> None:
    """Show the result of a campaign: T ± σ per boundary and pressure, target, method, seeds, origin."""
    from aiida_phasecal.record import load_campaign_node, presented, summarise

    summary = summarise(load_campaign_node(pk))
    if as_json:
        echo_json(presented(summary))
    else:
        print_summary(summary)


def print_summary(summary: dict) -> None:
    """Print a summary as a table."""
    from aiida_phasecal.cli.progress import draw_failure

    console.print(f"{summary['title']}: {summary['task']} {summary['pk']}, {summary['state']}", highlight=False)
    console.print(*draw_failure(summary["failure"]), sep="\n", end="\n" if summary["failure"] else "")
    summary, kelvin, gpa, digits = in_campaign_units(summary)
    with_line = any(entry["line_k"] is not None for entry in summary["boundaries"])
    names = ["initial", "training estimate", "result", *(["on the line"] if with_line else []), "target"]
    columns = [f"{name}{kelvin}" for name in names]
    table = Table("boundary", f"P{gpa}", *columns, "method", "PK")
    for entry in summary["boundaries"]:
        verified = entry.get("verified", True)
        method = entry["method"] and how_verified(entry["method"], entry.get("anchor_method") if verified else None)
        table.add_row(
            "–".join(entry["phases"]),
            f"{entry['pressure_gpa']:g}",
            interval(entry["initial_k"], entry["initial_sigma_k"], digits),
            interval(entry.get("estimate_k"), entry.get("estimate_sigma_k"), digits),
            interval(entry["temperature_k"], entry["sigma_k"], digits) if verified else "not verified",
            *([interval(entry["line_k"], entry["line_sigma_k"], digits)] if with_line else []),
            interval(entry["target_k"], entry["target_sigma_k"], digits),
            str(method or "–"),
            str(entry["pk"] or "–"),
        )
    if summary["boundaries"]:
        console.print(table)
    cost, model = summary["cost"], summary["model"]
    console.print(f"model {model['hash'][:12]} (PK {model['pk']})", highlight=False)
    console.print(
        f"{cost['atom_steps']:.3g} atom-steps, {cost['wall_s']:.0f} s, {cost['rounds']} rounds", highlight=False
    )


@click.command()
@click.argument("pk", required=False)
@click.option("--watch", is_flag=True, help="Keep the display up to date until the campaign ends.")
@json_option
@with_profile
def status(pk: str | None, watch: bool, as_json: bool) -> None:
    """Show where a campaign stands, what waits and why. Without PK: all campaigns."""
    if pk is None:
        from aiida_phasecal.cli.query import print_campaigns
        from aiida_phasecal.query import campaigns

        found = campaigns()
        echo_json(found) if as_json else print_campaigns(found)
        return
    from aiida_phasecal.cli.progress import follow, render
    from aiida_phasecal.record import load_campaign_node, presented
    from aiida_phasecal.status import progress_of

    node = load_campaign_node(pk)
    if watch and not as_json:
        follow(node)
        if not console.is_terminal:
            console.print(render(progress_of(node)))
    elif as_json:
        echo_json(presented(progress_of(node)))
    else:
        console.print(render(progress_of(node)))
