"""The sections of the page. Each takes the data, and returns markup or nothing where nothing exists."""

from __future__ import annotations

from collections.abc import Mapping

from phasecal.campaign.methods import how_verified
from phasecal.experiment import SGTE, reference, transition
from phasecal.report.checks import Estimate, Outcome, collect_warnings, estimate, outcomes, relative_change
from phasecal.report.data import Property, ReportData
from phasecal.report.markup import Child, Html, join, raw, table, tag, text
from phasecal.report.numbers import NOT_SHOWN, count, duration, percent, property_value, tabulated, with_sigma
from phasecal.report.properties import describe, label
from phasecal.report.style import Saved

Figures = Mapping[str, Saved]

NOTHING = Html("")

_COST_LABELS = {"atom_steps": "MD atom-steps", "wall_s": "wall time", "rounds": "calibration rounds"}


def _figure(figures: Figures, name: str) -> Html:
    saved = figures.get(name)
    if saved is None:
        return NOTHING
    image = tag("div", raw(saved.svg), role="img", aria_label=saved.drawing.alt, tabindex="0")
    return tag("figure", image, tag("figcaption", saved.drawing.caption))


def _figures(figures: Figures, prefix: str) -> Html:
    return join(*(_figure(figures, name) for name in figures if name.startswith(prefix)))


def _section(title: str, *content: Child) -> Html:
    return tag("section", tag("h2", title), *content) if any(content) else NOTHING


def _code(content: str | None) -> Html:
    return tag("code", content, class_="hash") if content else Html(NOT_SHOWN)


def _number(value: float | int | None, form: str = "g") -> str:
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


def _result(item: Outcome) -> Html:
    """One boundary in one box: before → after, experiment, and whether the result counts."""
    seeds = ", ".join(map(str, item.boundary.seeds))
    word = item.kind.removeprefix("not ")
    how = f" by {_method(item)}" if item.boundary.method else ""
    after = item.kind + how + (f", seeds {seeds}" if how and seeds else "")
    pieces: list[Child] = []
    if item.initial is not None:
        pieces += [tag("span", str(item.initial)), " → "]
    pieces.append(tag("span", str(item.result) if item.result else f"no {word} result"))
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
        tag("div", f"training estimate {item.training}", class_="meta") if item.training else None,
        class_="result" if item.result else "result doubt",
    )


def _results(items: list[Outcome]) -> list[Html]:
    """A box per boundary; a diagram has too many, so there it is one box for all, and the table follows."""
    if len(items) <= 3:
        return [_result(item) for item in items]
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


def headline(data: ReportData) -> Html:
    """Title, state, the result of every boundary, and which model it belongs to."""
    model = data.summary.model
    first = next((item.hash for item in data.lineage if item.round == 0), None)
    facts = [f"{data.summary.task} campaign", f"PK {data.pk}", data.uuid, data.created]
    hashes: list[Child] = []
    if first:
        hashes += ["initial model ", _code(first)]
    if model and model.hash != first:
        name = "final model " if data.summary.task == "calibrate" else "model "
        hashes += [tag("br") if first else None, name, _code(model.hash)]
    return tag(
        "header",
        tag("h1", data.title),
        tag("p", _state(data), " ", " · ".join(fact for fact in facts if fact), class_="meta"),
        *_results(outcomes(data)),
        tag("p", *hashes, class_="meta") if hashes else None,
    )


def warnings(data: ReportData) -> Html:
    """Every reason for doubt, directly under the result."""
    return join(
        *(tag("p", tag("strong", "Warning: "), message, class_="warning") for message in collect_warnings(data))
    )


def _experiment_t(data: ReportData, item: Outcome) -> Child:
    if item.target is not None:
        return with_sigma(item.target.value, item.target.sigma)
    known = transition(data.element, item.boundary.phases, item.boundary.pressure_gpa)
    return join(tabulated(known.temperature_k, None), tag("small", SGTE)) if known else NOT_SHOWN


