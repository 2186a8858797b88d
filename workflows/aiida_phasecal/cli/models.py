"""`phasecal models`: versions of potentials in the database, and files to use them elsewhere."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from aiida_phasecal.cli.common import console, echo_json, json_option, with_profile
from phasecal.errors import InputError


@click.group()
def models() -> None:
    """Model versions: list, show, export."""


def describe(node) -> dict:
    """Plain facts of a model node."""
    return {"pk": node.pk, "label": node.label, "created": node.ctime.isoformat(timespec="seconds"), **facts_of(node)}


def facts_of(node) -> dict:
    """Attributes of a model node that matter to a reader."""
    keys = ("family", "elements", "n_parameters", "hash", "parent", "round")
    return {key: node.base.attributes.get(key) for key in keys}


@models.command("list")
@json_option
@with_profile
def list_models(as_json: bool) -> None:
    """List all model versions, oldest first."""
    from aiida import orm

    from aiida_phasecal.data.model import ModelData

    builder = orm.QueryBuilder().append(ModelData, tag="model")
    builder.order_by({"model": {"id": "asc"}})
    found = [describe(node) for node in builder.all(flat=True)]
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
@click.argument("pk", type=int)
@json_option
@with_profile
def show(pk: int, as_json: bool) -> None:
    """Show one model version with its parameters."""
    from aiida_phasecal.submit import load_model_node

    node = load_model_node(pk)
    model = node.get_model()
    entry = {
        **describe(node),
        "cutoff_a": model.cutoff,
        "parameters": dict(zip(model.parameter_names, model.theta.tolist(), strict=True)),
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
@click.argument("pk", type=int)
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
def export(pk: int, output: Path, form: str, as_json: bool) -> None:
    """Write a model for LAMMPS (potential file and `pair_style` snippet) and as safetensors."""
    from aiida_phasecal.submit import load_model_node
    from phasecal.engines.lammps import ARTIFACT_FILE
    from phasecal.potentials.artifact import plugin_commands

    node = load_model_node(pk)
    if output.exists() and any(output.iterdir()):
        raise InputError(f"-o {output}: the folder is not empty; name a new one")
    output.mkdir(parents=True, exist_ok=True)
    model = node.get_model()
    if form == "artifact":
        commands = plugin_commands(model, output, getattr(model, "dtype", "float32"))
    else:
        commands = model.export_lammps(output)
    snippet = output / "potential.in"
    snippet.write_text(f"# phasecal model {model.hash}\n" + "\n".join(commands) + "\n", encoding="utf8")
    model.save(output / "model.safetensors")
    files = sorted(path.name for path in output.iterdir())
    if as_json:
        echo_json({"folder": str(output), "files": files, "commands": commands})
        return
    click.echo(f"Wrote {', '.join(files)} to {output}. In LAMMPS (units metal):")
    for command in commands:
        click.echo(f"  {command}")
    if ARTIFACT_FILE in files:
        click.echo(f"The plugin comes from the Python beside LAMMPS: python -m phasecal.engines.lammps.plugin {output}")
