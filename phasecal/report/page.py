"""The page: one HTML file that needs nothing else, no script, no font, no network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from phasecal.report import sections
from phasecal.report.data import ReportData
from phasecal.report.markup import Html, join, raw, tag
from phasecal.report.style import Saved


def _policy() -> Html:
    """A content policy that forbids the page to load or run anything, whatever ends up in it."""
    content = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return tag("meta", http_equiv="Content-Security-Policy", content=content)


def build_page(data: ReportData, saved: Sequence[Saved]) -> Html:
    """Put the sections together.

    Args:
        data: The data of the report.
        saved: The figures, in the order in which they were drawn.

    Returns:
        The document.
    """
    figures = {item.drawing.name: item for item in saved}
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        _policy(),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content="phasecal"),
        tag("title", f"{data.title}: phasecal report {data.pk}"),
        tag("style", raw(files("phasecal.report").joinpath("page.css").read_text(encoding="utf-8"))),
    )
    body = tag(
        "body",
        tag(
            "main",
            sections.headline(data),
            sections.warnings(data),
            sections.boundaries(data, figures),
            sections.rounds(data, figures),
            sections.properties(data),
            sections.functions(figures),
            sections.interface_runs(figures),
            sections.cost(data),
            sections.lineage(data),
            sections.query(data),
            sections.origin(data),
        ),
    )
    return join(raw("<!doctype html>\n"), tag("html", head, body, lang="en"), raw("\n"))
