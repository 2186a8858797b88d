"""`phasecal fit`: train a machine-learned potential on labelled frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from phasecal.fitting.descent import Epoch

EVERY = 10
"""Epochs between two lines of progress."""


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the record of the fit as JSON.")
def fit(config: Path, as_json: bool) -> None:
    """Fit the potential that CONFIG describes and write it, its learning curve and its errors beside CONFIG."""
    from phasecal.fitting.output import run_fit  # noqa: PLC0415  # `phasecal run` must not wait for optax and figures

    result = run_fit(config, None if as_json else _show)
    if as_json:
        click.echo(json.dumps(result, indent=1, ensure_ascii=False))
        return
    for part, rmse in result["rmse"].items():
        stress = "no stress" if rmse["stress_gpa"] is None else f"{rmse['stress_gpa']:.3g} GPa"
        energy, force = f"{rmse['energy_mev_atom']:.3g} meV/atom", f"{rmse['force_mev_a']:.3g} meV/Å"
        click.echo(f"{part:<10} {result['n_frames'][part]:>6} frames  {energy}  {force}  {stress}")
    click.echo(f"epoch {result['best_epoch']} of {result['epochs']}, {result['n_parameters']} parameters")
    click.echo("\n".join(result["files"]))


def _show(epoch: Epoch) -> None:
    """Print every tenth epoch on standard error."""
    if epoch.number % EVERY == 0 or epoch.number == 1:
        found = epoch.validation
        click.echo(
            f"epoch {epoch.number}: loss {epoch.train_loss:.4g}, validation {epoch.validation_loss:.4g} "
            f"({found.energy_mev_atom:.3g} meV/atom, {found.force_mev_a:.3g} meV/Å)",
            err=True,
        )
