"""`phasecal label`: label frames by a teacher, as data for `phasecal fit`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("frames", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The extxyz file to write.")
@click.option(
    "--lammps", "commands", multiple=True, help='A pair command, such as "pair_style meam/spline"; repeatable.'
)
@click.option(
    "--file", "files", multiple=True, help="A file that the commands name: a path or lammps://NAME; repeatable."
)
@click.option(
    "--elements", help="Elements in the order of LAMMPS' atom types, such as Ti,Al; by default as they appear."
)
@click.option("--calculator", help="An ASE calculator as module:factory, such as ase.calculators.emt:EMT.")
@click.option("--stride", type=click.IntRange(min=1), default=1, show_default=True, help="Take every so many frames.")
def label(
    frames: tuple[Path, ...],
    output: Path,
    commands: tuple[str, ...],
    files: tuple[str, ...],
    elements: str | None,
    calculator: str | None,
    stride: int,
) -> None:
    """Compute energy, forces and stress of all FRAMES (extxyz, or samples of phasecal) with another potential."""
    from phasecal.fitting.data import write_labelled  # noqa: PLC0415  # `phasecal run` must not wait for it
    from phasecal.fitting.label import ase_teacher, lammps_teacher, read_unlabelled  # noqa: PLC0415  # the same

    if bool(commands) == bool(calculator):
        raise click.UsageError("expected either --lammps (and --file) or --calculator")
    images = [atoms for path in frames for atoms in read_unlabelled(path, stride)]
    if calculator:
        teacher = ase_teacher(calculator)
    else:
        found = list(dict.fromkeys(symbol for atoms in images for symbol in atoms.symbols))
        teacher = lammps_teacher(commands, files, elements.split(",") if elements else found, Path())
    labelled = teacher(images)
    write_labelled(output, labelled)
    click.echo(f"{output}: {len(labelled)} frames, {sum(len(frame.atoms) for frame in labelled)} atoms")
