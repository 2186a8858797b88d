"""The figures of a report: when they are drawn, what they offer to a reader, and where their numbers lead."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from phasecal.report import style
from phasecal.report.checks import collect_warnings, outcomes
from phasecal.report.convergence import convergence, overlap
from phasecal.report.data import read_data
from phasecal.report.diagram import over_pressure
from phasecal.report.interactive import SVG_DPI, series_of
from phasecal.report.potential import function_figures
from phasecal.report.record import Links, nodes_of


def drawn_series(figure) -> dict[str, dict]:
    """The series of a figure by name."""
    figure.set_dpi(SVG_DPI)
    figure.draw_without_rendering()
    return {entry["name"]: entry for entry in json.loads(series_of(figure))}


def test_a_boundary_at_two_pressures_is_drawn_before_after_and_from_experiment(records):
    data = records.complete_data()
    assert over_pressure([], outcomes(read_data(data))) is None
    (low,) = data["summary"]["boundaries"]
    higher = {"pressure_gpa": 2.0, "temperature_k": 1440.0, "target_k": 1436.0, "initial_k": 1210.0, "pk": 992}
    data["summary"]["boundaries"].append({**low, **higher})
    for anchor, pressure in zip(data["anchors"], (0.0, 0.0, 2.0), strict=True):
        anchor |= {"phases": ["fcc", "liquid"], "pressure_gpa": pressure}
    curve = {"pressure_gpa": [0.0, 1.0, 2.0], "temperature_k": [1130.0, 1172.0, 1210.0], "sigma_k": [5.0, 3.0, 5.0]}
    data["lines"] = [{"label": "initial", "phases": ["fcc", "liquid"], **curve, "stable": [True] * 3}]
    other = {"phases": ["fcc", "liquid"], "pressure_gpa": 1.5, "temperature_k": 1410.0, "source": "Doe 1999"}
    data["alternatives"] = [other, {**other, "pressure_gpa": 2.0}]
    checked = read_data(data)
    drawing = over_pressure(checked.lines, outcomes(checked), checked.alternatives)
    assert drawing is not None
    assert drawing.caption.endswith(" Grey points: Doe 1999.")
    series = drawn_series(drawing.figure)
    assert list(series) == ["before", "verified", "experiment", "other experiments"]
    assert [point[2:] for curve in series["other experiments"]["curves"] for point in curve["points"]] == [
        ["1.5", "1410"], ["2", "1410"],
    ]  # fmt: skip
    points = [point[2:] for curve in series["before"]["curves"] for point in curve["points"]]
    assert ["0", "1130.2 ± 5.2"] in points and ["1", "1172"] in points


def test_points_carry_their_error_bars_and_their_place_in_the_svg():
    with style.styled():
        figure, axes = style.new_figure(3.0)
        axes.errorbar([1.0, 2.0], [3.0, 4.0], [0.1, 0.2], capsize=2, label="measured")
        axes.fill_between([1.0, 2.0], [2.0, 3.0], [4.0, 5.0], label="_measured")
        axes.axhline(3.5, label="_measured")
        axes.plot([1.0, np.nan, 9.0], [3.0, 3.0, 3.0], label="line")
        axes.set_xlim(0, 3)
        axes.set_xlabel("r / Å")
        axes.set_ylabel("g(r)")
    series = drawn_series(figure)
    (curve,) = series["measured"]["curves"]
    assert (curve["x"], curve["y"]) == (["r", "Å"], ["g(r)", ""])
    assert [point[2:] for point in curve["points"]] == [["1", "3 ± 0.1"], ["2", "4 ± 0.2"]]
    (first, second) = curve["points"]
    assert 0 < first[0] < second[0] < style.WIDTH * SVG_DPI and first[1] > second[1] > 0  # y grows downwards
    assert [point[2:] for point in series["line"]["curves"][0]["points"]] == [["1", "3"]]  # what is seen


def test_overlap_is_that_of_the_last_round_and_absent_from_older_records(records):
    data = records.complete_data()
    drawing = overlap(read_data(data))
    assert drawing is not None and "round 5" in drawing.caption and drawing.pks == (204,)
    for entry in data["rounds"]:
        del entry["phases"][0]["overlap_matrix"]
    assert overlap(read_data(data)) is None


def test_states_that_were_joined_have_one_matrix(records):
    data = records.complete_data()
    phases = data["rounds"][-1]["phases"]
    phases.append(phases[0] | {"pressure_gpa": 5.0})
    drawing = overlap(read_data(data))
    assert [axes.get_title("left") for axes in drawing.figure.axes] == ["fcc, 0, 5 GPa"]
    phases[-1]["joined"] = [f"fcc at 1500 K and 5 GPa, model {k}" for k in range(3)]
    assert [axes.get_title("left") for axes in overlap(read_data(data)).figure.axes] == ["fcc, 0 GPa", "fcc, 5 GPa"]


def test_convergence_of_many_targets_has_a_panel_per_boundary(records):
    """Twelve targets of two boundaries: the legends leave room for the axes, and a phase is shown at its worst."""
    data = records.complete_data()
    (boundary,) = data["summary"]["boundaries"]
    states = [(low, high, gpa) for low, high in (("fcc", "liquid"), ("bcc", "fcc")) for gpa in range(6)]
    data["summary"]["boundaries"] = [boundary | {"phases": [a, b], "pressure_gpa": p} for a, b, p in states]
    for entry in data["rounds"]:
        (target,), phases = entry["targets"], entry["phases"]
        entry["targets"] = [target | {"phases": [a, b], "pressure_gpa": p} for a, b, p in states]
        entry["phases"] = [phase | {"pressure_gpa": p, "n_eff": 0.9 - 0.1 * p} for phase in phases for p in range(6)]
    checked = read_data(data)
    drawing = convergence(checked, outcomes(checked))
    axes = drawing.figure.axes
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "axes sizes collapsed to zero"
        drawing.figure.draw_without_rendering()
    assert [len(panel.get_legend().get_texts()) for panel in axes[:3]] == [6, 6, 2]
    assert min(panel.get_window_extent().height for panel in axes) > 0.15 * drawing.figure.bbox.height
    assert np.array([line.get_ydata() for line in axes[2].lines[:2]]) == pytest.approx(0.4)


@pytest.mark.parametrize(("change", "names"), [(0.004, ["function-pair-Cu-Cu"]), (0.0, [])])
def test_a_correction_is_drawn_where_it_changed(records, change, names):
    data = records.complete_data()
    r = np.linspace(2.0, 6.0, 50)
    table = {"r": r.tolist(), "initial": [0.0] * 50, "final": (change * np.sin(r)).tolist()}
    data["functions"] = {
        "correction": True,
        "pair": {"Cu-Cu": table},
        "density": {"Cu": {**table, "final": [0.0] * 50}},
    }
    drawings = function_figures(read_data(data))
    assert [drawing.name for drawing in drawings] == names
    for drawing in drawings:
        assert "δφ(r)" in drawing.caption and drawing.pks == (300, 305)
        assert np.isclose(np.nanmax(drawing.figure.axes[0].lines[2].get_ydata()), 4.0 * np.sin(r).max())  # meV


def test_every_named_node_has_a_command(records):
    data = read_data(records.complete_data())
    commands = {pk: node.command for pk, node in nodes_of(data).items()}
    assert commands[812] == "phasecal show 812 --json"
    assert commands[991] == "phasecal models lineage 991"
    assert commands[204] == "verdi process show 204"
    assert commands[305] == "phasecal models show 305"
    assert commands[702] == "verdi node show 702"
    assert Links(data).one(7) is None


def test_rejected_runs_are_a_warning(records):
    data = records.complete_data()
    data["rejected"] = [{"what": "interface run", "pk": 55, "seed": 9, "reasons": ["the slab melted"]}]
    assert collect_warnings(read_data(data)) == ["1 run was rejected and not used; why is listed under Interface runs."]
