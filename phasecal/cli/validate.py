"""`phasecal validate`: check a campaign file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from phasecal.campaign.consistency import contradictions
from phasecal.campaign.context import TASKS
from phasecal.campaign.document import CampaignErrors
from phasecal.campaign.load import load_campaign
from phasecal.campaign.protocols import NAMES
from phasecal.campaign.schema import Campaign
from phasecal.cli.group import EXIT_WRONG_INPUT


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", type=click.Choice(TASKS), default="calibrate", show_default=True, help="Task to check for.")
@click.option("--protocol", type=click.Choice(NAMES), help="Replace the protocol of the file.")
@click.option("--json", "as_json", is_flag=True, help="Print errors, or the campaign in internal units, as JSON.")
@click.pass_context
def validate(ctx: click.Context, file: Path, task: str, protocol: str | None, as_json: bool) -> None:
    """Check the campaign FILE; all errors are shown at once, with file, line, key and what was expected.

    Targets that contradict each other are reported with the numbers as warnings.
    """
    try:
        campaign = load_campaign(file, task=task, protocol=protocol)
    except CampaignErrors as errors:
        if not as_json:
            raise
        problems = [dataclasses.asdict(problem) for problem in errors.problems]
        click.echo(json.dumps({"schema": 1, "valid": False, "errors": problems}, indent=1, ensure_ascii=False))
        ctx.exit(EXIT_WRONG_INPUT)
    warnings = contradictions(campaign.to_dict())
    if as_json:
        result = {"schema": 1, "valid": True, "errors": [], "warnings": warnings, "campaign": campaign.to_dict()}
        click.echo(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        click.echo(f"{file}: valid for {task}: {_summary(campaign)}")
        for warning in warnings:
            click.echo(f"{file}: warning: {warning}", err=True)


def _summary(campaign: Campaign) -> str:
    """Say in one line what the campaign is."""
    boundaries = ", ".join("–".join(boundary.phases) for boundary in campaign.boundaries)
    n_targets = sum(len(boundary.targets) for boundary in campaign.boundaries)
    source = getattr(campaign.model, "source", None) or getattr(campaign.model, "commands", [None])[0]
    model = f"{campaign.model.family} {'-'.join(campaign.elements)}{f' from {source}' if source else ''}"
    targets = f"{n_targets} target{'' if n_targets == 1 else 's'}"
    engine = "; bulk states by jax-md, interfaces and free energies by LAMMPS" if campaign.engine == "jax-md" else ""
    return f"{campaign.title}; {model}; {boundaries}; {targets}; protocol {campaign.protocol.name}{engine}"