def _boundary_row(data: ReportData, item: Outcome, compare: bool) -> list[Child]:
    def shown(value: Estimate | None) -> str:
        return with_sigma(value.value, value.sigma) if value else NOT_SHOWN

    seeds = ", ".join(map(str, item.boundary.seeds))
    details = [f"seeds {seeds}" if seeds else "", f"PK {item.boundary.pk}" if item.boundary.pk else ""]
    method = join(_method(item), tag("small", "; ".join(filter(None, details))))
    method = method if item.result else text(NOT_SHOWN)
    result = join(shown(item.result), tag("small", item.kind) if item.result else None)
    row: list[Child] = [" → ".join(item.boundary.phases), f"{item.boundary.pressure_gpa:g}"]
    row += [shown(item.initial), shown(item.training)] if compare else []
    return [*row, result, _experiment_t(data, item), method]


def boundaries(data: ReportData, figures: Figures) -> Html:
    """The temperatures of all boundaries, as a figure and as a table."""
    compare = data.summary.task == "calibrate"
    rows = [_boundary_row(data, item, compare) for item in outcomes(data)]
    if not rows:
        return NOTHING
    note = "Intervals are one standard uncertainty."
    note += " The training estimate is a diagnostic; it never counts." if compare else ""
    head: list[Child] = ["boundary", "P / GPa", *(["before / K", "training / K"] if compare else [])]
    listing = table([*head, "result / K", "experiment / K", "method"], rows)
    return _section("Boundaries", _figure(figures, "temperatures"), listing, tag("p", note, class_="meta"))


def rounds(data: ReportData, figures: Figures) -> Html:
    """How the calibration converged."""
    rows: list[list[Child]] = []
    for number, entry in enumerate(data.rounds, start=1):
        shares = [phase.n_eff for phase in entry.phases if phase.n_eff is not None]
        widths = [phase.sd_beta_du for phase in entry.phases if phase.sd_beta_du is not None]
        overlaps = [phase.overlap for phase in entry.phases if phase.overlap is not None]
        for target in entry.targets:
            value = estimate(target.temperature_k, target.sigma_k)
            row: list[Child] = [
                str(number),
                _code(entry.parent and entry.parent[:12]),
                " → ".join(target.phases),
            ]
            row += [f"{target.pressure_gpa:g}", with_sigma(value.value, value.sigma) if value else NOT_SHOWN]
            row += [_number(target.anchor_sigma_k, ".2g"), _number(target.chain_sigma_k, ".2g")]
            row += [_number(min(shares, default=None), ".2f"), _number(max(widths, default=None), ".2f")]
            rows.append([*row, _number(min(overlaps, default=None), ".2f"), _number(entry.pk, "d")])
    if not rows:
        return NOTHING
    head: list[Child] = ["round", "model", "boundary", "P / GPa", "T / K", "σ anchor / K", "σ chain / K"]
    listing = table([*head, "least Nₑff/N", "largest sd(βΔU)", "least overlap", "PK"], rows)
    details = tag("details", tag("summary", "Numbers of every round"), listing)
    return _section("Convergence", _figure(figures, "convergence"), details)


def _property_row(data: ReportData, item: Property, compare: bool, sources: list[str]) -> list[Child]:
    kind, known = describe(item.name), reference(data.element, item.name)
    row: list[Child] = [label(item.name), item.unit, property_value(item.initial, item.initial_sigma, kind)]
    if compare:
        row += [property_value(item.final, item.final_sigma, kind), percent(*relative_change(item))]
    experiment: Child = NOT_SHOWN
    if known is not None:
        if known.source not in sources:
            sources.append(known.source)
        experiment = join(tabulated(known.value, known.sigma), tag("sup", f" {sources.index(known.source) + 1}"))
    row.append(experiment)
    return [*row, "yes" if item.protected else "no"] if compare else row


