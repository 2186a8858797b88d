"""The page: one HTML file that needs nothing else, no font, no network, and no script to be read.

A script of our own makes figures answer (series to switch off, points to read) and copies queries. The content policy
names it by its hash: nothing else can run, whatever a title or a phase is called (docs/adr/0027).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from phasecal.report import provenance, sections
from phasecal.report.data import ReportData
from phasecal.report.markup import Html, join, raw, tag
from phasecal.report.record import Links
from phasecal.report.style import Saved


def _resource(name: str) -> Html:
    """A file of this package that goes into the page as it is."""
    return raw(files("phasecal.report").joinpath(name).read_text(encoding="utf-8"))


def _policy(script: Html) -> Html:
    """A content policy that forbids the page to load anything, or to run anything but its script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    content = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )
    return tag("meta", http_equiv="Content-Security-Policy", content=content)


def build_page(data: ReportData, saved: Sequence[Saved]) -> Html:
    """Put the sections together.

    Args:
        data: The data of the report.
        saved: The figures, in the order in which they were drawn.

    Returns:
        The document.
    """
    page = sections.Page(data, {item.drawing.name: item for item in saved}, Links(data))
    script = _resource("page.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        _policy(script),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content="phasecal"),
        tag("title", f"{data.title}: phasecal report {data.pk}"),
        tag("style", _resource("page.css")),
    )
    body = tag(
        "body",
        tag(
            "main",
            sections.headline(page),
            sections.warnings(page),
            sections.boundaries(page),
            sections.rounds(page),
            sections.properties(page),
            sections.potential(page),
            sections.interface_runs(page),
            provenance.cost(page),
            provenance.lineage(page),
            provenance.query(page),
            provenance.origin(page),
        ),
        tag("script", script),
    )
    return join(raw("<!doctype html>\n"), tag("html", head, body, lang="en"), raw("\n"))
