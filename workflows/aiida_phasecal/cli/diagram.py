"""`phasecal diagram`: figure and tables of a phase diagram."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_phasecal.cli.common import echo_json, json_option, with_profile


@click.command()
@click.argument("pk")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default="diagram", show_default=True)
@json_option
@with_profile
def diagram(pk: str, output: Path, as_json: bool) -> None:
    """Write the phase diagram of a campaign of the task phase-diagram: SVG, PNG, CSV; print its checks."""
    from aiida_phasecal.record import load_campaign_node
    from aiida_phasecal.reporting import diagram_data
    from phasecal.report.diagram import write_diagram

    data = diagram_data(load_campaign_node(pk))
    files = write_diagram(data, output)
    if as_json:
        echo_json({**data, "files": [str(path) for path in files]})
        return
    for check in data["lines"]["checks"]:
        click.echo(f"{'passed' if check['passed'] else 'FAILED'}: {check['name']}: {check['text']}")
    for point in data["lines"]["triple_points"]:
        click.echo(
            f"triple point {' × '.join(point['boundaries'])}: "
            f"{point['pressure_gpa']:.2f} ± {point['pressure_sigma_gpa']:.2f} GPa, "
            f"{point['temperature_k']:.0f} ± {point['temperature_sigma_k']:.0f} K"
        )
    click.echo(f"Phase diagram: {output} ({', '.join(path.name for path in files)})")
