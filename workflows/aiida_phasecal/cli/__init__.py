"""Commands that need AiiDA: they join the group `phasecal` and hang under verdi as `verdi data phasecal`."""

from __future__ import annotations

import click

from phasecal.cli import COMMANDS as SCIENCE
from phasecal.cli.group import CommandGroup

MODULES = ("init", "launch", "show", "report", "diagram", "archive", "models", "query")
COMMANDS = {name: f"aiida_phasecal.cli.{name}:{name}" for name in MODULES} | {
    "status": "aiida_phasecal.cli.show:status",
    "resume": "aiida_phasecal.cli.again:resume",
    "extend": "aiida_phasecal.cli.again:extend",
}
"""Where the commands of the plugin are."""


def register(group: CommandGroup) -> None:
    """Add the commands of the plugin to a group."""
    group.lazy |= COMMANDS


@click.group("phasecal", cls=CommandGroup, lazy={**COMMANDS, "run": SCIENCE["run"], "validate": SCIENCE["validate"]})
def cmd_phasecal() -> None:
    """Calibrate interatomic potentials so that their phase boundaries meet experiment."""
