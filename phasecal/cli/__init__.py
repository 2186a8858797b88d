"""The command line: what needs only the science, and what plugins add."""

from __future__ import annotations

import click

from phasecal import __version__
from phasecal.cli.fit import fit
from phasecal.cli.group import PluginGroup
from phasecal.cli.label import label
from phasecal.cli.run import run
from phasecal.cli.validate import validate


@click.group(cls=PluginGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="phasecal")
def main() -> None:
    """Calibrate interatomic potentials so that their phase boundaries meet experiment."""


main.add_command(fit)
main.add_command(label)
main.add_command(run)
main.add_command(validate)
