"""`python -m phasecal.engines.jaxmd [FOLDER …]`: run or continue the bulk tasks in folders, together."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from phasecal.engines.jaxmd.runs import run
from phasecal.errors import PhasecalError


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
def main(folders: tuple[Path, ...]) -> None:
    """Run task.json with model.safetensors in each of FOLDERS (default: here), as one batch."""
    try:
        run(folders or (Path(),))
    except PhasecalError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