def properties(data: ReportData) -> Html:
    """What else changed."""
    compare = any(item.final is not None for item in data.properties)
    sources: list[str] = []
    rows = [_property_row(data, item, compare, sources) for item in data.properties]
    if not rows:
        return NOTHING
    note = (
        "a, c: lattice constants. ΔH, ΔV: high- minus low-temperature phase. Force change: final minus "
        "initial model on the same frames. Values without ± were computed without sampling (relaxations at "
        "0 K, or averages over the recorded frames): they have no statistical error and are converged to the "
        "digits shown. Everything else carries one standard uncertainty or is not shown. Experimental values "
        "without ± come from a source that gives none."
    )
    numbered = "; ".join(f"({number}) {source}" for number, source in enumerate(sources, start=1))
    head: list[Child] = ["property", "unit", "before", "after", "change / %", "experiment", "protected"]
    title = "What else changed" if compare else "Other properties of this model"
    return _section(
        title,
        table(head if compare else ["property", "unit", "value", "experiment"], rows),
        tag("p", note, class_="meta"),
        tag("p", f"Experiment: {numbered}.", class_="meta") if numbered else None,
    )


def functions(figures: Figures) -> Html:
    """The potential's functions and the structure of the liquid."""
    drawn = _figures(figures, "function-")
    liquid = _figures(figures, "liquid-rdf")
    return join(_section("The potential", drawn), _section("Structure of the liquid", liquid))


def interface_runs(figures: Figures) -> Html:
    """All interface runs behind the anchors and the verification."""
    return _section("Interface runs", _figures(figures, "interface-"))


def cost(data: ReportData) -> Html:
    """What it cost."""
    total = data.cost or data.summary.cost
    if total is None:
        return NOTHING
    rows: list[list[Child]] = []
    for key, value in total.model_dump().items():
        if isinstance(value, int | float):
            shown = duration(value) if key.endswith("_s") else count(value)
            rows.append([_COST_LABELS.get(key, key), shown])
    return _section("Cost", table(["", "total"], rows)) if rows else NOTHING


def lineage(data: ReportData) -> Html:
    """The model versions, oldest first."""
    rows: list[list[Child]] = [
        [
            _number(item.round, "d"),
            _number(item.pk, "d"),
            _code(item.hash),
            _code(item.parent and item.parent[:12]),
        ]
        for item in data.lineage
    ]
    return _section("Model versions", table(["round", "PK", "hash", "parent"], rows)) if rows else NOTHING


def query(data: ReportData) -> Html:
    """How to get from here to the record."""
    model = data.summary.model.pk if data.summary.model else None
    lines = [
        f"phasecal show {data.pk} --json        # these results, for programs",
        f"verdi process status {data.pk}        # every process, down to the MD jobs",
        f"verdi node graph generate {data.pk}   # the provenance graph",
    ]
    if model is not None:
        lines.append(f"phasecal models export {model}       # LAMMPS files of the final model")
    python = (
        "from aiida import load_profile, orm\n\n"
        "load_profile()\n"
        f"campaign = orm.load_node({data.pk})\n"
        "for job in campaign.called_descendants:\n"
        "    print(job.pk, job.process_label, job.process_state, job.exit_status)\n"
        "    for link in job.base.links.get_outgoing().all():\n"
        "        print('   ', link.link_label, link.node)"
    )
    return _section(
        "How to query the record",
        tag("pre", "\n".join(lines)),
        tag("p", "In Python, every job with its trajectory, energies and model:"),
        tag("pre", python),
    )


def origin(data: ReportData) -> Html:
    """The campaign file and the versions that made this."""
    rows: list[list[Child]] = [[name, version] for name, version in sorted(data.versions.items())]
    return join(
        _section("Campaign file", tag("pre", data.campaign_file)) if data.campaign_file else NOTHING,
        _section("Software", table(["package", "version"], rows)) if rows else NOTHING,
    )
