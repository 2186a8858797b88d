"""`phasecal report`: figures and a page about a campaign."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_phasecal.cli.common import echo_json, json_option, with_profile


@click.command()
@click.argument("pk")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default="report", show_default=True)
@json_option
@with_profile
def report(pk: str, output: Path, as_json: bool) -> None:
    """Write a self-contained HTML report with PNG and SVG figures and CSV tables."""
    from aiida_phasecal.record import load_campaign_node
    from aiida_phasecal.reporting import report_data
    from phasecal.report import write_report

    files = write_report(report_data(load_campaign_node(pk)), output)
    if as_json:
        echo_json({"folder": str(output), "files": [str(path) for path in files]})
    else:
        click.echo(f"Report: {output / 'report.html'} ({len(files)} files)")
