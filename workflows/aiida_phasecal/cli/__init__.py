"""Commands of phasecal that need AiiDA. They join the `phasecal` group and hang under verdi as `verdi data phasecal`."""

from __future__ import annotations

import click

from aiida_phasecal.cli.init import init
from aiida_phasecal.cli.launch import launch
from aiida_phasecal.cli.models import models
from aiida_phasecal.cli.query import query
from aiida_phasecal.cli.report import report
from aiida_phasecal.cli.show import show, status

COMMANDS = (init, launch, status, show, report, models, query)


def register(group: click.Group) -> None:
    """Add the commands of the plugin to a click group."""
    for command in COMMANDS:
        group.add_command(command)


@click.group("phasecal")
def cmd_phasecal() -> None:
    """Calibrate interatomic potentials against phase boundaries."""


register(cmd_phasecal)
