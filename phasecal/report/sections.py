"""The sections of the page about the result. Each returns markup, or nothing where nothing exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from phasecal.campaign.methods import how_verified
from phasecal.experiment import SGTE, reference, transition
from phasecal.report.checks import Estimate, Outcome, collect_warnings, estimate, outcomes, relative_change
from phasecal.report.data import Property, ReportData
from phasecal.report.markup import Child, Html, join, raw, table, tag, text
from phasecal.report.numbers import NOT_SHOWN, percent, property_value, tabulated, with_sigma
from phasecal.report.properties import describe, label
from phasecal.report.record import Links
from phasecal.report.style import Saved

NOTHING = Html("")
ON_LINE = (
    "On the line: T(P) through all measured points of a boundary, joined by their slopes ΔV/ΔS, at the same pressure; "
    "every point has a say, so its interval is the smaller one."
)


@dataclass(frozen=True)
class Page:
    """What sections are made of: the data, the saved figures by name, and the links to the record."""

    data: ReportData
    figures: Mapping[str, Saved]
    links: Links

    def figure(self, name: str) -> Html:
        """A figure with its caption and links; nothing if it was not drawn."""
        saved = self.figures.get(name)
        if saved is None:
            return NOTHING
        drawing = saved.drawing
        described = {"role": "img", "aria_label": drawing.alt, "tabindex": "0"}
        image = tag("div", raw(saved.svg), class_="drawing", data_name=name, data_series=saved.series, **described)
        return tag("figure", image, tag("figcaption", drawing.caption, " ", self.links.all(drawing.pks)))

    def figures_of(self, prefix: str) -> Html:
        """All figures whose name begins so."""
        return join(*(self.figure(name) for name in self.figures if name.startswith(prefix)))


def section(title: str, *content: Child) -> Html:
    """A section with its title; nothing if it would be empty."""
    return tag("section", tag("h2", title), *content) if any(content) else NOTHING


def code(content: str | None) -> Html:
    """A hash."""
    return tag("code", content, class_="hash") if content else Html(NOT_SHOWN)


def number(value: float | int | None, form: str = "g") -> str:
    """A diagnostic (no estimate, so no interval)."""
    return NOT_SHOWN if value is None else format(value, form)


def _state(data: ReportData) -> Html:
    state, code = data.summary.state, data.summary.exit_code
    good = state == "finished" and not code
    words = state if not code else f"{state}, exit code {code}"
    return tag("span", words, class_=f"state {'good' if good else 'open' if state == 'running' else 'bad'}")


def _method(item: Outcome) -> str:
    """How a boundary was measured; of a verification also whether by another method than the anchor."""
    if item.boundary.method is None:
        return NOT_SHOWN
    return how_verified(item.boundary.method, item.boundary.anchor_method if item.kind == "verified" else None)


def _with_link(links: Links, value: Estimate) -> Html:
    return join(tag("span", str(value)), " ", links.one(value.pk))


def _result(links: Links, item: Outcome) -> Html:
    """One boundary in one box: before → after, experiment, and whether the result counts."""
    seeds = ", ".join(map(str, item.boundary.seeds))
    word = item.kind.removeprefix("not ")
    how = f" by {_method(item)}" if item.boundary.method else ""
    after = item.kind + how + (f", seeds {seeds}" if how and seeds else "")
    pieces: list[Child] = []
    if item.initial is not None:
        pieces += [_with_link(links, item.initial), " → "]
    pieces.append(_with_link(links, item.result) if item.result else tag("span", f"no {word} result"))
    notes = [after if item.result else None]
    if item.target is not None:
        notes.append(f"experiment {item.target}")
    if item.result is not None and item.target is not None:
        notes.append(f"{item.result.differs(item.target):.1f} σ apart")
    return tag(
        "div",
        tag("div", item.name, class_="meta"),
        tag("p", *pieces, class_="path"),
        tag("div", "; ".join(note for note in notes if note) or None),
        tag("div", "training estimate ", _with_link(links, item.training), class_="meta") if item.training else None,
        class_="result" if item.result else "result doubt",
    )


def _results(page: Page, items: list[Outcome]) -> list[Html]:
    """A box per boundary; a diagram has too many, so there it is one box for all, and the table follows."""
    if len(items) <= 3:
        return [_result(page.links, item) for item in items]
    word = "measured" if all(item.kind == "measured" for item in items) else "verified"
    done = sum(item.result is not None for item in items)
    apart = [item.result.differs(item.target) for item in items if item.result and item.target]
    return [
        tag(
            "div",
            tag("p", f"{done} of {len(items)} transition temperatures {word}", class_="path"),
            tag("div", f"largest distance from experiment {max(apart):.1f} σ") if apart else None,
            class_="result" if done == len(items) else "result doubt",
        )
    ]


def _pk_of(data: ReportData, model_hash: str) -> int | None:
    """Key of a model version."""
    return next((item.pk for item in data.lineage if item.hash == model_hash), None)


def headline(page: Page) -> Html:
    """Title, state, the result of every boundary, and which model it belongs to."""
    data = page.data
    model = data.summary.model
    first = next((item.hash for item in data.lineage if item.round == 0), None)
    facts: list[Child] = [f"{data.summary.task} campaign", page.links.one(data.pk), data.uuid, data.created]
    hashes: list[Child] = []
    if first:
        hashes += ["initial model ", code(first), " ", page.links.one(_pk_of(data, first))]
    if model and model.hash != first:
        name = "final model " if data.summary.task == "calibrate" else "model "
        hashes += [tag("br") if first else None, name, code(model.hash), " ", page.links.one(model.pk)]
    return tag(
        "header",
        tag("h1", data.title),
        tag("p", _state(data), " ", join(*(fact for fact in facts if fact), separator=" · "), class_="meta"),
        *_results(page, outcomes(data)),
        tag("p", *hashes, class_="meta") if hashes else None,
    )


def warnings(page: Page) -> Html:
    """Every reason for doubt, directly under the result."""
    found = collect_warnings(page.data)
    return join(*(tag("p", tag("strong", "Warning: "), message, class_="warning") for message in found))


def _experiment_t(data: ReportData, item: Outcome) -> Child:
    if item.target is not None:
        return with_sigma(item.target.value, item.target.sigma)
    known = transition(data.element, item.boundary.phases, item.boundary.pressure_gpa)
    return join(tabulated(known.temperature_k, None), tag("small", SGTE)) if known else NOT_SHOWN


def _boundary_row(page: Page, item: Outcome, compare: bool, with_line: bool) -> list[Child]:
    def shown(value: Estimate | None) -> Html:
        if value is None:
            return text(NOT_SHOWN)
        return join(with_sigma(value.value, value.sigma), tag("small", page.links.one(value.pk)))

    seeds = ", ".join(map(str, item.boundary.seeds))
    method = join(_method(item), tag("small", f"seeds {seeds}") if seeds else None)
    method = method if item.result else text(NOT_SHOWN)
    result = join(shown(item.result), tag("small", item.kind) if item.result else None)
    row: list[Child] = [" → ".join(item.boundary.phases), f"{item.boundary.pressure_gpa:g}"]
    row += [shown(item.initial), shown(item.training)] if compare else []
    row += [result, shown(item.on_line)] if with_line else [result]
    return [*row, _experiment_t(page.data, item), method]


def boundaries(page: Page) -> Html:
    """The temperatures of all boundaries, as figures and as a table."""
    compare = page.data.summary.task == "calibrate"
    items = outcomes(page.data)
    with_line = any(item.on_line for item in items)
    rows = [_boundary_row(page, item, compare, with_line) for item in items]
    if not rows:
        return NOTHING
    note = "Intervals are one standard uncertainty."
    note += f" {ON_LINE}" if with_line else ""
    note += " The training estimate is a diagnostic; it never counts." if compare else ""
    head: list[Child] = ["boundary", "P / GPa", *(["before / K", "training / K"] if compare else [])]
    head += ["result / K", *(["on the line / K"] if with_line else [])]
    listing = table([*head, "experiment / K", "method"], rows)
    return section(
        "Boundaries", *map(page.figure, ("phase-diagram", "temperatures")), listing, tag("p", note, class_="meta")
    )


def rounds(page: Page) -> Html:
    """How the calibration converged."""
    rows: list[list[Child]] = []
    for index, entry in enumerate(page.data.rounds, start=1):
        shares = [phase.n_eff for phase in entry.phases if phase.n_eff is not None]
        widths = [phase.sd_beta_du for phase in entry.phases if phase.sd_beta_du is not None]
        overlaps = [phase.overlap for phase in entry.phases if phase.overlap is not None]
        for target in entry.targets:
            value = estimate(target.temperature_k, target.sigma_k)
            row: list[Child] = [
                str(index),
                code(entry.parent and entry.parent[:12]),
                " → ".join(target.phases),
            ]
            row += [f"{target.pressure_gpa:g}", with_sigma(value.value, value.sigma) if value else NOT_SHOWN]
            row += [number(target.anchor_sigma_k, ".2g"), number(target.chain_sigma_k, ".2g")]
            row += [number(min(shares, default=None), ".2f"), number(max(widths, default=None), ".2f")]
            rows.append([*row, number(min(overlaps, default=None), ".2f"), page.links.one(entry.pk)])
    if not rows:
        return NOTHING
    head: list[Child] = ["round", "model", "boundary", "P / GPa", "T / K", "σ anchor / K", "σ chain / K"]
    listing = table([*head, "least Nₑff/N", "largest sd(βΔU)", "least overlap", "step"], rows)
    details = tag("details", tag("summary", "Numbers of every round"), listing)
    return section("Convergence", page.figure("convergence"), page.figure("overlap"), details)


def _property_row(page: Page, item: Property, compare: bool, sources: list[str]) -> list[Child]:
    kind, known = describe(item.name), reference(page.data.element, item.name)

    def shown(value: float | None, sigma: float | None, pk: int | None) -> Html:
        return join(property_value(value, sigma, kind), tag("small", link) if (link := page.links.one(pk)) else None)

    row: list[Child] = [label(item.name), item.unit, shown(item.initial, item.initial_sigma, item.initial_pk)]
    if compare:
        row += [shown(item.final, item.final_sigma, item.final_pk), percent(*relative_change(item))]
    experiment: Child = NOT_SHOWN
    if known is not None:
        if known.source not in sources:
            sources.append(known.source)
        experiment = join(tabulated(known.value, known.sigma), tag("sup", f" {sources.index(known.source) + 1}"))
    row.append(experiment)
    return [*row, "yes" if item.protected else "no"] if compare else row


def properties(page: Page) -> Html:
    """What else changed."""
    compare = any(item.final is not None for item in page.data.properties)
    sources: list[str] = []
    rows = [_property_row(page, item, compare, sources) for item in page.data.properties]
    if not rows:
        return NOTHING
    note = (
        "a, c: lattice constants. ΔH, ΔV: high- minus low-temperature phase; they, density and diffusion are those at "
        "each model's own transition temperature. Force change: final minus initial model on the same frames. Values "
        "without ± were computed without sampling (relaxations at 0 K, or averages over the recorded frames): they "
        "have no statistical error and are converged to the digits shown. Everything else carries one standard "
        "uncertainty or is not shown. Experimental values without ± come from a source that gives none."
    )
    numbered = "; ".join(f"({index}) {source}" for index, source in enumerate(sources, start=1))
    head: list[Child] = ["property", "unit", "before", "after", "change / %", "experiment", "protected"]
    title = "What else changed" if compare else "Other properties of this model"
    return section(
        title,
        table(head if compare else ["property", "unit", "value", "experiment"], rows),
        tag("p", note, class_="meta"),
        tag("p", f"Experiment: {numbered}.", class_="meta") if numbered else None,
    )


def potential(page: Page) -> Html:
    """How the model changed: its functions, its parameters, and the structure of the phases."""
    listing = None
    if page.data.parameters:
        rows: list[list[Child]] = [
            [
                item.name,
                number(item.n, "d"),
                *(number(value, ".6g") for value in (item.initial, item.final, item.change)),
            ]
            for item in page.data.parameters
        ]
        grouped = any(item.n > 1 for item in page.data.parameters)
        title = "Groups of parameters (root mean squares)" if grouped else "Parameters"
        listing = tag(
            "details", tag("summary", title), table(["parameter", "number", "before", "after", "change"], rows)
        )
    return join(
        section("The potential", page.figures_of("function-"), listing),
        section("Structure of the phases", page.figure("rdf")),
    )


def interface_runs(page: Page) -> Html:
    """All interface runs behind the anchors and the verification, and what was not used."""
    listing = None
    if page.data.rejected:
        rows: list[list[Child]] = [
            [
                item.what,
                number(item.seed, "d"),
                page.links.one(item.pk),
                tag("span", "; ".join(item.reasons), class_="hash"),
            ]
            for item in page.data.rejected
        ]
        listing = join(tag("h3", "Not used"), table(["what", "seed", "node", "why"], rows))
    return section("Interface runs", listing, page.figures_of("interface-"))
