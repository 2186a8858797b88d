"""`phasecal archive`: a campaign as one file."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import click

from aiida_phasecal.cli.common import echo_json, json_option, with_profile


@click.command()
@click.argument("pk")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File; TITLE.aiida if not given.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what the archive would hold and take.")
@json_option
@with_profile
def archive(pk: str, output: Path | None, dry_run: bool, as_json: bool) -> None:
    """Write a campaign with everything it came from into one file, to be imported elsewhere."""
    from aiida_phasecal.archive import contents_of, write_archive
    from aiida_phasecal.record import load_campaign_node

    node = load_campaign_node(pk)
    contents = contents_of(node)
    output = output or Path((re.sub(r"\W+", "-", node.label, flags=re.ASCII).strip("-")[:100] or "campaign") + ".aiida")
    if not as_json:
        expected = f"{megabytes(contents.estimate_bytes)} ± {megabytes(contents.sigma_bytes)} MB"
        click.echo(f"{output}: about {expected}, {contents.nodes} nodes with {contents.files} files")
    if not dry_run:
        write_archive(node, output)
    written = None if dry_run else output.stat().st_size
    if as_json:
        echo_json({"file": str(output), "uuid": node.uuid, "written_bytes": written, **asdict(contents)})
    elif written is not None:
        click.echo(f"Wrote {output}: {megabytes(written)} MB. `unzip -p {output} README.md` says how to open it.")


def megabytes(size: int) -> str:
    """A size in MB; small ones with the digits that they need."""
    return f"{size / 1e6:.1f}" if size >= 1e6 else f"{size / 1e6:.3f}"
