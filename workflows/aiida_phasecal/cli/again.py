"""`phasecal resume` and `phasecal extend`: campaigns that go on from what exists."""

from __future__ import annotations

import click

from aiida_phasecal.cli.common import json_option, with_profile
from aiida_phasecal.cli.launch import announce, require_daemon, wait_option
from phasecal.campaign.reduced import TEMPERATURE_K
from phasecal.errors import InputError
from phasecal.units import parse_quantity


@click.command()
@click.argument("pk")
@wait_option
@json_option
@with_profile
def resume(pk: str, wait: bool, as_json: bool) -> None:
    """Launch a campaign that failed or was killed once more; jobs that are done are not repeated."""
    from aiida_phasecal.again import resume as submit_again
    from aiida_phasecal.record import load_campaign_node

    node = load_campaign_node(pk)
    require_daemon()
    announce(submit_again(node), wait, as_json)


@click.command()
@click.argument("pk")
@click.option(
    "--sigma", required=True, help="The interval wanted, such as 1K; for campaigns with `units: lj` a number."
)
@wait_option
@json_option
@with_profile
def extend(pk: str, sigma: str, wait: bool, as_json: bool) -> None:
    """Make the interval of a result smaller with further runs; those that are done are not repeated."""
    from aiida_phasecal.again import extend as submit_more
    from aiida_phasecal.record import load_campaign_node

    node = load_campaign_node(pk)
    sigma_k = interval_k(sigma, node.inputs.campaign.get_dict().get("units"))
    require_daemon()
    announce(submit_more(node, sigma_k), wait, as_json)


def interval_k(text: str, units: str | None) -> float:
    """An interval as the user writes it, K.

    Raises:
        InputError: It is no positive temperature.
    """
    try:
        value = float(text) * TEMPERATURE_K if units == "lj" else parse_quantity(text, "temperature")
    except (ValueError, InputError) as error:
        raise InputError(f"--sigma: {text!r} is no temperature interval; expected one such as 1K") from error
    if not value > 0:
        raise InputError(f"--sigma: {text!r} is not positive; expected an interval such as 1K")
    return value
