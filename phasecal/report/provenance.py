"""The sections of the page about the record: cost, model versions, how to query it, the campaign file."""

from __future__ import annotations

from phasecal.report.markup import Child, Html, join, table, tag
from phasecal.report.numbers import count, duration
from phasecal.report.record import copy_button
from phasecal.report.sections import NOTHING, Page, code, number, section

_LABELS = {"atom_steps": "MD atom-steps", "wall_s": "wall time", "rounds": "calibration rounds"}


def cost(page: Page) -> Html:
    """What it cost, in all and by part."""
    total = page.data.cost or page.data.summary.cost
    rows: list[list[Child]] = []
    for key, value in (total.model_dump() if total else {}).items():
        if isinstance(value, int | float):
            shown = duration(value) if key.endswith("_s") else count(value)
            rows.append([_LABELS.get(key, key), shown])
    return section("Cost", table(["", "total"], rows) if rows else None, _cost_parts(page))


def _cost_parts(page: Page) -> Html:
    """Jobs, atom-steps and time of every part, with its share as a bar."""
    parts = page.data.cost_parts
    whole = sum(part.atom_steps or 0.0 for part in parts)
    if not whole:
        return NOTHING
    rows: list[list[Child]] = []
    for part in parts:
        share = (part.atom_steps or 0.0) / whole
        bar = tag("meter", value=f"{share:.3f}", aria_label=f"{100 * share:.0f} percent of the atom-steps")
        spent = duration(part.job_s) if part.job_s else None
        rows.append(
            [part.name, str(part.jobs), count(part.atom_steps or 0.0), join(bar, f" {100 * share:.0f} %"), spent]
        )
    note = tag("p", "Job time: from the start of each job to its end, waiting included; jobs overlap.", class_="meta")
    return join(table(["part", "MD jobs", "atom-steps", "share", "job time"], rows), note)


def lineage(page: Page) -> Html:
    """The model versions, oldest first."""
    rows: list[list[Child]] = [
        [number(item.round, "d"), page.links.one(item.pk), code(item.hash), code(item.parent and item.parent[:12])]
        for item in page.data.lineage
    ]
    return section("Model versions", table(["round", "node", "hash", "parent"], rows)) if rows else NOTHING


def query(page: Page) -> Html:
    """How to get from here to the record."""
    data = page.data
    model = data.summary.model.pk if data.summary.model else None
    lines = [
        (f"phasecal show {data.pk} --json", "these results, for programs"),
        (f"verdi process status {data.pk}", "every process, down to the MD jobs"),
        (f"verdi node graph generate {data.pk}", "the provenance graph"),
    ]
    if model is not None:
        lines.append((f"phasecal models export {model} -o model", "LAMMPS files of the final model"))
    python = (
        "from aiida import load_profile, orm\n\n"
        "load_profile()\n"
        f"campaign = orm.load_node({data.pk})\n"
        "for job in campaign.called_descendants:\n"
        "    print(job.pk, job.process_label, job.process_state, job.exit_status)\n"
        "    for link in job.base.links.get_outgoing().all():\n"
        "        print('   ', link.link_label, link.node)"
    )
    commands: list[list[Child]] = [
        [tag("code", command), what, copy_button(command, f"copy: {command}", "copy")] for command, what in lines
    ]
    nodes = tag("details", tag("summary", "Every node named on this page"), page.links.listing())
    return section(
        "How to query the record",
        table(["command", "what it shows", ""], commands),
        tag("p", "In Python, every job with its trajectory, energies and model:"),
        tag("pre", python, tabindex="0"),
        copy_button(python, "copy the Python snippet", "copy"),
        nodes,
    )


def origin(page: Page) -> Html:
    """The campaign file and the versions that made this."""
    data = page.data
    rows: list[list[Child]] = [[name, version] for name, version in sorted(data.versions.items())]
    return join(
        section("Campaign file", tag("pre", data.campaign_file, tabindex="0")) if data.campaign_file else NOTHING,
        section("Software", table(["package", "version"], rows)) if rows else NOTHING,
    )
