"""The command line: what needs only the science, and what plugins add."""

from __future__ import annotations

import click

from phasecal import __version__
from phasecal.cli.group import PluginGroup

COMMANDS = {name: f"phasecal.cli.{name}:{name}" for name in ("fit", "label", "run", "validate")}
"""Where the commands of the science are."""


@click.group(cls=PluginGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="phasecal")
def main() -> None:
    """Calibrate interatomic potentials so that their phase boundaries meet experiment."""
