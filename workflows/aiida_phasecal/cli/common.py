"""What the commands share: the profile, JSON output and tables."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable

import click
from rich.console import Console

from aiida_phasecal.cli.profiles import load_profile
from phasecal.campaign.reduced import is_reduced, reduced

# Where there is no terminal to ask, a table must not be squeezed into 80 columns.
# Titles and names are text, not markup.
console = Console(width=None if sys.stdout.isatty() else 140, markup=False, emoji=False)


def with_profile(command: Callable) -> Callable:
    """Add `-p/--profile` to a command and load that AiiDA profile before it runs."""

    @click.option("-p", "--profile", help="AiiDA profile; the default one if not given.")
    @functools.wraps(command)
    def wrapper(*args, profile: str | None, **kwargs):
        load_profile(profile)
        return command(*args, **kwargs)

    return wrapper


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def echo_json(data: object) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(data, indent=1, ensure_ascii=False))


def interval(value: float | None, sigma: float | None, digits: int = 1) -> str:
    """Format a value with its interval; a number without one is not shown."""
    if value is None or sigma is None:
        return "–"
    return f"{value:.{digits}f} ± {sigma:.{digits}f}"


def in_campaign_units(summary: dict) -> tuple[dict, str, str, int]:
    """A summary (keys as they are) for a table in the units of its campaign.

    Returns:
        The summary, what follows names of temperatures and of pressures in headings, and digits of temperatures.
    """
    if is_reduced(summary):
        return reduced(summary, rename=False), "", "", 4
    return summary, ", K", ", GPa", 1
