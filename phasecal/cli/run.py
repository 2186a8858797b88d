"""`phasecal run`: execute a task file; what jobs call on the node."""

from __future__ import annotations

from pathlib import Path

import click

from phasecal.task import run_task


@click.command()
@click.argument("task", type=click.Path(path_type=Path))
def run(task: Path) -> None:
    """Execute the task file TASK in its folder and write result.json next to it."""
    run_task(task)
