"""`phasecal launch`: from a campaign file to a running work chain."""

from __future__ import annotations

from pathlib import Path

import click

from aiida_phasecal.cli.common import echo_json, json_option, with_profile
from aiida_phasecal.daemon import is_daemon_running, start_command
from phasecal.campaign.context import TASKS
from phasecal.campaign.load import load_campaign
from phasecal.campaign.protocols import NAMES
from phasecal.errors import InputError, PhasecalError


class CampaignFailedError(PhasecalError):
    """A campaign that was waited for did not end well."""


wait_option = click.option("--wait/--no-wait", default=False, help="Show progress until the end, or return at once.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--task", type=click.Choice(TASKS), default="calibrate", show_default=True)
@click.option("--protocol", type=click.Choice(NAMES), help="Use this protocol instead of the campaign's.")
@click.option("--model", "model_pk", type=int, help="Start from this model node instead of the campaign's source.")
@click.option("--computer", help="Computer to run on, instead of the campaign's.")
@wait_option
@json_option
@with_profile
def launch(
    file: Path,
    task: str,
    protocol: str | None,
    model_pk: int | None,
    computer: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Launch a campaign file; the daemon does the work."""
    from aiida_phasecal.submit import submit_campaign

    campaign = load_campaign(file, task=task, protocol=protocol, computer=computer)
    require_daemon()
    node = submit_campaign(campaign, task=task, model_pk=model_pk, text=file.read_text(encoding="utf8"))
    announce(node, wait, as_json)


def announce(node, wait: bool, as_json: bool) -> None:
    """Say the PK of a campaign that was submitted, and wait for it if wanted."""
    if as_json:
        echo_json({"pk": node.pk, "uuid": node.uuid})
    else:
        click.echo(f"PK {node.pk}")
    if wait:
        wait_for(node, as_json)


def require_daemon() -> None:
    """Refuse to launch into nothing.

    Raises:
        InputError: The daemon of this profile is not running.
    """
    if not is_daemon_running():
        raise InputError(f"the daemon is not running, nothing would be done; start it with {start_command()}")


def wait_for(node, as_json: bool) -> None:
    """Show progress to the end; Ctrl-C stops only the display.

    Raises:
        CampaignFailedError: The campaign ended with an exit code.
    """
    from aiida_phasecal.advice import parts_of
    from aiida_phasecal.cli.progress import follow, follow_silently
    from aiida_phasecal.cli.show import print_summary
    from aiida_phasecal.record import state_of, summarise

    try:
        (follow_silently if as_json else follow)(node)
    except KeyboardInterrupt:
        click.echo(
            f"\nThe campaign goes on in the daemon. Follow it with `phasecal status {node.pk} --watch`, "
            f"stop it with `verdi process kill {node.pk}`.",
            err=as_json,
        )
        return
    if not as_json:
        print_summary(summarise(node))
    if state_of(node) != "finished":
        state = node.process_state.value
        raise CampaignFailedError(
            f"campaign {node.pk} ended with [{node.exit_status}] {parts_of(node.exit_message).what or state}; "
            f"`phasecal show {node.pk}` says why and what to do"
        )
