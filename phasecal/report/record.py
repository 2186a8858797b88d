"""From every number to the record: the nodes that a report names, and the command that shows each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from phasecal.report.data import ReportData
from phasecal.report.markup import Child, Html, join, table, tag

PROCESS = "verdi process show {pk}"
MODEL = "phasecal models show {pk}"
POINT = "phasecal models lineage {pk}"
NODE = "verdi node show {pk}"


@dataclass(frozen=True)
class Node:
    """A node of the record that a report names: what it is, and the command that shows it."""

    what: str
    command: str


def nodes_of(data: ReportData) -> dict[int, Node]:
    """The nodes that a report names, by their keys, in the order of the page; the first description counts."""
    found: dict[int, Node] = {}

    def add(pk: int | None, what: str, form: str) -> None:
        if pk is not None:
            found.setdefault(pk, Node(what, form.format(pk=pk)))

    add(data.pk, "this campaign", "phasecal show {pk} --json")
    estimated = {entry.pk for entry in data.rounds}
    for boundary in data.summary.boundaries:
        name = f"{' → '.join(boundary.phases)}, {boundary.pressure_gpa:g} GPa"
        if boundary.pk not in estimated:  # the point of an unfinished calibration is its latest step
            add(boundary.pk, f"boundary point {name}", POINT)
    for number, entry in enumerate(data.rounds, start=1):
        add(entry.pk, f"calibration step of round {number}", PROCESS)
    for anchor in data.anchors:
        name = f" of {' → '.join(anchor.phases)}" if anchor.phases else ""
        add(anchor.pk, f"{anchor.label} measurement{name}", PROCESS)
        for index, replica in enumerate(anchor.replicas, start=1):
            add(replica.pk, f"interface run, replica {index}", PROCESS)
    for curve in data.structures:
        for pk in (curve.initial_pk, curve.final_pk):
            add(pk, f"frames of {curve.phase} at the transition", NODE)
    for item in data.properties:
        for pk in (item.initial_pk, item.final_pk):
            add(pk, "a measurement of the table of properties", NODE)
    for run in data.rejected:
        add(run.pk, run.what, PROCESS)
    for version in data.lineage:
        add(version.pk, f"model of round {version.round}" if version.round else "initial model", MODEL)
    if data.summary.model:
        add(data.summary.model.pk, "the model", MODEL)
    return found


class Links:
    """Makes the links of a page from numbers to the nodes that they come from."""

    def __init__(self, data: ReportData) -> None:
        self.nodes = nodes_of(data)

    def one(self, pk: int | None) -> Html | None:
        """A link to a node in the list of the record, with a button that copies the command; ``None`` without key."""
        if pk is None or pk not in self.nodes:
            return None
        link = tag("a", f"PK {pk}", href=f"#pk-{pk}", title=self.nodes[pk].what)
        return tag(
            "span", link, copy_button(self.nodes[pk].command, f"copy the query for PK {pk}", "copy"), class_="pk"
        )

    def all(self, pks: Iterable[int | None]) -> Html | None:
        """Links to several nodes, each once; ``None`` if there are none."""
        found = [link for pk in dict.fromkeys(pks) if (link := self.one(pk)) is not None]
        return join(*found, separator=" ") if found else None

    def listing(self) -> Html:
        """The list that links lead to."""
        rows: list[list[Child]] = [
            [
                tag("span", f"PK {pk}", id=f"pk-{pk}", tabindex="-1"),
                node.what,
                tag("code", node.command),
                copy_button(node.command, f"copy the query for PK {pk}", "copy query"),
            ]
            for pk, node in self.nodes.items()
        ]
        return table(["node", "what it is", "query", ""], rows)


def copy_button(command: str, label: str, words: str) -> Html:
    """A button that copies a command; hidden until the page's script can do it."""
    return tag(
        "button",
        words,
        type="button",
        class_="copy",
        data_copy=command,
        aria_label=label,
        title=command,
        hidden="hidden",
    )
