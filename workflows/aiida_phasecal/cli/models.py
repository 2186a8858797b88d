"""`phasecal models`: versions of potentials in the database, and files to use them elsewhere."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from aiida_phasecal.cli.common import console, echo_json, json_option, with_profile
from phasecal.errors import InputError


@click.group()
def models() -> None:
    """Model versions: list, show, compare, trace back, export. MODEL is a PK, a UUID, or the beginning of a hash."""


@models.command("list")
@json_option
@with_profile
def list_models(as_json: bool) -> None:
    """List all model versions, oldest first."""
    from aiida_phasecal.query import models as all_models

    found = all_models()
    if as_json:
        echo_json(found)
        return
    table = Table("PK", "label", "family", "elements", "round", "parameters", "hash", "parent")
    for entry in found:
        table.add_row(
            str(entry["pk"]),
            entry["label"],
            entry["family"],
            " ".join(entry["elements"]),
            str(entry["round"]),
            str(entry["n_parameters"]),
            entry["hash"][:12],
            (entry["parent"] or "–")[:12],
        )
    console.print(table)


@models.command()
@click.argument("model")
@json_option
@with_profile
def show(model: str, as_json: bool) -> None:
    """Show one model version with its parameters."""
    from aiida_phasecal.query import describe_model, load_model_node

    node = load_model_node(model)
    potential = node.get_model()
    entry = {
        **describe_model(node),
        "cutoff_a": potential.cutoff,
        "parameters": dict(zip(potential.parameter_names, potential.theta.tolist(), strict=True)),
    }
    if as_json:
        echo_json(entry)
        return
    for key, value in entry.items():
        if key != "parameters":
            console.print(f"{key}: {value}", highlight=False)
    table = Table("parameter", "value")
    for name, value in entry["parameters"].items():
        table.add_row(name, f"{value:+.6e}")
    console.print(table)


@models.command()
@click.argument("model")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["lammps", "artifact"]),
    default="lammps",
    show_default=True,
    help="A native pair style where there is one, or a JAX artifact for the plugin (local models).",
)
@json_option
@with_profile
def export(model: str, output: Path, form: str, as_json: bool) -> None:
    """Write a model for LAMMPS (potential file and `pair_style` snippet) and as safetensors."""
    from aiida_phasecal.query import load_model_node
    from phasecal.engines.lammps import ARTIFACT_FILE
    from phasecal.potentials.artifact import plugin_commands

    potential = load_model_node(model).get_model()
    if output.exists() and any(output.iterdir()):
        raise InputError(f"-o {output}: the folder is not empty; name a new one")
    output.mkdir(parents=True, exist_ok=True)
    if form == "artifact":
        commands = plugin_commands(potential, output, getattr(potential, "dtype", "float32"))
    else:
        commands = potential.export_lammps(output)
    snippet = output / "potential.in"
    snippet.write_text(f"# phasecal model {potential.hash}\n" + "\n".join(commands) + "\n", encoding="utf8")
    potential.save(output / "model.safetensors")
    files = sorted(path.name for path in output.iterdir())
    if as_json:
        echo_json({"folder": str(output), "files": files, "commands": commands})
        return
    click.echo(f"Wrote {', '.join(files)} to {output}. In LAMMPS (units metal):")
    for command in commands:
        click.echo(f"  {command}")
    if ARTIFACT_FILE in files:
        click.echo(f"The plugin comes from the Python beside LAMMPS: python -m phasecal.engines.lammps.plugin {output}")


@models.command()
@click.argument("a")
@click.argument("b")
@json_option
@with_profile
def diff(a: str, b: str, as_json: bool) -> None:
    """Compare models A and B: parameters, functions, boundaries, forces on the same frames."""
    from aiida_phasecal.cli.difference import print_difference
    from aiida_phasecal.difference import difference
    from aiida_phasecal.query import load_model_node

    found = difference(load_model_node(a), load_model_node(b))
    if as_json:
        echo_json(found)
    else:
        print_difference(found)


@models.command()
@click.argument("node")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Draw it too: lineage.svg and .png here."
)
@json_option
@with_profile
def lineage(node: str, output: Path | None, as_json: bool) -> None:
    """Trace NODE, a boundary point (its PK in `phasecal show` or `query`) or a model, back to files and experiment."""
    from aiida_phasecal.cli.lineage import tree_of
    from aiida_phasecal.lineage import in_units_of_campaign
    from aiida_phasecal.lineage import lineage as trace

    data = trace(node)
    if output is not None:
        from phasecal.report.lineage import write_lineage

        write_lineage(data, output)
    if as_json:
        echo_json(in_units_of_campaign(data))
    else:
        console.print(tree_of(data), soft_wrap=True)
