"""Commands that need AiiDA: they join the group `phasecal` and hang under verdi as `verdi data phasecal`."""

from __future__ import annotations

import click

from aiida_phasecal.cli.archive import archive
from aiida_phasecal.cli.diagram import diagram
from aiida_phasecal.cli.init import init
from aiida_phasecal.cli.launch import launch
from aiida_phasecal.cli.models import models
from aiida_phasecal.cli.query import query
from aiida_phasecal.cli.report import report
from aiida_phasecal.cli.show import show, status
from phasecal.cli.group import CommandGroup
from phasecal.cli.run import run
from phasecal.cli.validate import validate

COMMANDS = (init, launch, status, show, report, diagram, archive, models, query)


def register(group: click.Group) -> None:
    """Add the commands of the plugin to a click group."""
    for command in COMMANDS:
        group.add_command(command)


@click.group("phasecal", cls=CommandGroup)
def cmd_phasecal() -> None:
    """Calibrate interatomic potentials so that their phase boundaries meet experiment."""


cmd_phasecal.add_command(run)
cmd_phasecal.add_command(validate)
register(cmd_phasecal)
